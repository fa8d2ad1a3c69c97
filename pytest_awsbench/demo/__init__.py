"""The built-in demo: tasks, data, and a base model with a LoRA adapter.

All of it is made here, from seeds: ``python -m pytest_awsbench.demo.generate`` writes
the data, ``python -m pytest_awsbench.demo.train`` the models.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType


SEED = 42
ROOT = Path(__file__).parent
BASE = ROOT / "models" / "base"
ADAPTER = ROOT / "models" / "adapter"
PROVENANCE = ROOT / "models" / "provenance.json"
DATASETS: Mapping[str, Path] = MappingProxyType({
    part: ROOT / "data" / f"{part}.jsonl" for part in ("heldout", "train", "reserve")
})
