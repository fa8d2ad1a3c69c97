"""Runs whose reports are looked at: real ones, of recorded and hostile answers."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from projects import AROUND, row, write_answers, write_jsonl, wrong

from pytest_awsbench.reports.reading import RunDocument, read_run


ITEMS = 60
LONG = 1_000_000
OURS = (*AROUND, "PYTEST_")
"""How variables begin that are about the run of the tests themselves."""
HOSTILE = {
    4: "<script>document.title = 'owned'</script>",
    5: "aws s3 ls </script><!-- <script> ]]> <img src=x onerror=alert(1)>",
    6: "aws s3 ls \x00\x1b[31mred\x1b[0m\x07 {{ 7 * 7 }} {% raw %}",
    7: "aws s3 ls \u202egpj.exe\u2066 אבג \u200e",
    8: "aws s3 cp " + "x" * LONG,
    9: "",
}
"""Row → what a model may answer."""
SURROGATE = "aws s3 ls \ud800 \udfff \uffff"
GATES = """
[[tool.awsbench.gates]]
metric = "exact_match"
max_drop = 0.01

[[tool.awsbench.gates]]
metric = "format_ok"
min = 0.99
"""


def make_run(folder: Path) -> Path:
    """Make a baseline, then two models side by side, the first one worse and hostile.

    Returns the folder of the second run.
    """
    write_jsonl(folder / "data.jsonl", [row(i) for i in range(ITEMS)])
    write_answers(folder, "good", ITEMS, wrong([0, 1]))
    write_answers(folder, "bad", ITEMS, {**wrong([0, *range(10, 20)]), **HOSTILE})
    (folder / "pyproject.toml").write_text(
        '[tool.awsbench]\ndataset = "data.jsonl"\nreport = false\n' + GATES
    )
    _pytest(folder, {"tuned": "good", "other": "good"}, "--snapshot-update")
    _pytest(folder, {"tuned": "bad", "other": "good"})
    return newest(folder)


def newest(folder: Path) -> Path:
    """Return the folder of a project's newest run."""
    return max(folder.glob(".awsbench/*/run.json")).parent


def with_surrogates(document: RunDocument) -> RunDocument:
    """Return a run with texts in it that no file can hold."""
    data = json.loads(json.dumps(document.data))
    data["runs"][0]["results"][4]["completion"]["text"] = SURROGATE
    data["runs"][0]["model"]["description"] = SURROGATE
    data["notes"] = [SURROGATE]
    return RunDocument(data, document.folder)


def read(folder: Path) -> RunDocument:
    """Read a project's newest run."""
    return read_run(newest(folder))


def _pytest(folder: Path, models: Mapping[str, str], *arguments: str) -> None:
    """Ask models that are files of recorded answers."""
    chosen = [f"--awsbench-model={m}=replay:{a}.jsonl" for m, a in models.items()]
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "dataset", *chosen, *arguments],
        cwd=folder,
        check=False,
        capture_output=True,
        env={k: v for k, v in os.environ.items() if not k.startswith(OURS)},
    )
