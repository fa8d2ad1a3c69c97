"""A bare script that does what a run does, without pytest: the floor.

python -m benchmarks.performance.bare judges the built-in adapter; with a folder, the
model that is in it.
"""

import sys
from pathlib import Path

from pytest_awsbench import demo
from pytest_awsbench.chunks import Limits, plan_chunks
from pytest_awsbench.models.loading import Share, load, prepare
from pytest_awsbench.models.spec import ModelSpec
from pytest_awsbench.records import Decoding
from pytest_awsbench.suites.builtin import load_dataset


def main() -> None:
    """Load, generate in chunks, and print exact match."""
    spec = ModelSpec(name="sft", path=str(demo.BASE), adapter=str(demo.ADAPTER))
    if sys.argv[1:]:
        spec = ModelSpec(name="sft", path=sys.argv[1])
    here = Path.cwd()
    suite = load_dataset("builtin", split=None, max_per_combo=None, root=here)
    model = load([prepare(spec, here, suite.samples, None)], Share())["sft"]
    right = 0
    for chunk in plan_chunks(suite.samples, Limits()):
        answers = model.generate(chunk.prompts, Decoding())
        for sample, answer in zip(chunk.samples, answers, strict=True):
            right += answer.text == sample.target
    sys.stdout.write(f"{right}\n")


if __name__ == "__main__":
    main()
