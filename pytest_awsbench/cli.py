"""The command ``awsbench``."""

import argparse
import importlib.util
import subprocess
import sys
from collections.abc import Sequence

from pytest_awsbench.envs.embedded import NEEDS


COMMANDS = {
    "env": "serve the embedded AWS environment, for training loops and clients",
    "power": "say what the configured gates can see, without running a model",
}


POWER_PLUGIN = "pytest_awsbench.power"
POWER_HELP = """\
usage: awsbench power [PYTEST ARGUMENT ...]

Print, for every gate of the configuration in this folder, its items and tasks, the
smallest drop that it finds, the items that smaller drops need, and the smallest margin
that a guard can certify. No model is loaded or fetched.

Arguments are those of pytest, such as --awsbench-model=sft, -m env,
--awsbench-dataset=FILE or --awsbench-max-per-combo=3.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand; return 0, 1 where something is wrong, or 2 for bad usage."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(
        prog="awsbench", description="model regression testing: tools beside pytest"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        commands.add_parser(name, help=text, add_help=False)
    parsed, rest = parser.parse_known_args(given)
    return {"env": serve, "power": power}[parsed.command](rest)


def power(arguments: Sequence[str]) -> int:
    """Print the power of the gates; arguments are those of pytest."""
    if {"-h", "--help"} & set(arguments):
        sys.stdout.write(POWER_HELP)
        return 0
    # A process of its own: pytest must see the package before anybody imports it.
    command = [sys.executable, "-m", "pytest", "-p", POWER_PLUGIN, *arguments]
    return subprocess.run(command, check=False).returncode  # noqa: S603 - ours


def serve(arguments: Sequence[str]) -> int:
    """Serve the embedded environment until it is stopped."""
    lacking = [name for name in NEEDS if importlib.util.find_spec(name) is None]
    if lacking:
        sys.stderr.write(
            f"awsbench env needs {', '.join(lacking)}, which is not installed:"
            ' pip install "pytest-awsbench[env]"\n'
        )
        return 2
    from pytest_awsbench.envs.server.__main__ import main as serve_environment

    return serve_environment(arguments)
