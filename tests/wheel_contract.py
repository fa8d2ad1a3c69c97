"""The built wheel, alone in an environment without torch: imports, help, replay.

Run by ``tox run -e pkg`` in an empty folder; not a test module, because it must not
find this checkout.
"""

import importlib.util
import json
import subprocess
import sys
from importlib.metadata import files
from pathlib import Path


ROWS = 30


def main() -> None:
    """Check what a user without torch can do."""
    assert importlib.util.find_spec("torch") is None, "torch must not be installed"
    packed = {str(path) for path in files("pytest-awsbench") or ()}
    assert "pytest_awsbench/py.typed" in packed
    assert "pytest_awsbench/demo/data/heldout.jsonl" in packed
    assert "pytest_awsbench/envs/tasks/expert.yaml" in packed
    assert not any(path.startswith(("tests/", "benchmarks/")) for path in packed)
    import pytest_awsbench

    assert all(getattr(pytest_awsbench, name) for name in pytest_awsbench.__all__)
    assert "--awsbench-model" in pytest("--help").stdout
    rows = heldout()
    answers = [
        {"messages": row["messages"], "completion": row["messages"][-1]["content"]}
        for row in rows
    ]
    Path("answers.jsonl").write_text("".join(json.dumps(a) + "\n" for a in answers))
    done = pytest("--awsbench-model=replay:answers.jsonl", "-m", "dataset")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rows)} exact" in done.stdout, done.stdout
    refused = pytest("--awsbench-model=sft", "-m", "dataset")
    assert refused.returncode == 4, refused.stdout + refused.stderr
    assert 'pip install "pytest-awsbench[transformers]"' in refused.stderr
    without_environment()
    print("1 passed, 0 failed")


def without_environment() -> None:
    """Check what is said where the extra [env] is missing."""
    live = pytest("--awsbench-model=replay:answers.jsonl", "-m", "env")
    assert live.returncode == 4, live.stdout + live.stderr
    assert 'pip install "pytest-awsbench[env]"' in live.stderr
    served = subprocess.run(
        [Path(sys.executable).with_name("awsbench"), "env"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert served.returncode == 2, served.stdout
    assert 'pip install "pytest-awsbench[env]"' in served.stderr


def heldout() -> list[dict[str, list[dict[str, str]]]]:
    """Return the built-in rows."""
    from pytest_awsbench import demo

    text = demo.DATASETS["heldout"].read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def pytest(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in this folder."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    main()
