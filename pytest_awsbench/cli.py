"""The command ``awsbench``."""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pytest_awsbench.envs.embedded import NEEDS
from pytest_awsbench.errors import AwsbenchError, ReportError


POWER_PLUGIN = "pytest_awsbench.power"
POWER_HELP = """\
usage: awsbench power [--json] [PYTEST ARGUMENT ...]

Print, for every gate of the configuration in this folder, its items and tasks, the
smallest drop that it finds, the items that smaller drops need, and the smallest margin
that a guard can certify. No model is loaded or fetched.

Arguments are those of pytest, such as --awsbench-model=sft, -m env,
--awsbench-dataset=FILE or --awsbench-max-per-combo=3.
"""
STATUSES = """\
exit status:
  0  done; of compare: nothing regressed
  1  compare: a gated metric regressed, beyond noise
  2  bad usage, or a run that is missing, damaged, incomplete or of another schema
"""
RUN = "a folder, the name of one in the output folder, or latest"
REGRESSED = 1
UNUSABLE = 2
CLOSED = 141
"""As a shell shows a process whose output nobody reads: 128 + SIGPIPE."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand; return its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    # These two hand their arguments on.
    if given[:1] == ["env"]:
        return serve(given[1:])
    if given[:1] == ["power"]:
        return power(given[1:])
    parsed = _parser().parse_args(given)
    commands = {"compare": compare, "report": report, "show": show, "schema": schema}
    try:
        status = commands[parsed.command](parsed)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough, as `head` does; nothing is left to flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED
    except AwsbenchError as error:
        sys.stderr.write(f"awsbench: {error}\n")
        return UNUSABLE
    return status


def _parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="awsbench",
        description="model regression testing: tools beside pytest",
        epilog=STATUSES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version", action="version", version=f"awsbench {version('pytest-awsbench')}"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_reading(commands)
    text = "print the JSON Schema of run.json"
    published = commands.add_parser("schema", help=text, description=text)
    published.add_argument("--json", action="store_true", help="it is JSON anyway")
    commands.add_parser(
        "power", help="say what the configured gates can see, without running a model"
    )
    commands.add_parser(
        "env", help="serve the embedded AWS environment, for training loops and clients"
    )
    return parser


def _add_reading(commands: Any) -> None:  # noqa: ANN401 - argparse hides its type
    """Add the commands that read kept runs."""
    found = {
        name: commands.add_parser(
            name,
            help=text,
            description=text,
            epilog=STATUSES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        for name, text in {
            "compare": "compare kept runs with the first one, item by item",
            "report": "write the reports of a kept run again",
            "show": "show a kept run, or one item or episode of it",
        }.items()
    }
    for name, command in found.items():
        several = name == "compare"
        help_ = f"{RUN}; RUN::MODEL: one model of it" if several else RUN
        command.add_argument("run", metavar="RUN", help=help_)
        if name == "compare":
            command.add_argument("others", metavar="RUN", nargs="+", help="others")
        if name == "show":
            command.add_argument(
                "item",
                metavar="ITEM",
                nargs="?",
                help="a node id, an item's id, or the beginning of one",
            )
        command.add_argument("--json", action="store_true", help="print plain values")
        command.add_argument(
            "--out",
            metavar="DIR",
            type=Path,
            default=Path(".awsbench"),
            help="where runs are kept (default: .awsbench)",
        )
    found["compare"].add_argument(
        "--html", metavar="FILE", type=Path, help="write a page, too (of two runs)"
    )
    found["compare"].add_argument(
        "--unpaired",
        action="store_true",
        help="compare means alone, as of runs of different data",
    )


def compare(parsed: argparse.Namespace) -> int:
    """Compare runs with the first one."""
    from pytest_awsbench.reports import comparison, terminal
    from pytest_awsbench.reports.files import write_page
    from pytest_awsbench.reports.reading import chosen_run

    if parsed.html is not None and len(parsed.others) > 1:
        raise ReportError("--html shows two runs; give two, or leave it out")
    first, *others = (
        chosen_run(name, parsed.out) for name in (parsed.run, *parsed.others)
    )
    found = [comparison.compare(first, run, unpaired=parsed.unpaired) for run in others]
    flat = [one for several in found for one in several]
    if parsed.html is not None:
        write_page(parsed.html, comparison.as_document(others[-1], found[-1]))
    if parsed.json:
        _print([json.dumps({"comparisons": [one.to_json() for one in flat]}, indent=2)])
    else:
        _print(terminal.comparison_lines(flat))
    return REGRESSED if any(one.regressed for one in flat) else 0


def report(parsed: argparse.Namespace) -> int:
    """Write the reports of a run again."""
    from pytest_awsbench.reports.files import write_reports
    from pytest_awsbench.reports.history import read_history
    from pytest_awsbench.reports.reading import find_run, read_run

    document = read_run(find_run(parsed.run, parsed.out))
    written = write_reports(document, read_history(document.folder.parent))
    for text in filter(None, (*written.problems, written.missing)):
        sys.stderr.write(f"awsbench: {text}\n")
    if parsed.json:
        files = [str(path) for path in written.paths]
        problems = [*written.problems, *filter(None, [written.missing])]
        _print([json.dumps({"written": files, "problems": problems}, indent=2)])
    else:
        _print(f"report: {path}" for path in written.paths)
    return UNUSABLE if written.problems else 0


def show(parsed: argparse.Namespace) -> int:
    """Show a run, or one item of it."""
    from pytest_awsbench.reports import terminal
    from pytest_awsbench.reports.reading import find_run, read_run

    document = read_run(find_run(parsed.run, parsed.out))
    if parsed.item is None:
        if parsed.json:
            _print([json.dumps(document.data, indent=2)])
        else:
            _print(terminal.run_lines(document))
        return 0
    found = terminal.find_item(document, parsed.item)
    if parsed.json:
        _print([json.dumps(terminal.item_json(document, found), indent=2)])
    else:
        _print(terminal.item_lines(document, found))
    return 0


def schema(_: argparse.Namespace) -> int:
    """Print the schema of run.json."""
    from pytest_awsbench.reports.schema import json_schema

    _print([json.dumps(json_schema(), indent=2)])
    return 0


def power(arguments: Sequence[str]) -> int:
    """Print the power of the gates; arguments are those of pytest."""
    if {"-h", "--help"} & set(arguments):
        sys.stdout.write(POWER_HELP)
        return 0
    given = ["--awsbench-power-json" if a == "--json" else a for a in arguments]
    # A process of its own: pytest must see the package before anybody imports it.
    command = [sys.executable, "-m", "pytest", "-p", POWER_PLUGIN, *given]
    return subprocess.run(command, check=False).returncode  # noqa: S603 - ours


def serve(arguments: Sequence[str]) -> int:
    """Serve the embedded environment until it is stopped."""
    lacking = [name for name in NEEDS if importlib.util.find_spec(name) is None]
    if lacking:
        sys.stderr.write(
            f"awsbench env needs {', '.join(lacking)}, which is not installed:"
            ' pip install "pytest-awsbench[env]"\n'
        )
        return UNUSABLE
    from pytest_awsbench.envs.server.__main__ import main as serve_environment

    return serve_environment(arguments)


def _print(lines: Iterable[str]) -> None:
    """Print lines, in whatever the terminal can show."""
    encoding = sys.stdout.encoding or "utf-8"
    for text in lines:
        shown = f"{text}\n".encode(encoding, errors="replace")
        sys.stdout.write(shown.decode(encoding))
