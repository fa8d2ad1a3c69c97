"""The client, against servers that fail in every way that was seen or feared."""

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest


pytest.importorskip("websockets")

from fault_server import (
    Behaviour,
    Faulty,
    Session,
    failing,
    full,
    good,
    http,
    in_turn,
    late,
    leaving,
    raw,
    saying,
    scripted,
    serve,
    silent,
    uttering,
)
from fault_server import closing as hanging_up

from pytest_awsbench.envs import client as envs_client
from pytest_awsbench.envs import reaching, sockets
from pytest_awsbench.envs.client import Client
from pytest_awsbench.envs.protocol import Environment
from pytest_awsbench.errors import AwsbenchError, ConfigError, DataError, InfraError


TASK = {"task_id": 7, "description": "List the buckets."}
HELP = "aws s3 help"
GONE = 'Could not connect to the endpoint URL: "http://127.0.0.1:4566/b"'
NO_HELP = "Failed to fetch service help: [Errno 111] Connection refused"

Start = Callable[..., tuple[Faulty, Client]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a server that behaves as told, and a client of it."""
    with ExitStack() as stack:

        def started(
            behave: Behaviour, timeout: float = 5.0, **options: Any
        ) -> tuple[Faulty, Client]:
            server = stack.enter_context(serve(behave, **options))
            client = stack.enter_context(closing(Client(server.url, timeout=timeout)))
            client.patience = 0.3
            return server, client

        yield started


def blamed(client: Client, error: AwsbenchError, *words: str) -> None:
    """Assert that an error names the server, and says these words."""
    said = str(error)
    assert client.url in said
    assert all(word in said for word in words), said


# Good servers


def test_episode(start: Start) -> None:
    """An episode is a reset and steps, with the state in between."""
    server, client = start(good)
    environment: Environment = client

    first = environment.reset(TASK, seed=3, episode_id="e")
    second = environment.step("aws s3 ls")

    assert first.output == "Environment reset. Infra state wiped."
    assert (second.step, second.output) == (1, "ran aws s3 ls")
    assert environment.state() == {"step_count": 1}
    sent = {"task": TASK, "seed": 3, "episode_id": "e"}
    assert server.heard[0] == {"type": "reset", "data": sent}


def test_nothing_before_the_first_reset(start: Start) -> None:
    """A client that is made connects to nobody; closing it does not, either."""
    server, client = start(good)

    client.close()

    assert server.sessions == []


def test_server_chooses(start: Start) -> None:
    """Without a task, none is sent."""
    server, client = start(good)

    client.reset()

    assert server.heard == [{"type": "reset", "data": {}}]


def test_socket_is_kept(start: Start) -> None:
    """Episodes share a socket."""
    server, client = start(good)

    for _ in range(5):
        client.reset(TASK)
        client.step("aws s3 ls")

    assert len(server.sessions) == 1


def test_close_frees_the_session(start: Start) -> None:
    """Closing waits until the server is through with the session, and is forgiving."""
    ended: list[int] = []

    def behave(session: Session) -> None:
        good(session)
        time.sleep(0.1)
        ended.append(session.number)

    server, client = start(behave)
    client.reset(TASK)

    client.close()
    client.close()

    assert ended == [0]
    assert server.heard[-1] == {"type": "close"}


def test_again_after_close(start: Start) -> None:
    """A client that was closed opens again."""
    server, client = start(good)
    client.reset(TASK)
    client.close()

    client.reset(TASK)

    assert len(server.sessions) == 2


def test_progress_and_hints_never_fall(start: Start) -> None:
    """What a server masks for a step is remembered, and forgotten by the next reset."""
    _, client = start(
        scripted(
            saying(),
            saying(step=1, progress=0.5, hints=1),
            saying(step=2, progress=0.0, hints=0),
            saying(),
        )
    )
    client.reset(TASK)

    seen = [client.step("x") for _ in range(2)]
    after = client.reset(TASK)

    assert [(o.progress, o.hints) for o in seen] == [(0.5, 1), (0.5, 1)]
    assert (after.progress, after.hints) == (0, 0)


def test_idle_while_a_model_thinks(start: Start) -> None:
    """Pings are answered while the caller is busy, or the server would hang up."""
    server, client = start(good, ping_interval=0.1, ping_timeout=0.4)
    client.reset(TASK)

    time.sleep(0.6)
    busy = time.monotonic() + 0.6
    while time.monotonic() < busy:
        sum(range(1000))
    seen = client.step("aws s3 ls")

    assert (seen.step, len(server.sessions)) == (1, 1)


def test_pings_of_our_own(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is gone without a word is noticed before the time is up."""
    monkeypatch.setattr(sockets, "PING_S", 0.1)
    monkeypatch.setattr(sockets, "PONG_S", 0.1)

    def deaf(session: Session) -> None:
        session.answer(session.hear())
        session.hear()
        with session.socket.protocol_mutex:
            time.sleep(1)

    _, client = start(deaf, timeout=60)
    client.reset(TASK)

    with pytest.raises(InfraError, match=r"ended \(1011 keepalive ping timeout\)"):
        client.step("aws s3 ls")


def test_long_answers(start: Start) -> None:
    """Man pages and listings of any length arrive."""
    _, client = start(scripted(saying(), saying(step=1, output="x" * 3_000_000)))
    client.reset(TASK)

    assert len(client.step("aws s3 ls").output) == 3_000_000


# Servers without room


def test_full_for_a_while(start: Start) -> None:
    """A server that is full is asked again."""
    server, client = start(in_turn(full, full, good))

    client.reset(TASK)

    assert len(server.sessions) == 3


def test_full_for_good(start: Start) -> None:
    """Patience has an end, and the error says what would help."""
    server, client = start(full)

    with pytest.raises(InfraError) as caught:
        client.reset(TASK)

    blamed(client, caught.value, "CAPACITY_REACHED", "1/1", "close other sessions")
    assert f"(after {len(server.sessions)} tries)" in str(caught.value)


def test_full_after_a_pause(start: Start) -> None:
    """An error that answers the reset itself is the same as one that came before."""
    server, client = start(in_turn(scripted(failing("FACTORY_ERROR"), leave), good))

    client.reset(TASK)

    assert len(server.sessions) == 2


def leave(session: Session) -> None:
    """Close."""
    session.socket.close()


def test_reopening_races(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who reopens at once finds room in the end, every time."""
    monkeypatch.setattr(envs_client, "FIRST_WAIT_S", 0.005)
    turns = itertools.cycle([failing("FACTORY_ERROR"), leaving, full, good, good])
    server, client = start(lambda session: next(turns)(session))  # noqa: PLW0108 - one each
    client.patience = 30

    for _ in range(40):
        client.reset(TASK)
        assert client.step("aws s3 ls").step == 1
        client.close()

    assert len(server.sessions) > 60


def test_slots_that_come_back_late(start: Start) -> None:
    """A slot that is freed after the socket was closed is waited for."""
    taken: list[float] = [0.0]

    def behave(session: Session) -> None:
        if time.monotonic() < taken[0]:
            session.error("FACTORY_ERROR")
            return
        good(session)
        taken[0] = time.monotonic() + 0.03

    server, client = start(behave)
    client.patience = 30

    for _ in range(20):
        client.reset(TASK)
        client.close()

    assert len(server.sessions) > 30


def test_closed_between_episodes(start: Start) -> None:
    """A socket that was closed while idle costs nothing: the next reset has another."""
    server, client = start(in_turn(scripted(saying(), saying(step=1), leave), good))
    client.reset(TASK)
    client.step("aws s3 ls")
    server.sessions[0].socket.close()

    client.reset(TASK)

    assert (client.step("aws s3 ls").step, len(server.sessions)) == (1, 2)


# Servers that fail


def test_closed_in_mid_episode(start: Start) -> None:
    """A server that hangs up takes the episode with it, and the next one is new."""
    server, client = start(in_turn(scripted(saying(), hanging_up(1012, "bye")), good))
    client.reset(TASK)

    with pytest.raises(InfraError) as caught:
        client.step("aws s3 ls")

    blamed(client, caught.value, "ended (1012 bye)", "run again")
    with pytest.raises(InfraError, match="no episode is open there; reset first"):
        client.step("aws s3 ls")
    client.reset(TASK)
    assert len(server.sessions) == 2


def test_closed_for_good_reason(start: Start) -> None:
    """A server that refuses what was sent is not asked the same again."""
    server, client = start(scripted(hanging_up(1008, "policy")))

    with pytest.raises(InfraError, match="1008 policy"):
        client.reset(TASK)

    assert len(server.sessions) == 1


@pytest.mark.parametrize("data", ["{oops", "[]", b"\x00", '{"type": "state"}'])
def test_malformed(start: Start, data: str | bytes) -> None:
    """Who talks nonsense is not asked again on this socket."""
    server, client = start(in_turn(scripted(saying(), raw(data)), good))
    client.reset(TASK)

    with pytest.raises(InfraError) as caught:
        client.step("aws s3 ls")

    blamed(client, caught.value, "cannot read the answer", "check that")
    client.reset(TASK)
    assert len(server.sessions) == 2


def test_never_answers(start: Start) -> None:
    """Silence is an error with its length."""
    server, client = start(silent, timeout=0.1)

    with pytest.raises(InfraError) as caught:
        client.reset(TASK)

    blamed(client, caught.value, "no answer in 0.1 s", "allow it more time")
    assert len(server.sessions) == 1


def test_late_answer_is_nobodys(start: Start) -> None:
    """An answer that comes too late never answers the next question."""
    server, client = start(in_turn(late(0.3), good), timeout=0.1)
    client.reset(TASK)
    with pytest.raises(InfraError, match=r"no answer in 0\.1 s"):
        client.step("aws s3 mb s3://late")

    time.sleep(0.4)
    first = client.reset(TASK)
    second = client.step("aws s3 ls")

    assert first.step == 0
    assert (second.step, second.output) == (1, "ran aws s3 ls")
    assert len(server.sessions) == 2


def test_interrupted(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that nobody waited for never answers the next question, either."""

    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    server, client = start(good)
    client.reset(TASK)
    with monkeypatch.context() as patch:
        patch.setattr(sockets, "parse", interrupted)
        with pytest.raises(KeyboardInterrupt):
            client.step("aws s3 mb s3://b")

    client.reset(TASK)

    assert client.step("aws s3 ls").output == "ran aws s3 ls"
    assert len(server.sessions) == 2


def twice(session: Session) -> None:
    """Answer twice."""
    session.show(step=1, output="one")
    session.show(step=1, output="one too many")


def test_answers_twice(start: Start) -> None:
    """An answer too many is not taken for the next one."""
    _, client = start(in_turn(scripted(saying(), twice), good))
    client.reset(TASK)
    client.step("aws s3 ls")
    time.sleep(0.1)

    with pytest.raises(InfraError) as caught:
        client.step("aws s3 ls")

    blamed(client, caught.value, "sent 'observation' unasked", "run again")


def test_unasked_between_episodes(start: Start) -> None:
    """An answer too many before a reset costs a socket, nothing else."""
    server, client = start(in_turn(scripted(saying(), twice), good))
    client.reset(TASK)
    client.step("aws s3 ls")
    time.sleep(0.1)

    client.reset(TASK)

    assert (client.step("x").output, len(server.sessions)) == ("ran x", 2)


@pytest.mark.parametrize("code", ["EXECUTION_ERROR", "SESSION_ERROR", "UNKNOWN_TYPE"])
def test_error_frames(start: Start, code: str) -> None:
    """An error of the server is told with its code and its message."""
    server, client = start(in_turn(scripted(saying(), failing(code, "boom")), good))
    client.reset(TASK)

    with pytest.raises(InfraError) as caught:
        client.step("aws s3 ls")

    blamed(client, caught.value, f"answered {code}: boom", "see its log")
    client.reset(TASK)
    assert len(server.sessions) == 2


def test_error_of_a_reset(start: Start) -> None:
    """A reset that fails for another reason than room fails at once."""
    server, client = start(
        scripted(failing("EXECUTION_ERROR", "[Errno 111] Connection refused"))
    )

    with pytest.raises(InfraError, match=r"EXECUTION_ERROR: .*Connection refused"):
        client.reset(TASK)

    assert len(server.sessions) == 1


def test_error_of_the_state(start: Start) -> None:
    """A state that cannot be had is told as such."""
    _, client = start(scripted(saying(), failing("EXECUTION_ERROR", "boom")))
    client.reset(TASK)

    with pytest.raises(InfraError, match="EXECUTION_ERROR: boom"):
        client.state()


def test_state_of_another_kind(start: Start) -> None:
    """What answers a question for the state must be one."""
    _, client = start(scripted(saying(), saying()))
    client.reset(TASK)

    with pytest.raises(InfraError, match="asked for its state, the server sent"):
        client.state()


INVALID = failing(
    "VALIDATION_ERROR",
    "Invalid message",
    errors=[{"loc": ["description"], "msg": "Field required"}],
)


def test_task_is_refused(start: Start) -> None:
    """A task that a server refuses is named; the session lives on."""
    server, client = start(scripted(INVALID))

    with pytest.raises(DataError) as caught:
        client.reset({"task_id": 7})

    blamed(client, caught.value, "task 7", "description: Field required", "mend")
    with pytest.raises(InfraError, match="no episode is open there"):
        client.step("aws s3 ls")
    client.reset(TASK)
    assert len(server.sessions) == 1


def test_request_is_refused(start: Start) -> None:
    """Where we gave no task, the user has none to mend."""
    _, client = start(scripted(INVALID))

    with pytest.raises(InfraError, match="VALIDATION_ERROR"):
        client.reset()


# Servers whose emulator fails


def test_emulator_is_gone(start: Start) -> None:
    """A dead emulator is no failure of the model."""
    server, client = start(
        scripted(
            saying(),
            saying(step=1, success=False, error=GONE, reward=0.2),
            saying(step=2, success=False, error=NO_HELP),
        )
    )
    client.reset(TASK)

    with pytest.raises(InfraError) as caught:
        client.step("aws s3 rb s3://b")

    blamed(client, caught.value, "emulator behind it is gone", "start the server anew")
    assert server.commands() == ["aws s3 rb s3://b", HELP]


def test_help_is_gone(start: Start) -> None:
    """So is one that the server itself cannot reach."""
    server, client = start(
        scripted(saying(), saying(step=1, success=False, error=NO_HELP))
    )
    client.reset(TASK)

    with pytest.raises(InfraError, match="Failed to fetch service help"):
        client.step("aws sqs help")

    assert server.commands() == ["aws sqs help"]


@pytest.mark.parametrize(
    "command",
    [
        "aws s3 ls --endpoint-url http://127.0.0.1:4566",
        "aws s3control list-access-points --account-id 123456789012",
    ],
)
def test_command_leads_astray(start: Start, command: str) -> None:
    """A command that cannot reach anything by its own fault is the model's failure.

    The question whether the emulator is there shows in no count.
    """
    server, client = start(
        scripted(
            saying(),
            saying(step=1, success=False, error=GONE),
            saying(step=2, output="s3: …"),
            saying(step=3),
        )
    )
    client.reset(TASK)

    seen = client.step(command)
    after = client.step("aws s3 ls")

    assert (seen.success, seen.error) == (False, GONE)
    assert (seen.step, after.step) == (1, 2)
    assert server.commands() == [command, HELP, "aws s3 ls"]


def test_printed_words_mean_nothing(start: Start) -> None:
    """A command that succeeds may print whatever it likes."""
    server, client = start(
        scripted(saying(), saying(step=1, output=GONE, error=NO_HELP))
    )
    client.reset(TASK)

    assert client.step("aws s3 cp s3://b/log -").success
    assert len(server.commands()) == 1


REAL = 'Could not connect to the endpoint URL: "https://queue.amazonaws.com/"'


def test_cli_asks_aws(start: Start) -> None:
    """A server whose CLI ignores the emulator fails; the model does not."""
    _, client = start(scripted(saying(), saying(step=1, success=False, error=REAL)))
    client.reset(TASK)

    with pytest.raises(InfraError) as caught:
        client.step("aws sqs list-queues")

    blamed(client, caught.value, "asks AWS itself", "AWS_ENDPOINT_URL")


def test_model_asks_aws(start: Start) -> None:
    """A model that names AWS in its command gets what it asked for."""
    _, client = start(scripted(saying(), saying(step=1, success=False, error=REAL)))
    client.reset(TASK)

    seen = client.step("aws sqs list-queues --endpoint-url https://queue.amazonaws.com")

    assert not seen.success


# What is no server


def test_nobody_is_there() -> None:
    """A port that nobody listens on says so at once."""
    with serve(good) as server:
        client = Client(server.url)

    with pytest.raises(InfraError) as caught:
        client.reset(TASK)

    blamed(client, caught.value, "cannot be reached: Connection refused", "start the")


def test_unknown_host() -> None:
    """A name that leads nowhere is shown with what the resolver said."""
    client = Client("http://nowhere.invalid:1", connect_timeout=5)

    with pytest.raises(InfraError) as caught:
        client.reset(TASK)

    blamed(client, caught.value, "correct the URL")


def test_port_that_keeps_silent() -> None:
    """A port that accepts and says nothing is given up."""
    with serve(good, process_request=lambda *_: time.sleep(0.5)) as server:
        client = Client(server.url, connect_timeout=0.1)
        with pytest.raises(InfraError) as caught:
            client.reset(TASK)

    blamed(client, caught.value, "no connection in 0.1 s", "check that the server runs")


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", ConfigError, "does not speak WebSocket"),
        (b"\x15\x03\x01\x00\x02\x02\x16\r\n", ConfigError, "if the server wants TLS"),
        (b"HTTP/1.0 404 File not found\r\n\r\n", ConfigError, "check the port"),
        (b"", InfraError, "the connection ended before"),
    ],
)
def test_other_protocols(data: bytes, kind: type[AwsbenchError], words: str) -> None:
    """What speaks something else is told from a server that stops."""
    with uttering(data) as url:
        client = Client(url)
        with pytest.raises(kind) as caught:
            client.reset(TASK)

    blamed(client, caught.value, words)


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (200, ConfigError, "no OpenEnv server is there"),
        (404, ConfigError, "no OpenEnv server is there"),
        (401, ConfigError, "set a token"),
        (403, ConfigError, "set a token"),
        (429, InfraError, "try again later"),
        (503, InfraError, "try again later"),
    ],
)
def test_http(status: int, kind: type[AwsbenchError], words: str) -> None:
    """A plain HTTP server is told from one that is out of order."""
    with http(status) as url:
        client = Client(url)
        with pytest.raises(kind) as caught:
            client.reset(TASK)

    blamed(client, caught.value, f"answered HTTP {status}" if status == 404 else words)


