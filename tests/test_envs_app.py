"""The embedded server as its clients see it: a real process, over the loopback."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest


pytest.importorskip("openenv")
pytest.importorskip("moto")
pytest.importorskip("awscli")
pytest.importorskip("websockets")

from openenv.core.generic_client import GenericEnvClient
from websockets.exceptions import ConnectionClosedOK, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from pytest_awsbench.envs.client import Client
from pytest_awsbench.envs.embedded import MODULE, EmbeddedServer
from pytest_awsbench.envs.server.__main__ import main


pytestmark = pytest.mark.live

SESSIONS = 2
TOKEN = "open-sesame"
READY = "Environment reset. Infra state wiped."
NOT_AWS = "Only AWS CLI commands (starting with 'aws') are allowed."
HINT = "aws help --task-hint"
CREATE = "aws s3api create-bucket --bucket data-pipeline"
PUT = "aws s3api put-object --bucket data-pipeline --key k"
LISTS = "aws elasticache describe-cache-clusters"
LISTING = {
    "task_id": 31,
    "difficulty": "warmup",
    "description": "Describe all ElastiCache clusters in the environment.",
    "success_criteria": {
        "command_contains": "elasticache",
        "operation": "describe-cache-clusters",
    },
}
PIPELINE = {
    "task_id": 11,
    "difficulty": "intermediate",
    "description": "Create an S3 bucket named 'data-pipeline' and upload a file to it.",
    "success_criteria": {
        "steps": [
            {"operation": "create-bucket", "resource": "data-pipeline"},
            {"operation": "put-object", "resource": "data-pipeline"},
        ]
    },
}
VERSIONED = {
    "task_id": 135,
    "difficulty": "expert",
    "description": "Versioning has drifted.",
    "setup_commands": [CREATE],
    "success_criteria": {
        "services": ["s3"],
        "state_checks": [
            {
                "command": "aws s3api get-bucket-versioning --bucket data-pipeline",
                "json_path": "$.Status",
                "expected": "Enabled",
            }
        ],
    },
}
REPAIR = (
    "aws s3api put-bucket-versioning --bucket data-pipeline"
    " --versioning-configuration Status=Enabled"
)
WHOLE = {
    "desired_state_spec": None,
    "setup_commands": [],
    "possible_drifts": [],
    **PIPELINE,
    "success_criteria": {
        "command_contains": None,
        "operation": None,
        "resource_exists": None,
        "services": [],
        "state_checks": [],
        **PIPELINE["success_criteria"],  # type: ignore[dict-item]
    },
}
"""A task as the state tells it: nothing is left out."""


class Talk:
    """A session, frame by frame."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    def ask(self, message: Any) -> Any:
        """Send a message, or a text as it is, and return the answer."""
        self.socket.send(message if isinstance(message, str) else json.dumps(message))
        return self.hear()

    def hear(self) -> Any:
        """Return the next frame."""
        return json.loads(self.socket.recv(timeout=30))

    def reset(self, task: Any = None, **more: Any) -> Any:
        """Begin an episode."""
        given = {} if task is None else {"task": task}
        return self.ask({"type": "reset", "data": {**given, **more}})

    def step(self, command: str) -> Any:
        """Run a command; return the data of the frame."""
        return self.ask({"type": "step", "data": {"command": command}})["data"]

    def end(self) -> int:
        """End the session, as clients should; return the close code."""
        with pytest.raises(ConnectionClosedOK) as closed:
            self.ask({"type": "close"})
        assert closed.value.rcvd is not None
        return closed.value.rcvd.code


Open = Callable[..., Talk]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with two tasks of its own."""
    folder = tmp_path_factory.mktemp("server")
    tasks = folder / "tasks.yaml"
    tasks.write_text(json.dumps([LISTING, PIPELINE]))
    flags = [f"--sessions={SESSIONS}", "--workers=1", f"--tasks={tasks}"]
    with closing(EmbeddedServer(flags, folder / "log")) as server:
        yield server.url


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with a token, for one session, that grades as the reference does."""
    log = tmp_path_factory.mktemp("guarded") / "log"
    tasks = log.parent / "tasks.yaml"
    tasks.write_text(json.dumps([LISTING]))
    flags = ["--sessions=1", "--workers=1", "--grading=reference", f"--token={TOKEN}"]
    with closing(EmbeddedServer([*flags, f"--tasks={tasks}"], log)) as server:
        yield server.url


