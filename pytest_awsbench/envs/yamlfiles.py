"""Reads YAML files: plain values, no key twice, and errors that name the line."""

from pathlib import Path
from types import ModuleType
from typing import Any

from pytest_awsbench.errors import ConfigError, DataError


def read_yaml(file: Path) -> Any:  # noqa: ANN401 - whatever the file holds
    """Read a file.

    Raises:
        ConfigError: if PyYAML is not installed.
        DataError: naming file and line, where it cannot be read.

    """
    yaml = _library(file)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read: {error}") from error
    # The one in C is ten times as fast, where there is one.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        _refuse_repeated_keys(file, yaml, root)
        return loader.construct_document(root)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        why = " ".join(str(error).split())
        raise DataError(f"{file}: not YAML: {why}") from error
    finally:
        loader.dispose()


def _library(file: Path) -> ModuleType:
    """Import PyYAML, which only task files need."""
    try:
        import yaml
    except ImportError as error:
        raise ConfigError(
            f"{file}: task files need PyYAML: {error};"
            ' pip install "pytest-awsbench[env]"'
        ) from error
    return yaml


def _refuse_repeated_keys(file: Path, yaml: ModuleType, root: Any) -> None:  # noqa: ANN401
    """Refuse what YAML forbids, and PyYAML answers by keeping the last value."""
    todo, seen = [root], set[int]()
    while todo:
        node = todo.pop()
        # An alias stands for a node that was here before, perhaps for one around it.
        if id(node) in seen or isinstance(node, yaml.ScalarNode):
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            todo += node.value
            continue
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key, _ in node.value:
            if keys.count(key.value) > 1:
                line = node.start_mark.line + 1
                raise DataError(
                    f"{file}: line {line}: {key.value}: this key stands there"
                    f" {keys.count(key.value)} times; keep one"
                )
        todo += [value for _, value in node.value]
