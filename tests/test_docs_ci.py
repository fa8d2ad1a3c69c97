"""The CI files that users copy: what they run does what they say."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml


DOCS = Path(__file__).parents[1] / "docs" / "ci"

pytestmark = pytest.mark.skipif(
    not DOCS.is_dir(), reason="the docs folder does not stand beside the tests"
)


def _github() -> str:
    """Return the script of the step that judges, of GitHub's file."""
    steps: list[dict[str, Any]] = _read("github-actions.yml")["jobs"]["judge"]["steps"]
    return next(str(step["run"]) for step in steps if step.get("name") == "Judge")


def _gitlab() -> str:
    """Return the script of the jobs that judge, of GitLab's file."""
    return "\n".join(_read("gitlab-ci.yml")[".judge"]["script"])


def _read(name: str) -> dict[str, Any]:
    """Read a file that users copy."""
    found: dict[str, Any] = yaml.safe_load((DOCS / name).read_text("utf-8"))
    return found


@pytest.fixture(params=[_github, _gitlab], ids=["github", "gitlab"])
def script(request: pytest.FixtureRequest) -> str:
    """Return the script that judges."""
    return str(request.param())


@pytest.mark.parametrize(
    ("statuses", "calls"),
    [
        ([0], ["-m dataset"]),
        ([1], ["-m dataset"]),
        ([75, 0], ["-m dataset", "--awsbench-resume"]),
        ([75, 1], ["-m dataset", "--awsbench-resume"]),
        ([75, 75, 75], ["-m dataset", "--awsbench-resume", "--awsbench-resume"]),
    ],
    ids=["green", "red", "mended", "mended-red", "broken"],
)
def test_infrastructure_is_tried_again(
    script: str, statuses: list[int], calls: list[str], tmp_path: Path
) -> None:
    """Exit status 75, and no other, is tried again with what was answered kept."""
    _command(tmp_path, "pytest", statuses)
    _command(tmp_path, "sleep", [0, 0])
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"

    # The flags of GitHub's default shell; GitLab's stops at errors, too.
    done = subprocess.run(
        ["bash", "-e", "-c", script],
        env={"PATH": path, "SUITE": "dataset"},
        check=False,
        timeout=60,
    )

    seen = (tmp_path / "pytest.calls").read_text("utf-8").splitlines()
    assert done.returncode == statuses[-1]
    assert len(seen) == len(calls)
    assert all(
        flag in call and "-m dataset" in call
        for flag, call in zip(calls, seen, strict=True)
    )


def _command(folder: Path, name: str, statuses: list[int]) -> None:
    """Write a command that notes its arguments and ends with one status after another.

    Args:
        folder: on the path.
        name: of the command.
        statuses: of its calls, in order.

    """
    (folder / f"{name}.left").write_text("\n".join(map(str, statuses)), "utf-8")
    file = folder / name
    file.write_text(
        f"""#!/bin/sh
echo "$*" >> "{folder}/{name}.calls"
status=$(head -n 1 "{folder}/{name}.left")
sed -i 1d "{folder}/{name}.left"
exit "$status"
""",
        "utf-8",
    )
    file.chmod(0o755)
