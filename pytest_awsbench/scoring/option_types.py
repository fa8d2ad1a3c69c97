"""The packaged table of option types, read one service at a time.

An option is read as JSON or as shorthand only where this table says that its type
is a structure, a list or a map; ``generate_types`` wrote it from the service models.
"""

import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, Final, TypeAlias


TEXT: Final = 0
NUMBER: Final = 1
BOOLEAN: Final = 2
DOCUMENT: Final = 3
FIRST_SHAPE: Final = 4
"""Types below this are leaves; the others are shapes, counted from here."""

FILE: Final = "option_types.zip"
PROVENANCE: Final = "provenance"

Shape: TypeAlias = list[int] | dict[str, int]
"""``[element]`` is a list, ``{"": value}`` a map, ``{member: type, …}`` a structure
with its members that are not text."""


@dataclass(frozen=True, slots=True)
class ServiceTypes:
    """The options of one service that are not plain text."""

    operations: Mapping[str, Mapping[str, int]]
    """Every operation → its options that are lists, maps, structures or flags."""
    shapes: Sequence[Shape]

    def shape(self, kind: int) -> Shape | None:
        """Return the shape of a type; None for a leaf."""
        return None if kind < FIRST_SHAPE else self.shapes[kind - FIRST_SHAPE]


@contextmanager
def _table() -> Iterator[zipfile.ZipFile]:
    path = resources.files("pytest_awsbench.scoring").joinpath(FILE)
    with path.open("rb") as stream, zipfile.ZipFile(stream) as table:
        yield table


@lru_cache(maxsize=1024)
def service_types(service: str) -> ServiceTypes | None:
    """Return the types of one service, as the CLI names it; None when unknown."""
    with _table() as table:
        try:
            data = json.loads(table.read(f"{service}.json"))
        except KeyError:
            return None
    return ServiceTypes(operations=data["operations"], shapes=data["shapes"])


def provenance() -> Mapping[str, Any]:
    """Return what the table was generated from."""
    with _table() as table:
        data: Mapping[str, Any] = json.loads(table.read(PROVENANCE))
    return data
