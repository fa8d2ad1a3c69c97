"""Take the picture of a report that the README shows: the page of a red gate.

    python -m pip install -e ".[all]" playwright
    python docs/pictures/screenshot.py

The run is the second one of `tox run -e demo`: the base model against the adapter's
baseline. Needs Chromium (Debian: apt-get install chromium).
"""
# ruff: noqa: INP001 - a script

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright


HERE = Path(__file__).parent
CONFIG = '[[gates]]\nmetric = "exact_match"\nagainst = "sft"\n'
WIDTH, HEIGHT = 1200, 940


def main() -> None:
    """Judge the base model, and take the beginning of its report."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        (here / "awsbench.toml").write_text(CONFIG)
        command = [sys.executable, "-m", "pytest", "--awsbench-model=base"]
        subprocess.run([*command, "-m", "dataset"], cwd=here, check=False)  # noqa: S603
        [report] = here.glob(".awsbench/*/report.html")
        take(report.as_uri(), HERE / "report.png")


def take(url: str, path: Path) -> None:
    """Write what a window shows of a page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium")
            or shutil.which("chromium-browser"),
            # As root, as in containers, Chromium runs only without its sandbox.
            args=["--no-sandbox"] if os.geteuid() == 0 else [],
        )
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(url)
        page.screenshot(path=path)
        browser.close()


if __name__ == "__main__":
    main()
