"""Frames: what servers were seen to send, and what they must not."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_awsbench.envs.frames import encode, observation, parse, request
from pytest_awsbench.envs.protocol import Observation
from pytest_awsbench.errors import InfraError


pytest.importorskip("websockets")

URL = "ws://127.0.0.1:8000/ws"


def seen(**changes: Any) -> dict[str, Any]:
    """Return an observation as servers send it."""
    return {
        "episode_id": "ep-1",
        "step_count": 1,
        "command_success": True,
        "command_output": "",
        "error": "",
        "task": {
            "task_id": 11,
            "difficulty": "intermediate",
            "description": "Create an S3 bucket.",
            "desired_state_spec": None,
        },
        "task_achieved": False,
        "partial_progress": 0.0,
        "hints_used": 0,
        "hint_text": "",
        **changes,
    }


def frame(reward: Any = 0.0, *, done: Any = False, **changes: Any) -> str:
    """Return the frame of an observation."""
    data = {"observation": seen(**changes), "reward": reward, "done": done}
    return json.dumps({"type": "observation", "data": data})


def decoded(text: str | bytes) -> Observation:
    """Decode a frame."""
    return observation(parse(text, URL), URL)


def test_reset() -> None:
    """A reset shows an empty world."""
    text = frame(step_count=0, command_output="Environment reset. Infra state wiped.")

    assert decoded(text) == Observation(output="Environment reset. Infra state wiped.")


def test_step_with_a_hint() -> None:
    """Hints and progress, which other clients drop, arrive."""
    text = frame(
        0.34,
        step_count=4,
        command_output="You'll need these AWS services: s3api",
        partial_progress=0.5,
        hints_used=1,
        hint_text="You'll need these AWS services: s3api",
    )

    found = decoded(text)

    assert (found.step, found.reward, found.progress) == (4, 0.34, 0.5)
    assert (found.hints, found.hint) == (1, "You'll need these AWS services: s3api")


def test_failure() -> None:
    """A command that fails is an answer like any other."""
    found = decoded(frame(command_success=False, error="\nusage: aws [options]\n"))

    assert (found.success, found.error) == (False, "\nusage: aws [options]\n")


def test_done() -> None:
    """A task that is done is shown as such; luck may pay more than 1."""
    found = decoded(frame(1.05, done=True, task_achieved=True, partial_progress=1.0))

    assert (found.reward, found.done, found.achieved) == (1.05, True, True)


def test_reset_without_a_reward() -> None:
    """Before the first step, no reward is none earned."""
    assert decoded(frame(None, step_count=0)).reward == 0


def test_keys_of_later_servers() -> None:
    """What a server adds is left alone."""
    assert decoded(frame(step_count=2, region="us-east-1")).step == 2


@given(
    st.builds(
        Observation,
        step=st.integers(0, 99),
        output=st.text(),
        reward=st.floats(0, 1.05),
        progress=st.floats(0, 1),
        hints=st.integers(0, 9),
    )
)
def test_there_and_back(shown: Observation) -> None:
    """What is encoded is what is decoded."""
    assert decoded(request("observation", encode(shown))) == shown


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"\x00\x01", "binary"),
        ("<html>", "not JSON"),
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "no object with a type and data"),
        ('{"type": 1, "data": {}}', "no object with a type and data"),
        ('{"type": "observation"}', "no object with a type and data"),
        ('{"type": "state", "data": {}}', "no observation"),
        ('{"type": "observation", "data": {}}', "observation: Field required"),
        (frame("1.0"), "reward: Input should be a valid number"),
        (frame(float("nan")), "reward: Input should be a finite number"),
        (frame(None), "a step without a reward"),
        (frame(done=None), "done: Input should be a valid boolean"),
        (frame(step_count=True), "observation.step_count"),
        (frame(step_count=-1), "observation.step_count"),
        (frame(command_success=1), "observation.command_success"),
        (frame(command_output=None), "observation.command_output"),
        (frame(partial_progress=1.5), "observation.partial_progress"),
        (frame(hints_used=None), "observation.hints_used"),
    ],
)
def test_unreadable(text: str | bytes, why: str) -> None:
    """What cannot be read is infrastructure, with the server, the place and a part."""
    with pytest.raises(InfraError) as caught:
        decoded(text)

    said = str(caught.value)
    assert said.startswith(f"{URL}: cannot read the answer ("), said
    assert why in said
    assert "check that an aws_rl_env server" in said
    assert len(said) < 500


@pytest.mark.parametrize("key", ["partial_progress", "hints_used", "task_achieved"])
def test_nothing_is_guessed(key: str) -> None:
    """What a server does not tell is not taken for 0."""
    shown = seen()
    del shown[key]
    data = {"observation": shown, "reward": 0.0, "done": False}

    with pytest.raises(InfraError, match=rf"observation\.{key}: Field required"):
        decoded(json.dumps({"type": "observation", "data": data}))


def test_error_in_words() -> None:
    """An error tells its code, and where what was sent is amiss."""
    errors = [{"loc": ["task_id"], "msg": "Input should be >= 0", "input": -1}]
    data = {"message": "Invalid message", "code": "VALIDATION_ERROR", "errors": errors}

    found = parse(request("error", data), URL)

    assert found.code == "VALIDATION_ERROR"
    assert found.message == "Invalid message; task_id: Input should be >= 0"


def test_error_without_words() -> None:
    """An error that says nothing is still one."""
    found = parse('{"type": "error", "data": {"errors": "?"}}', URL)

    assert (found.code, found.message) == ("", "no message")
