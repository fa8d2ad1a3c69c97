"""Emulators that are gone behind a server that lives.

Such a server goes on to answer: each command simply fails, as those of a bad model do.
"""

import re
from urllib.parse import urlsplit

from pytest_awsbench.envs.protocol import Observation


#: Answered from the emulator without running a command: it leaves the episode alone.
PROBE = "aws s3 help"

_UNREACHED = re.compile(r'endpoint URL: "([^"]*)"')
_NO_HELP = "Failed to fetch service help"
_AWS = (".amazonaws.com", ".amazonaws.com.cn")


def is_out(seen: Observation) -> bool:
    """Tell whether the server itself says that it cannot reach its emulator."""
    return not seen.success and _NO_HELP in seen.error


def is_suspect(seen: Observation) -> bool:
    """Tell whether a command failed because it could not reach an endpoint.

    That may be its own fault: ``--endpoint-url`` and account ids in host names lead
    away from an emulator that works.
    """
    return not seen.success and _UNREACHED.search(seen.error) is not None


def is_astray(command: str, seen: Observation) -> bool:
    """Tell whether the server's CLI asked AWS itself, and not as it was told."""
    found = _UNREACHED.search(seen.error)
    host = (urlsplit(found[1]).hostname or "") if found else ""
    return not seen.success and host.endswith(_AWS) and "amazonaws" not in command
