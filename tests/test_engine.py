"""The engine's thread loads without disturbing the process around it."""

import gc
import sys

import pytest

from pytest_awsbench.engine import Engine
from pytest_awsbench.errors import ModelError
from pytest_awsbench.models.spec import Model


def test_collector_rests_while_loading() -> None:
    """Imports run without the garbage collector; after them it is as it was."""
    seen: list[bool] = []

    def load() -> dict[str, Model]:
        seen.append(gc.isenabled())
        return {}

    engine = Engine(load)
    engine.models()
    engine.close()

    assert seen == [False]
    assert gc.isenabled()


def test_collector_comes_back_after_a_failure() -> None:
    """A model that cannot be loaded leaves the collector on."""

    def load() -> dict[str, Model]:
        raise ModelError("damaged")

    engine = Engine(load)
    with pytest.raises(ModelError, match="damaged"):
        engine.models()
    engine.close()

    assert gc.isenabled()


def test_collector_that_was_off_stays_off() -> None:
    """Who turned the collector off finds it off."""
    gc.disable()
    try:
        engine = Engine(dict)
        engine.models()
        engine.close()

        assert not gc.isenabled()
    finally:
        gc.enable()


def test_only_a_first_import_is_frozen(pytester: pytest.Pytester) -> None:
    """A run that does not import torch leaves all its objects to the collector."""
    script = pytester.makepyfile(
        run="""
        import gc, sys
        from types import ModuleType
        from pytest_awsbench.engine import Engine

        def torchless():
            return {}

        def first():
            sys.modules["torch"] = ModuleType("torch")
            return {}

        for load in (torchless, first, first):
            engine = Engine(load)
            engine.models()
            engine.close()
            print(gc.get_freeze_count() > 0)
            gc.unfreeze()
        """
    )

    result = pytester.run(sys.executable, script)

    assert result.outlines == ["False", "True", "False"]
