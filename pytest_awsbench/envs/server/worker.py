"""The worker process: runs commands of many sessions, one at a time.

JSON lines over stdin and stdout: ``{"do": "open", "id": 1, "seed": 7}``, likewise
``reset`` and ``close``; ``{"do": "run", "id": 1, "command": "aws …"}`` is answered with
``code``, ``output`` and ``error``, all others with ``{}``. It ends with its input.
"""

import json
import mimetypes
import os
import select
import shutil
import sys
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


# The order matters: awscli brings the botocore that moto shall use.
from pytest_awsbench.envs.server.driver import Driver  # isort: skip
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ClientError
from moto.core.botocore_stubber import BotocoreStubber, MockRawResponse

from pytest_awsbench.envs.server.arguments import bounded, prepared
from pytest_awsbench.envs.server.clock import Clock, no_waiting
from pytest_awsbench.envs.server.guard import Guard, limit_resources
from pytest_awsbench.envs.server.keys import seeded_keys
from pytest_awsbench.envs.server.universe import Ran
from pytest_awsbench.envs.server.worlds import World, Worlds, settle


WARM = (
    "sts get-caller-identity",
    "s3 mb s3://warm",
    "s3api list-buckets",
    "dynamodb list-tables",
    "iam list-roles",
    "sqs list-queues",
    "sns list-topics",
)
"""What is run once before the first session, so that it need not wait for imports."""
LATER = (
    "lambda list-functions",
    "ec2 describe-vpcs",
    "ssm describe-parameters",
    "secretsmanager list-secrets",
    "logs describe-log-groups",
    "kms list-keys",
    "ecs list-clusters",
    "rds describe-db-instances",
    "cloudformation list-stacks",
    "events list-rules",
)
"""The same of services whose loading takes longer: while nothing else is to be done."""


WARMING = -1
"""The session in which warming up happens; no other has this number."""
STOP = object()


@dataclass(slots=True)
class Lane:
    """One session: its account, its time, its files."""

    clock: Clock
    scratch: Path
    world: World = field(default_factory=World)


class Worker:
    """Runs the commands of its sessions."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._worlds = Worlds()
        self._guard = Guard()
        self._lanes: dict[int, Lane] = {}
        self._emulator = BotocoreStubber()
        self._driver = Driver(self._answer)
        self._driver.on("before-parameter-build", bounded)
        self._driver.on("before-parameter-build.sqs.ReceiveMessage", no_waiting)

    def warm_up(self) -> None:
        """Load what most commands need, and the types of files from the host."""
        mimetypes.init()
        self.open(WARMING, 0)
        for command in WARM:
            self.run(WARMING, f"aws {command}")
        settle()

    def warm_more(self) -> Iterator[None]:
        """Load what other commands need, one at a time."""
        for command in LATER:
            yield
            self.run(WARMING, f"aws {command}")
        self.close(WARMING)
        settle()

    def open(self, session: int, seed: int) -> None:
        """Begin a session in an empty account."""
        scratch = self._folder / f"session-{session}"
        scratch.mkdir()
        self._lanes[session] = Lane(Clock(seed), scratch)

    def reset(self, session: int, seed: int) -> None:
        """Empty an account, and begin its time anew."""
        lane = self._lanes[session]
        self._worlds.wipe(lane.world)
        lane.clock = Clock(seed)
        shutil.rmtree(lane.scratch)
        lane.scratch.mkdir()

    def close(self, session: int) -> None:
        """End a session."""
        lane = self._lanes.pop(session)
        self._worlds.wipe(lane.world)
        shutil.rmtree(lane.scratch, ignore_errors=True)

    def run(self, session: int, command: str) -> Ran:
        """Run a command in a session."""
        arguments = prepared(command)
        if isinstance(arguments, Ran):
            return arguments
        lane = self._lanes[session]
        self._worlds.activate(lane.world)
        os.chdir(lane.scratch)
        try:
            with lane.clock.running(), self._guard.armed(lane.scratch):
                return self._driver.run(arguments)
        finally:
            os.chdir(self._folder)

    def _answer(
        self, request: AWSPreparedRequest, event_name: str, **_: object
    ) -> AWSResponse:
        """Answer a request from the active account; nothing leaves the process."""
        try:
            found = self._emulator.process_request(request)
        except Exception as error:
            # As the service would say it; a bare repr would tell the model nothing.
            detail = traceback.format_exception_only(error)[-1].strip()
            said = {"Code": "InternalFailure", "Message": detail}
            operation = event_name.rpartition(".")[2]
            raise ClientError({"Error": said}, operation) from error
        status, headers, body = found or (404, {}, "Not found")
        return AWSResponse(request.url, status, headers, MockRawResponse(body))


def handle(worker: Worker, asked: dict[str, Any]) -> dict[str, Any]:
    """Do what one line asks."""
    match asked["do"]:
        case "run":
            return asdict(worker.run(asked["id"], asked["command"]))
        case "open":
            worker.open(asked["id"], asked["seed"])
        case "reset":
            worker.reset(asked["id"], asked["seed"])
        case "close":
            worker.close(asked["id"])
    return {}


def _asked(more: Iterator[None]) -> str:
    """Return the next line; while there is none, load what is not loaded yet.

    The other side sends a line only after the last one was answered, so that none
    waits in a buffer that `select` does not see.
    """
    while not select.select([sys.stdin], [], [], 0)[0]:
        if next(more, STOP) is STOP:
            break
    return sys.stdin.readline()


def main() -> None:
    """Answer lines until there are no more."""
    # What libraries print must not get between our lines.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    with tempfile.TemporaryDirectory(prefix="awsbench-") as name:
        os.chdir(name)
        seeded_keys()
        worker = Worker(Path(name).resolve())
        worker.warm_up()
        limit_resources()
        more = worker.warm_more()
        for line in iter(lambda: _asked(more), ""):
            answers.write(json.dumps(handle(worker, json.loads(line))) + "\n")
            answers.flush()
        os.chdir("/")


if __name__ == "__main__":
    main()
