"""Whole processes side by side: this plugin, its peers, and a bare batched script.

All load one folder, the demo adapter merged into its base, in float32 on the CPU, and
answer the 150 built-in prompts greedily with at most 128 new tokens. The peers need
an interpreter that has them: ``AWSBENCH_PEERS=/path/to/python`` (`tox run -e peers`).
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmarks.performance.process import environment
from pytest_awsbench import demo
from pytest_awsbench.records import Decoding, Sample
from pytest_awsbench.suites.builtin import load_dataset


ROUNDS = 3
BATCHES = (16, 32, 64)
"""Sizes that the peers are tried with; the rounds are run with the best of each."""
TOKENS = Decoding().max_new_tokens
PEERS = ("lm-eval", "inspect")
RATIO = ("times pytest-awsbench", "times the bare script")
LM_EVAL = f"""\
task: builtin
dataset_path: json
dataset_kwargs: {{data_files: {{test: prompts.jsonl}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{text}}}}"
doc_to_target: "{{{{target}}}}"
generation_kwargs: {{until: ["<|im_end|>"], max_gen_toks: {TOKENS}, do_sample: false}}
metric_list: [{{metric: exact_match, aggregation: mean, higher_is_better: true}}]
"""
INSPECT = """\
import json
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.model import ChatMessageSystem, ChatMessageUser
from inspect_ai.scorer import match
from inspect_ai.solver import generate

KINDS = {"system": ChatMessageSystem, "user": ChatMessageUser}

@task
def builtin():
    rows = [json.loads(line) for line in open("prompts.jsonl")]
    samples = [
        Sample(
            input=[KINDS[m["role"]](content=m["content"]) for m in row["messages"]],
            target=row["target"],
        )
        for row in rows
    ]
    return Task(dataset=samples, solver=generate(), scorer=match(location="exact"))
"""
OURS = """\
keep_runs = 1
[models.merged]
path = "merged"
"""


class Taken(NamedTuple):
    """What a process took."""

    seconds: float
    processor: float
    """Seconds of all cores together."""


def measure_peers() -> dict[str, Any]:
    """Return seconds of whole processes, medians of interleaved rounds."""
    peers = os.environ.get("AWSBENCH_PEERS")
    if peers is None:
        return {"skipped": "AWSBENCH_PEERS names no interpreter; tox run -e peers"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder)
        commands = _commands(peers)
        # The caches of bytecode and pages are warm for everyone after this.
        tried = {what: _timed(command, folder) for what, command in commands.items()}
        chosen = ["bare", "pytest-awsbench", *(_best(peer, tried) for peer in PEERS)]
        taken: dict[str, list[Taken]] = {what: [] for what in chosen}
        for _ in range(ROUNDS):
            for what in chosen:
                taken[what].append(_timed(commands[what], folder))
        return _compared(taken, tried) | {"right": _right(folder)}


def _best(peer: str, tried: Mapping[str, Taken]) -> str:
    """Return a peer with its best batch size, by the processor's time.

    That depends less than the clock on what else the machine does.
    """
    sizes = [what for what in tried if what.startswith(f"{peer}, ")]
    return min(sizes, key=lambda what: tried[what].processor)


def _commands(peers: str) -> dict[str, list[str]]:
    """Return what is run, with the settings that are best for each."""
    lm_eval = [peers, "-m", "lm_eval", "run", "--model", "hf", "--tasks", "builtin"]
    lm_eval += ["--model_args", "pretrained=merged,dtype=float32", "--device", "cpu"]
    lm_eval += ["--include_path", ".", "--output_path", "lm_eval"]
    inspect = [peers, "-m", "inspect_ai", "eval", "builtin.py", "--model", "hf/merged"]
    inspect += ["-M", "model_path=merged", "-M", "device=cpu", "-M", "do_sample=false"]
    inspect += ["-M", "dtype=float32", "--max-tokens", str(TOKENS)]
    inspect += ["--display", "none", "--log-format", "json", "--log-dir", "inspect"]
    run = ["-m", "pytest", "--awsbench-model=merged", "-m", "dataset", "-q"]
    run += ["--rootdir=.", "-c", "/dev/null"]
    return {
        "bare": [sys.executable, "-m", "benchmarks.performance.bare", "merged"],
        "pytest-awsbench": [sys.executable, *run],
        **{f"lm-eval, {n}": [*lm_eval, "--batch_size", str(n)] for n in BATCHES},
        **{f"inspect, {n}": [*inspect, "--max-connections", str(n)] for n in BATCHES},
    }


def _write(folder: Path) -> None:
    """Write the merged model, and the prompts as each program wants them."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base = AutoModelForCausalLM.from_pretrained(demo.BASE, dtype="float32")
    merged: Any = PeftModel.from_pretrained(base, demo.ADAPTER)
    merged.merge_and_unload().save_pretrained(folder / "merged")
    tokenizer = AutoTokenizer.from_pretrained(demo.BASE)
    tokenizer.save_pretrained(folder / "merged")
    suite = load_dataset("builtin", split=None, max_per_combo=None, root=folder)
    rows = [_row(sample, tokenizer) for sample in suite.samples]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "prompts.jsonl").write_text(text)
    (folder / "builtin.yaml").write_text(LM_EVAL)
    (folder / "builtin.py").write_text(INSPECT)
    (folder / "awsbench.toml").write_text(OURS)


