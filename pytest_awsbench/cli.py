"""The command ``awsbench``."""

import argparse
import importlib.util
import sys
from collections.abc import Sequence

from pytest_awsbench.envs.embedded import NEEDS


COMMANDS = {"env": "serve the embedded AWS environment, for training loops and clients"}


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
    return {"env": serve}[parsed.command](rest)


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
