"""The examples in docstrings print what they say."""

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import pytest_awsbench


# What the extras bring; without them their modules have no examples to run.
OPTIONAL = {"awscli", "botocore", "cryptography", "moto", "torch", "transformers"}


def with_examples() -> list[str]:
    """Return the modules of the installed package whose text has an example."""
    found = []
    for folder in pytest_awsbench.__path__:
        for info in pkgutil.walk_packages([folder], "pytest_awsbench."):
            path = Path(folder).parent / (info.name.replace(".", "/") + ".py")
            if path.is_file() and ">>> " in path.read_text("utf-8"):
                found.append(info.name)
    return found


@pytest.mark.parametrize("name", with_examples())
def test_examples_print_what_they_say(name: str) -> None:
    """The installed module's own examples, not those of a checkout beside it."""
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in OPTIONAL:
            raise
        pytest.skip(f"needs {error.name}")

    results = doctest.testmod(
        module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    )

    assert results.attempted
    assert not results.failed