def _row(sample: Sample, tokenizer: Any) -> dict[str, Any]:
    """Return a prompt as messages, and as the text that the chat template makes."""
    messages = [{"role": m.role, "content": m.content} for m in sample.prompt]
    text = tokenizer.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=True
    )
    return {"messages": messages, "text": text, "target": sample.target}


def _timed(command: list[str], folder: Path) -> Taken:
    """Return what a process took."""
    began, before = time.perf_counter(), os.times()
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env=_quiet(), check=False
    )
    # 1: a gate is red, or skipped; that is no failure of a measurement.
    if done.returncode not in {0, 1} or "Traceback" in done.stderr:
        raise RuntimeError(f"{command}: {done.stdout[-1000:]}{done.stderr[-3000:]}")
    seconds, after = time.perf_counter() - began, os.times()
    user = after.children_user - before.children_user
    return Taken(seconds, user + after.children_system - before.children_system)


def _quiet() -> dict[str, str]:
    """Return an environment without network, and with this repository."""
    here = str(Path(__file__).parents[2])
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "PYTHONPATH": here}
    return environment() | offline


def _compared(
    taken: Mapping[str, list[Taken]], tried: Mapping[str, Taken]
) -> dict[str, Any]:
    """Return medians, and ratios taken within rounds."""
    found: dict[str, Any] = {
        "tried once, seconds": {what: round(t.seconds, 1) for what, t in tried.items()}
    }
    for what, times in taken.items():
        ours = taken["pytest-awsbench" if what != "pytest-awsbench" else "bare"]
        pairs = list(zip(times, ours, strict=True))
        found[what] = {
            "seconds": round(median(t.seconds for t in times), 2),
            "seconds of processors": round(median(t.processor for t in times), 2),
            RATIO[what == "pytest-awsbench"]: round(
                median(a.seconds / b.seconds for a, b in pairs), 3
            ),
            f"{RATIO[what == 'pytest-awsbench']}, processors": round(
                median(a.processor / b.processor for a, b in pairs), 3
            ),
        }
    return found


def _right(folder: Path) -> dict[str, float]:
    """Return the share of exact answers of each: all must have done the same work."""
    theirs = json.loads(max(folder.glob("lm_eval/**/results*.json")).read_text())
    log = json.loads(max(folder.glob("inspect/*.json")).read_text())
    own = json.loads(max(folder.glob(".awsbench/*/run.json")).read_text())
    outcomes = own["runs"][0]["outcomes"]
    return {
        "pytest-awsbench": round(outcomes["exact"] / sum(outcomes.values()), 4),
        "lm-eval": round(theirs["results"]["builtin"]["exact_match,none"], 4),
        "inspect": log["results"]["scores"][0]["metrics"]["accuracy"]["value"],
    }
