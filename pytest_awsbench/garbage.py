"""The garbage collector, kept from looking in vain through what stays until the end."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep the collector out while much is made, and nothing becomes garbage.

    Usable from several threads: who finds it paused leaves it to the other one.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def keep_all() -> None:
    """Have what exists now not looked through again: it stays until the process ends.

    With 10,000 items, or torch, every look takes tenths of a second, and there are
    dozens of them in a run.
    """
    gc.freeze()
