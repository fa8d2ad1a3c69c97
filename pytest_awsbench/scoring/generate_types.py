"""Write the table of option types from botocore's service models.

Run ``python -m pytest_awsbench.scoring.generate_types`` with botocore installed;
the same botocore gives the same bytes.
"""

import io
import json
import sys
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

from pytest_awsbench.scoring import option_types as types


SERVICE_NAMES: Final = {
    "codedeploy": "deploy",
    "config": "configservice",
    "s3": "s3api",
}
"""botocore's name → the CLI's, where they differ."""

CUSTOM_COMMANDS: Final = {
    "cloudsearch": {"define-expression", "define-index-field"},
    "datapipeline": {"activate-pipeline", "put-pipeline-definition"},
    "emr": {
        "add-instance-groups",
        "add-tags",
        "describe-cluster",
        "list-clusters",
        "run-job-flow",
        "terminate-clusters",
    },
}
"""Operations whose options the CLI reads in its own way, so this table may not."""

OPTION_NAMES: Final = {
    ("datapipeline", "query"): "objects-query",
    ("deploy", "ec-2-tag-filters"): "ec2-tag-filters",
    ("deploy", "s-3-location"): "s3-location",
    ("emr", "job-flow-ids"): "cluster-ids",
    ("iotwireless", "lo-ra-wan"): "lorawan",
    ("kinesisanalytics", "output"): "application-output",
    ("kinesisanalyticsv2", "output"): "application-output",
    ("rekognition", "output"): "stream-processor-output",
}
"""(service, option) → the CLI's name for it, where they differ."""

_FLAG: Final = types.BOOLEAN
_S3_FLAGS: Final = dict.fromkeys(
    (
        "bypass-governance-retention",
        "delete",
        "dryrun",
        "exact-timestamps",
        "follow-symlinks",
        "force",
        "force-glacier-transfer",
        "human-readable",
        "ignore-glacier-warnings",
        "no-guess-mime-type",
        "no-overwrite",
        "no-progress",
        "only-show-errors",
        "quiet",
        "recursive",
        "size-only",
        "summarize",
        "validate-same-s3-paths",
    ),
    _FLAG,
)
_S3_TYPES: Final = {
    **_S3_FLAGS,
    "grants": types.FIRST_SHAPE,
    "metadata": types.FIRST_SHAPE + 1,
}
_S3_COMMANDS: Final = ("cp", "ls", "mb", "mv", "presign", "rb", "rm", "sync", "website")


class _Shapes:
    """Numbers the shapes of one service as they are met."""

    def __init__(self) -> None:
        self.shapes: list[types.Shape] = []
        self._numbers: dict[str, int] = {}

    def number(self, shape: Any) -> int:  # noqa: ANN401 - botocore ships no types
        """Return the type of a botocore shape."""
        if getattr(shape, "is_document_type", False):
            return types.DOCUMENT
        match shape.type_name:
            case "integer" | "long" | "float" | "double":
                return types.NUMBER
            case "boolean":
                return types.BOOLEAN
            case "structure" | "list" | "map":
                return self._compound(shape)
            case _:
                return types.TEXT

    def _compound(self, shape: Any) -> int:  # noqa: ANN401 - botocore ships no types
        if shape.name not in self._numbers:
            place = len(self.shapes)
            self._numbers[shape.name] = types.FIRST_SHAPE + place
            self.shapes.append({})  # A shape may contain itself.
            self.shapes[place] = self._content(shape)
        return self._numbers[shape.name]

    def _content(self, shape: Any) -> types.Shape:  # noqa: ANN401 - as above
        if shape.type_name == "list":
            return [self.number(shape.member)]
        if shape.type_name == "map":
            return {"": self.number(shape.value)}
        members = {k: self.number(v) for k, v in sorted(shape.members.items())}
        return {k: v for k, v in members.items() if v != types.TEXT}


def _options(service: str, shape: Any, shapes: _Shapes) -> dict[str, int]:  # noqa: ANN401 - as above
    from botocore import xform_name

    options = {}
    for member, kind in sorted(shape.members.items() if shape else ()):
        name = xform_name(member, "-")
        number = shapes.number(kind)
        if number >= types.BOOLEAN:
            options[OPTION_NAMES.get((service, name), name)] = number
    return options


def service_table(name: str, model: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
    """Return the entry of one service, named as the CLI names it."""
    from botocore import xform_name

    shapes, operations = _Shapes(), {}
    for operation in sorted(model.operation_names):
        command = xform_name(operation, "-")
        if command not in CUSTOM_COMMANDS.get(name, ()):
            shape = model.operation_model(operation).input_shape
            operations[command] = _options(name, shape, shapes)
    return {"operations": operations, "shapes": shapes.shapes}


def table(only: Collection[str] = ()) -> dict[str, Mapping[str, Any]]:
    """Return the entries of the table by file name: of all botocore services or few."""
    import botocore
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    # Only what botocore ships: a model of ~/.aws/models is one machine's own.
    loader = Loader(include_default_search_paths=False)
    loader.search_paths.append(Loader.BUILTIN_DATA_PATH)
    entries: dict[str, Mapping[str, Any]] = {
        types.PROVENANCE: {"botocore": botocore.__version__},
        "s3.json": {
            "operations": dict.fromkeys(_S3_COMMANDS, _S3_TYPES),
            "shapes": [[types.TEXT], {"": types.TEXT}],
        },
    }
    for service in only or loader.list_available_services("service-2"):
        name = SERVICE_NAMES.get(service, service)
        model = ServiceModel(loader.load_service_model(service, "service-2"), service)
        entries[f"{name}.json"] = service_table(name, model)
    return entries


def pack(entries: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Return the table as a zip archive that holds no clock."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, entry in sorted(entries.items()):
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            text = json.dumps(entry, separators=(",", ":"))
            archive.writestr(info, text, compresslevel=9)
    return stream.getvalue()


def main() -> None:
    """Write the table next to this file."""
    path = Path(__file__).with_name(types.FILE)
    sys.stdout.write(f"{path}: {path.write_bytes(pack(table()))} bytes\n")


if __name__ == "__main__":
    main()
