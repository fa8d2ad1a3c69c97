"""The demo: the adapter is judged green, then the base, against it, red.

Succeeds only if both come out as they must.
"""

import subprocess
import sys
import tempfile
from pathlib import Path


CONFIG = """\
[[gates]]
metric = "exact_match"
against = "sft"
"""


def pytest_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a folder and show what it says as it says it."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pytest", *arguments]
    print(f"\n$ pytest {' '.join(arguments)}", flush=True)
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        print(line, end="", flush=True)
        lines.append(line)
    return subprocess.CompletedProcess(command, process.wait(), "".join(lines))


def main() -> int:
    """Run both, and compare what happened with what must happen."""
    # Outside of any repository, as a stranger's folder is.
    with tempfile.TemporaryDirectory() as folder:
        return judge(Path(folder))


def judge(here: Path) -> int:
    """Run both in folders of their own."""
    options = ("-m", "dataset", *sys.argv[1:])
    green = pytest_in(here / "empty", "--awsbench-model=sft", *options)
    against = here / "against"
    against.mkdir(exist_ok=True)
    (against / "awsbench.toml").write_text(CONFIG)
    red = pytest_in(against, "--awsbench-model=base", *options)
    if green.returncode != 0:
        print(f"\nthe adapter must be green; exit status {green.returncode}")
        return 1
    if red.returncode != 1 or "REGRESSED" not in red.stdout:
        print(f"\nthe base must be red; exit status {red.returncode}")
        return 1
    print("\nAs it must be: the adapter is green; the base, judged against it, is red.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
