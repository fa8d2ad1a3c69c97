"""Measure everything that docs/performance.md claims: python -m benchmarks.performance.

Prints a table and writes docs/performance.json; with names of parts, prints these, and
with ``--save`` replaces them there.
Ratios are taken within one round; the machine may be shared.
"""

import argparse
import json
import os
import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.performance.adapters import measure_adapters
from benchmarks.performance.environment import measure_environment
from benchmarks.performance.generation import measure_generation
from benchmarks.performance.overhead import measure_overhead, measure_unused
from benchmarks.performance.peers import measure_peers
from benchmarks.performance.process import measure_neighbours, measure_process
from benchmarks.performance.reports import measure_reports
from benchmarks.performance.scoring import measure_scoring, measure_statistics
from benchmarks.performance.screening import measure_endurance, measure_screening


RESULTS = Path(__file__).parents[2] / "docs" / "performance.json"
PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "generation": measure_generation,
    "adapters": measure_adapters,
    "process": measure_process,
    "neighbours": measure_neighbours,
    "peers": measure_peers,
    "overhead": measure_overhead,
    "unused": measure_unused,
    "scoring": measure_scoring,
    "statistics": measure_statistics,
    "environment": measure_environment,
    "reports": measure_reports,
    "screening": measure_screening,
    "endurance": measure_endurance,
}


def main() -> None:
    """Run all parts, or those that are named, and keep what was found."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition(":")[0])
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS])
    parser.add_argument("--save", action="store_true", help="named parts, too")
    options = parser.parse_args()
    found = json.loads(RESULTS.read_text()) if options.parts else {}
    found["machine"] = {
        "processor": platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "transformers", "pytest")},
    }
    for name in options.parts or PARTS:
        found[name] = PARTS[name]()
        for what, value in found[name].items():
            print(f"{name:12} {what:40} {value}", flush=True)
    if options.save or not options.parts:
        RESULTS.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