@pytest.fixture
def open_session(url: str) -> Iterator[Open]:
    """Open sessions; they are ended, slots free again, when the test is through."""
    with ExitStack() as stack:

        def opened(where: str = url, **options: Any) -> Talk:
            address = f"{where.replace('http', 'ws', 1)}/ws"
            socket = stack.enter_context(connect(address, **options))
            stack.callback(_ended, socket)
            return Talk(socket)

        yield opened


@pytest.fixture
def talk(open_session: Open) -> Talk:
    """A session."""
    return open_session()


def _ended(socket: ClientConnection) -> None:
    """End a session, and wait until the server is through with it."""
    with suppress(ConnectionClosedOK):
        socket.send('{"type": "close"}')
        while True:
            socket.recv(timeout=30)


def shown(task: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return an observation as it was recorded, but for what a test says."""
    return {
        "episode_id": "ep-fixed-1",
        "step_count": 0,
        "command_success": True,
        "command_output": "",
        "error": "",
        "task": {
            "task_id": task["task_id"],
            "difficulty": task["difficulty"],
            "description": task["description"],
            "desired_state_spec": None,
        },
        "task_achieved": False,
        "partial_progress": 0.0,
        "hints_used": 0,
        "hint_text": "",
        **more,
    }


# Frames


def test_reset(talk: Talk) -> None:
    """A reset is answered as the reference answers it, key by key."""
    frame = talk.reset(LISTING, episode_id="ep-fixed-1", seed=7, unknown=1)

    assert frame == {
        "type": "observation",
        "data": {
            "observation": shown(LISTING, command_output=READY),
            "reward": 0.0,
            "done": False,
        },
    }


def test_step(talk: Talk) -> None:
    """A step that achieves the task is done, and one after it is graded again."""
    talk.reset(LISTING, episode_id="ep-fixed-1")

    first = talk.step(LISTS)
    second = talk.step("aws s3 ls")

    assert first == {
        "observation": shown(
            LISTING,
            step_count=1,
            command_output='{\n    "CacheClusters": []\n}\n',
            task_achieved=True,
            partial_progress=1.0,
        ),
        "reward": 1.0,
        "done": True,
    }
    assert second == {
        "observation": shown(LISTING, step_count=2, partial_progress=1.0),
        "reward": 0.0,
        "done": False,
    }


@pytest.mark.parametrize(
    ("command", "seen"),
    [
        ("ls -la", {"command_success": False, "error": NOT_AWS}),
        ("aws", {"command_success": False, "error": NOT_AWS}),
        (
            HINT,
            {
                "command_output": "You'll need these AWS services: elasticache",
                "hint_text": "You'll need these AWS services: elasticache",
                "hints_used": 1,
            },
        ),
    ],
)
def test_interceptions(talk: Talk, command: str, seen: dict[str, Any]) -> None:
    """What is answered without running anything has the shape of a step."""
    talk.reset(LISTING, episode_id="ep-fixed-1")

    frame = talk.step(command)

    assert frame["observation"] == shown(LISTING, step_count=1, **seen)
    assert (frame["reward"], frame["done"]) == (0.0, False)


def test_failing_command(talk: Talk) -> None:
    """What the CLI says of a command that fails is the error, and no output."""
    talk.reset(PIPELINE)

    seen = talk.step("aws s3api head-bucket --bucket does-not-exist")["observation"]

    assert seen["command_success"] is False
    assert seen["command_output"] == ""
    assert seen["error"] == (
        "\nAn error occurred (404) when calling the HeadBucket operation: Not Found\n"
    )


def test_state(talk: Talk) -> None:
    """The state is the reference's, key by key: what ran, and the whole task."""
    talk.reset(PIPELINE, episode_id="ep-fixed-1")
    for command in (HINT, CREATE, "ls -la"):
        talk.step(command)

    frame = talk.ask({"type": "state"})

    infra = frame["data"].pop("infra_state")
    assert isinstance(infra, dict)
    assert frame == {
        "type": "state",
        "data": {
            "episode_id": "ep-fixed-1",
            "step_count": 3,
            "current_task": WHOLE,
            "tracker": {
                "step_count": 1,
                "hints_used": 1,
                "progress": 0.5,
                "commands_executed": [CREATE],
                "credited_operations": [],
            },
            "chaos_occurred": False,
            "current_tier": "intermediate",
        },
    }


# Errors


@pytest.mark.parametrize(
    ("sent", "code", "message"),
    [
        (
            {"type": "step", "data": {"command": "aws s3 ls"}},
            "EXECUTION_ERROR",
            "Call reset() before step()",
        ),
        (
            "not json{",
            "INVALID_JSON",
            "Invalid JSON: Expecting value: line 1 column 1 (char 0)",
        ),
        ({"type": "bogus"}, "UNKNOWN_TYPE", "Unknown message type: bogus"),
        ({"nope": 1}, "UNKNOWN_TYPE", "Unknown message type: "),
    ],
)
def test_errors(talk: Talk, sent: Any, code: str, message: str) -> None:
    """An error has a code and a message, and the session goes on."""
    frame = talk.ask(sent)

    assert frame == {"type": "error", "data": {"message": message, "code": code}}
    assert talk.reset(LISTING)["type"] == "observation"


@pytest.mark.parametrize(
    ("sent", "errors"),
    [
        ({"type": "step", "data": {}}, [("missing", ["command"])]),
        (
            {"type": "step", "data": {"command": "aws s3 ls", "extra": 1}},
            [("extra_forbidden", ["extra"])],
        ),
        ({"type": "step", "data": {"command": 5}}, [("string_type", ["command"])]),
        ({"type": "step"}, [("missing", ["data"])]),
        ({"type": "reset", "extra": 1}, [("extra_forbidden", ["extra"])]),
        (
            {"type": "reset", "data": {"task": {"task_id": -1}}},
            [("greater_than_equal", ["task_id"]), ("missing", ["description"])],
        ),
    ],
)
def test_invalid_messages(talk: Talk, sent: Any, errors: list[Any]) -> None:
    """What is missing, too much or of the wrong type is named, and survived."""
    frame = talk.ask(sent)

    found = frame["data"].pop("errors")
    assert frame == {
        "type": "error",
        "data": {"message": "Invalid message", "code": "VALIDATION_ERROR"},
    }
    assert [(error["type"], error["loc"]) for error in found] == errors
    assert talk.reset(LISTING)["type"] == "observation"


def test_metadata_of_a_step(talk: Talk) -> None:
    """Besides the command, a step may have metadata."""
    talk.reset(LISTING)

    data = {"command": "aws s3 ls", "metadata": {"a": 1}}
    frame = talk.ask({"type": "step", "data": data})

    assert frame["type"] == "observation"


@pytest.mark.parametrize("sent", ["[]", "5", "null"])
def test_no_object(url: str, sent: str) -> None:
    """JSON that is no object ends the session, with a reason."""
    with connect(f"{url.replace('http', 'ws', 1)}/ws") as socket:
        talk = Talk(socket)
        frame = talk.ask(sent)

        with pytest.raises(ConnectionClosedOK) as closed:
            talk.hear()

    assert frame["data"]["code"] == "SESSION_ERROR"
    assert frame["data"]["message"].endswith("object has no attribute 'get'")
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1000


def test_failing_setup(talk: Talk) -> None:
    """A task whose set-up fails is refused by name, unlike in the reference."""
    broken = {**LISTING, "setup_commands": ["aws s3api head-bucket --bucket nobody"]}

    frame = talk.reset(broken)

    assert frame["data"]["code"] == "EXECUTION_ERROR"
    assert frame["data"]["message"].startswith(
        "task 31: set-up command failed: aws s3api head-bucket --bucket nobody:"
    )


def test_setup_runs_nothing_but_aws(talk: Talk) -> None:
    """Set-up commands are held to what the agent's are, unlike in the reference."""
    frame = talk.reset({**LISTING, "setup_commands": ["touch probe"]})

    assert frame["data"]["code"] == "EXECUTION_ERROR"
    assert "touch probe" in frame["data"]["message"]


# Sessions


def test_sessions_are_apart(open_session: Open) -> None:
    """What one session makes, another does not see; a reset empties its own only."""
    one, other = open_session(), open_session()
    for each in (one, other):
        each.reset(PIPELINE)
    one.step(CREATE)

    theirs = other.step("aws s3 ls")["observation"]["command_output"]
    other.reset(PIPELINE)
    ours = one.step("aws s3 ls")["observation"]["command_output"]
    one.reset(PIPELINE)
    after = one.step("aws s3 ls")["observation"]["command_output"]

    assert theirs == ""
    assert ours.split()[-1] == "data-pipeline"
    assert after == ""


def test_capacity(open_session: Open, url: str) -> None:
    """One session too many is told so before it asks, and hung up on."""
    for _ in range(SESSIONS):
        open_session().reset(LISTING)

    with connect(f"{url.replace('http', 'ws', 1)}/ws") as socket:
        frame = Talk(socket).hear()
        with pytest.raises(ConnectionClosedOK) as closed:
            socket.recv(timeout=30)

    assert frame == {
        "type": "error",
        "data": {
            "message": (
                "Server at capacity: 2/2 sessions active."
                " Cannot accept new connections."
            ),
            "code": "CAPACITY_REACHED",
            "active_sessions": 2,
            "max_sessions": 2,
        },
    }
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1000


def test_no_race_on_reopening(url: str) -> None:
    """A slot is free as soon as its session is ended: no reopening fails."""
    for _ in range(20):
        with ExitStack() as stack:
            address = f"{url.replace('http', 'ws', 1)}/ws"
            sockets = [stack.enter_context(connect(address)) for _ in range(SESSIONS)]
            kinds = [Talk(socket).reset(LISTING)["type"] for socket in sockets]
            codes = [Talk(socket).end() for socket in sockets]

        assert kinds == ["observation"] * SESSIONS
        assert codes == [1000] * SESSIONS


def test_own_tasks(talk: Talk) -> None:
    """A reset without a task draws one of the server's, by the seed."""
    drawn = [talk.reset(seed=seed)["data"] for seed in (1, 1, 2, 3, 4, 5)]

    ids = [data["observation"]["task"]["task_id"] for data in drawn]
    assert ids[0] == ids[1]
    assert set(ids) == {11, 31}


# Clients


def test_stock_client(url: str) -> None:
    """The client that openenv ships plays an episode, and sees all of it."""
    with GenericEnvClient(base_url=url).sync() as client:
        first = client.reset(task=PIPELINE, episode_id="e")
        hinted = client.step({"command": HINT})
        half = client.step({"command": CREATE})
        last = client.step({"command": PUT})
        state = client.state()

    assert first.observation["command_output"] == READY
    assert (first.reward, first.done) == (0.0, False)
    assert hinted.observation["hints_used"] == 1
    assert half.observation["partial_progress"] == 0.5
    assert (last.reward, last.done) == (0.85, True)
    assert state["tracker"]["commands_executed"] == [CREATE, PUT]


def test_stock_client_hears_of_errors(url: str) -> None:
    """The client that openenv ships raises what the server says."""
    with (
        GenericEnvClient(base_url=url).sync() as client,
        pytest.raises(RuntimeError, match=r"before step\(\) \(code: EXECUTION_ERROR\)"),
    ):
        client.step({"command": "aws s3 ls"})


def test_our_client(url: str) -> None:
    """Our client plays the same episode."""
    with closing(Client(url)) as client:
        client.reset(PIPELINE, seed=1)
        client.step(CREATE)

        last = client.step(PUT)

    assert (last.reward, last.done, last.achieved) == (1.0, True, True)


# HTTP


@pytest.mark.parametrize(
    ("path", "status"),
    [("/health", 200), ("//health", 404), ("/metadata", 200), ("/nope", 404)],
)
def test_http(url: str, path: str, status: int) -> None:
    """Health and metadata are there."""
    assert httpx.get(f"{url}{path}").status_code == status


def test_health(url: str) -> None:
    """Health says what the reference's says."""
    assert httpx.get(f"{url}/health").json() == {"status": "healthy"}


def test_schema(url: str) -> None:
    """The schemas name what a client sends and gets."""
    schema = httpx.get(f"{url}/schema").json()

    assert schema["action"]["required"] == ["command"]
    assert set(shown(LISTING)) <= set(schema["observation"]["properties"])


def test_http_touches_no_session(talk: Talk, url: str) -> None:
    """An HTTP reset is a throw-away: no session loses its account by it."""
    talk.reset(PIPELINE)
    talk.step(CREATE)

    answer = httpx.post(f"{url}/reset", json={"task": LISTING, "episode_id": "x"})

    assert answer.json()["observation"]["episode_id"] == "x"
    assert "data-pipeline" in talk.step("aws s3 ls")["observation"]["command_output"]


# Starting


def test_token(open_session: Open, guarded: str) -> None:
    """Without the token only health is told; with it, everything."""
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    with pytest.raises(InvalidStatus) as refused:
        open_session(guarded)
    with pytest.raises(InvalidStatus):
        open_session(guarded, additional_headers={"Authorization": "Bearer x"})

    talk = open_session(guarded, additional_headers=bearer)

    assert refused.value.response.status_code == 403
    assert talk.reset(LISTING)["type"] == "observation"
    assert httpx.get(f"{guarded}/health").status_code == 200
    assert httpx.get(f"{guarded}/metadata").status_code == 401
    assert httpx.get(f"{guarded}/metadata", headers=bearer).status_code == 200


def test_reference_grading(open_session: Open, url: str, guarded: str) -> None:
    """A repaired drift is achieved at progress .3 in the reference, at 1 in ours."""
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    theirs = open_session(guarded, additional_headers=bearer)
    ours = open_session(url)
    frames = []
    for each in (theirs, ours):
        each.reset(VERSIONED)
        frames.append(each.step(REPAIR))

    assert [frame["done"] for frame in frames] == [True, True]
    assert [frame["reward"] for frame in frames] == [1.0, 1.0]
    assert [f["observation"]["partial_progress"] for f in frames] == [0.3, 1.0]


def test_others_need_a_token(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody serves a network by accident."""
    monkeypatch.delenv("AWSBENCH_ENV_TOKEN", raising=False)

    code = main(["--host=0.0.0.0", "--port=0"])

    assert code == 2
    assert "--host=0.0.0.0 can be reached by others" in capsys.readouterr().err


def test_port_in_use(url: str) -> None:
    """A port that is taken is said, with what to do."""
    port = url.rpartition(":")[2]

    ended = subprocess.run(
        [sys.executable, "-m", MODULE, f"--port={port}"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in ended.stderr
    assert "--port=0 for a free one" in ended.stderr


def test_ends_with_its_parent(tmp_path: Path) -> None:
    """It says where it listens, and is gone when its input is."""
    tasks = tmp_path / "tasks.yaml"
    tasks.write_text(json.dumps([LISTING]))
    flags = ["--port=0", "--workers=1", "--with-parent", f"--tasks={tasks}"]
    with subprocess.Popen(
        [sys.executable, "-m", MODULE, *flags],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        ready = json.loads(process.stdout.readline())
        health = httpx.get(f"{ready['url']}/health").status_code

        process.stdin.close()

        assert process.wait(30) == 0
    assert ready["pid"] == process.pid
    assert health == 200
