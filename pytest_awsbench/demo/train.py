"""Trains the demo pair from nothing: ``python -m pytest_awsbench.demo.train``.

Finished stages are kept in a work folder, so an interrupted training goes on; with
``--fresh`` it begins anew.
"""

import argparse
import hashlib
import json
import shutil
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pytest_awsbench.demo import DATASETS, ROOT, SEED
from pytest_awsbench.demo.generate import dumps, held_out, write
from pytest_awsbench.demo.measure import measure
from pytest_awsbench.demo.rows import Turn
from pytest_awsbench.demo.stages import REPAIR, STAGES, Stage, run_stage
from pytest_awsbench.demo.tokenizer import (
    CONTEXT,
    VOCABULARY,
    save_tokenizer,
    train_tokenizer,
)


LIBRARIES = ("torch", "transformers", "peft", "tokenizers")


def main() -> None:
    """Read the arguments and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "models")
    parser.add_argument("--work", type=Path, default=Path(".train"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--fresh", action="store_true")
    arguments = parser.parse_args()
    if arguments.fresh:
        shutil.rmtree(arguments.work, ignore_errors=True)
    train(arguments.out, arguments.work, arguments.threads)


def train(out: Path, work: Path, threads: int) -> None:
    """Train tokenizer, base and adapter, and write them with their provenance."""
    import torch

    torch.set_num_threads(threads)
    write(dict(DATASETS))
    turns = held_out()
    excluded = {text for turn in turns for text in (turn.user, turn.text)}
    tokenizer = train_tokenizer(SEED)
    model = new_model()
    done: dict[str, dict[str, float]] = {}
    for stage in STAGES:
        done[stage.name] = _stage(model, tokenizer, stage, excluded, work)
    base = out / "base"
    shutil.rmtree(out, ignore_errors=True)
    model.to(torch.bfloat16).save_pretrained(base)
    save_tokenizer(tokenizer, base)
    adapted = with_adapter(base)
    done[REPAIR.name] = _stage(adapted, tokenizer, REPAIR, excluded, work)
    save_adapter(adapted, out / "adapter")
    _write_provenance(out, done, turns)


def new_model() -> Any:
    """Return an untrained Qwen2 of about two million parameters."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(SEED)
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=6,
        # As many as heads: copying one of several names needs them.
        num_key_value_heads=6,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=2,
        pad_token_id=0,
    )
    return Qwen2ForCausalLM(config)


def with_adapter(base: Path) -> Any:
    """Return the stored base, as users load it, with a fresh adapter."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(SEED)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    projections = ("q", "k", "v", "o", "gate", "up", "down")
    config = LoraConfig(
        r=8,
        lora_alpha=16,
        target_modules=[f"{name}_proj" for name in projections],
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)


def save_adapter(model: Any, folder: Path) -> None:
    """Write the adapter without the path of this machine."""
    model.save_pretrained(folder)
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = "pytest-awsbench/demo-base"
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    (folder / "README.md").unlink(missing_ok=True)


def _stage(
    model: Any, tokenizer: Any, stage: Stage, excluded: set[str], work: Path
) -> dict[str, float]:
    """Run one stage, or take what an interrupted training left of it."""
    import torch

    stem = work / stage.name
    weights, record = stem.with_suffix(".pt"), stem.with_suffix(".json")
    if record.exists():
        model.load_state_dict(torch.load(weights, weights_only=True))
        taken: dict[str, float] = json.loads(record.read_text())
        return taken
    began = time.monotonic()
    steps = run_stage(model, tokenizer, stage, excluded, log)
    done: dict[str, float] = {
        "steps": steps,
        "seconds": round(time.monotonic() - began),
    }
    work.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), weights)
    record.write_text(json.dumps(done))
    return done


def _write_provenance(
    out: Path, stages: Mapping[str, Mapping[str, float]], turns: list[Turn]
) -> None:
    """Write how the models came about, and what they answer."""
    files = [p for p in sorted(out.rglob("*")) if p.is_file()]
    provenance = {
        "command": "python -m pytest_awsbench.demo.train",
        "seed": SEED,
        "data_sha256": hashlib.sha256(dumps(turns).encode()).hexdigest(),
        "stages": stages,
        "seconds": sum(stage["seconds"] for stage in stages.values()),
        "versions": {name: version(name) for name in LIBRARIES},
        "figures": measure(out / "base", out / "adapter", turns),
        "sha256": {
            path.relative_to(out).as_posix(): hashlib.sha256(
                path.read_bytes()
            ).hexdigest()
            for path in files
        },
    }
    text = json.dumps(provenance, indent=2) + "\n"
    (out / "provenance.json").write_text(text, encoding="utf-8")


def log(line: str) -> None:
    """Say how far the training is."""
    print(line, flush=True)  # noqa: T201 - this is a command


if __name__ == "__main__":
    main()
