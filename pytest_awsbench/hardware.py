"""What a run was made on, as plain values."""

import os
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def hardware(devices: Iterable[str] = ()) -> dict[str, Any]:
    """Return machine, system, processor, cores, memory and devices.

    Args:
        devices: where models were loaded, such as ``cpu`` or a GPU's name.

    """
    return {
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "cpu": _cpu(),
        "cores": _cores(),
        "memory_gb": _memory_gb(),
        "devices": sorted(set(devices)),
        "python": platform.python_version(),
    }


def _cores() -> int:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu() -> str:
    """Return the processor's name, as far as the system tells it."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or platform.machine()
    names = (line for line in text.splitlines() if line.startswith("model name"))
    first = next(names, "").partition(":")[2].strip()
    return first or platform.processor() or platform.machine()


def _memory_gb() -> float | None:
    """Return physical memory in gigabytes; None where the system does not tell."""
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None
    return round(size / 1e9, 1)
