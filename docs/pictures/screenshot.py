"""Take the picture of a report that the README shows: the page of a red gate.

    python -m pip install -e ".[all]" playwright
    PYTHONPATH=. python docs/pictures/screenshot.py

The run is the second one of `tox run -e demo`: the base model against the adapter's
baseline. Needs Chromium (Debian: apt-get install chromium).
"""
# ruff: noqa: INP001 - a script

import tempfile
from pathlib import Path

from benchmarks.demo import CONFIG, pytest_in
from benchmarks.performance.reports import chromium


PICTURE = Path(__file__).parent / "report.png"
WIDTH, HEIGHT = 1200, 940


def main() -> None:
    """Judge the base model, and take the beginning of its report."""
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        here = Path(folder)
        (here / "awsbench.toml").write_text(CONFIG)
        pytest_in(here, "--awsbench-model=base", "-m", "dataset")
        [report] = here.glob(".awsbench/*/report.html")
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(report.as_uri())
        page.screenshot(path=PICTURE)


if __name__ == "__main__":
    main()
