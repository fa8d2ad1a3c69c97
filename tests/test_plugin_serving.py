"""A real engine behind the API: ``transformers serve`` on the loopback, in a process.

The demo pair answers there as it does in the run's own process.
"""

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pytest_awsbench import demo


NEEDED = ("fastapi", "uvicorn", "openai", "rich", "torch", "peft")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]
STARTING_S = 240

pytestmark = [
    pytest.mark.slow,
    pytest.mark.torch,
    pytest.mark.skipif(
        bool(MISSING),
        reason=f"needs the [serving] extra: no {', '.join(MISSING)}",
    ),
]


@contextmanager
def transformers_serve(model: Path, log: Path) -> Iterator[str]:
    """Serve a checkpoint in float32 on a CPU; yield the base URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = Path(sys.executable).with_name("transformers")
    command = [str(script), "serve", str(model), f"--port={port}"]
    command += ["--host=127.0.0.1", "--device=cpu", "--dtype=float32"]
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
        )
    try:
        _wait_for(port, process, log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(60)


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait until a server listens, which it does once its model is loaded."""
    for _ in range(STARTING_S * 2):
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError:
            time.sleep(0.5)
        else:
            return
    pytest.fail(f"transformers serve did not start: {log.read_text()[-2000:]}")


def merged(folder: Path) -> Path:
    """Write the demo adapter into the weights of its base, as a checkpoint of its own.

    An engine serves one checkpoint; this one serves no adapters.
    """
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base = AutoModelForCausalLM.from_pretrained(demo.BASE, dtype=torch.float32)
    both = PeftModel.from_pretrained(base, demo.ADAPTER)
    both.merge_and_unload().save_pretrained(folder)
    AutoTokenizer.from_pretrained(demo.BASE).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", ["base", "sft"])
def test_same_answers_as_in_process(pytester: pytest.Pytester, name: str) -> None:
    """All 150 prompts get the same answers, by token counts and ends, too."""
    model = demo.BASE if name == "base" else merged(pytester.path / "merged")
    adapter = "" if name == "base" else f'adapter = "{demo.ADAPTER}"'

    with transformers_serve(model, pytester.path / "serve.log") as url:
        pytester.makepyprojecttoml(
            f"""
            [tool.awsbench.models.local]
            path = "{demo.BASE}"
            {adapter}
            [tool.awsbench.models.served]
            backend = "openai"
            base_url = "{url}"
            model = "{model}"
            concurrency = 2
            timeout = 600.0
            """
        )
        models = ["--awsbench-model=local", "--awsbench-model=served"]
        result = pytester.runpytest_subprocess(*models, "-m", "dataset")

    assert result.ret == 0
    last = max((pytester.path / ".awsbench").glob("*/run.json"))
    local, served = (
        {row["sample_id"]: _answer(row) for row in run["results"]}
        for run in json.loads(last.read_text())["runs"]
    )
    assert len(local) == 150
    assert served == local


def _answer(row: dict[str, Any]) -> tuple[object, ...]:
    """Return what must be the same: text, end, tokens of prompt and answer."""
    said = row["completion"]
    return said["text"], said["stop"], said["prompt_tokens"], said["tokens"]