def test_no_tls() -> None:
    """TLS with a plain server is the URL's fault, and the error says which is right."""
    with uttering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url:
        client = Client(url.replace("http", "https"))
        with pytest.raises(ConfigError) as caught:
            client.reset(TASK)

    blamed(client, caught.value, "no TLS there", "give http://")


def test_no_tls_with_websockets(start: Start) -> None:
    """The same holds for a server that would do, but for TLS."""
    server, _ = start(good)
    client = Client(server.url.replace("http", "https"))

    with pytest.raises(AwsbenchError) as caught:
        client.reset(TASK)

    blamed(client, caught.value, "http://")


def test_proxies_of_the_loopback(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody proxies for this machine."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    _, client = start(good)

    assert client.reset(TASK).step == 0


def test_proxy_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that cannot be used is the machine's fault, not the server's."""
    monkeypatch.setenv("https_proxy", "ftp://127.0.0.1:9")
    client = Client("https://env.invalid")

    with pytest.raises(ConfigError) as caught:
        client.reset(TASK)

    blamed(client, caught.value, "proxy", "NO_PROXY")


def test_proxy_that_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that does not lead there may do so later."""
    with uttering(b"HTTP/1.1 503 Service Unavailable\r\n\r\n") as proxy:
        monkeypatch.setenv("https_proxy", proxy)
        client = Client("https://env.invalid")
        with pytest.raises(InfraError) as caught:
            client.reset(TASK)

    blamed(client, caught.value, "proxy does not lead there", "NO_PROXY")


def test_token(start: Start) -> None:
    """A token is sent as a bearer token, and no error shows it."""
    server, _ = start(full)
    client = Client(server.url, token="secret-token")
    client.patience = 0.01

    with pytest.raises(InfraError) as caught:
        client.reset(TASK)

    request = server.sessions[0].socket.request
    assert request is not None
    assert request.headers["Authorization"] == "Bearer secret-token"
    assert "secret-token" not in str(caught.value)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without websockets, the error says how to install it."""
    monkeypatch.setattr(reaching, "find_spec", lambda _: None)
    client = Client("http://127.0.0.1:9")

    with pytest.raises(ConfigError) as caught:
        client.reset(TASK)

    blamed(client, caught.value, 'pip install "pytest-awsbench[env]"')
