"""Whole runs on models and data of a Hub: the demo pair, served on the loopback."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import TOKEN, Hub, environment, serve

from pytest_awsbench import demo


pytestmark = pytest.mark.torch

ROWS = 12
MODEL = "--awsbench-model=m=acme/base+acme/lora"
DATA = "--awsbench-dataset=acme/tasks@v1"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A Hub with the demo pair, and twelve of its prompts."""
    folder = tmp_path_factory.mktemp("tasks")
    rows = demo.DATASETS["heldout"].read_text(encoding="utf-8").split("\n")[:ROWS]
    (folder / "validation.jsonl").write_text("\n".join(rows), encoding="utf-8")
    with serve() as served:
        served.add("models/acme/base", demo.BASE)
        served.add("models/acme/lora", demo.ADAPTER)
        served.add("datasets/acme/tasks", folder)
        served.add("models/acme/gated", demo.BASE, gated=403)
        yield served


def judge(
    folder: Path, url: str, *arguments: str, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run the suite as a user would whose Hub is `url`, with a cache in `folder`."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-m", "dataset", *arguments],
        cwd=folder,
        env=environment(url, folder / "home", HF_TOKEN=TOKEN, **env),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert TOKEN not in done.stdout + done.stderr
    return done


def answers(folder: Path) -> dict[str, str]:
    """Return what the model of the one run in a folder answered, by id."""
    [path] = folder.glob(".awsbench/*/run.json")
    [run] = json.loads(path.read_text(encoding="utf-8"))["runs"]
    shutil.rmtree(path.parent)
    return {row["sample_id"]: row["completion"]["text"] for row in run["results"]}


def test_online_then_without_a_hub(hub: Hub, tmp_path: Path) -> None:
    """Base, adapter and data come from the Hub, and then from its cache, said."""
    online = judge(tmp_path, hub.url, MODEL, DATA)
    first = answers(tmp_path)
    cached = judge(tmp_path, hub.url, MODEL, DATA, HF_HUB_OFFLINE="1")

    assert online.returncode == 0, online.stdout
    assert "model m = base + lora" in online.stdout
    assert f"dataset acme/tasks@v1 ({ROWS} prompts" in online.stdout
    assert "note:" not in online.stdout
    assert cached.returncode == 0, cached.stdout
    assert "note: model m: acme/base" in cached.stdout
    assert "HF_HUB_OFFLINE" in cached.stdout
    assert len(first) == ROWS
    assert answers(tmp_path) == first


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--awsbench-model=acme/gated"], 4, "HF_TOKEN"),
        ([MODEL.replace("lora", "lost")], 4, "acme/lost"),
        ([MODEL, "--awsbench-dataset=acme/tasks@v9"], 4, "no such revision"),
    ],
    ids=["gated", "missing", "revision"],
)
def test_the_user_can_mend_it(
    hub: Hub, tmp_path: Path, arguments: list[str], status: int, words: str
) -> None:
    """What the user named and cannot have is a usage error, before any loading."""
    done = judge(tmp_path, hub.url, *arguments)

    assert done.returncode == status, done.stdout
    assert words in done.stderr


def test_unreachable(tmp_path: Path) -> None:
    """A Hub that does not answer is infrastructure: status 75, try again."""
    done = judge(tmp_path, "http://127.0.0.1:9", MODEL)

    assert done.returncode == 75, done.stdout
    assert "127.0.0.1:9" in done.stdout + done.stderr
    assert "cannot be reached" in done.stdout + done.stderr
