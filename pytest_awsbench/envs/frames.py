"""Frames of the protocol: what is sent, and what an answer says."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pytest_awsbench.envs.protocol import Observation
from pytest_awsbench.errors import InfraError


_SHOWN = 120
_CHECK = "check that an aws_rl_env server of openenv-core 0.2 or 0.3 is there"


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded frame."""

    kind: str
    """``observation``, ``state`` or ``error``."""
    data: Mapping[str, Any]

    @property
    def code(self) -> str:
        """What an error is called; empty where none is told."""
        return str(self.data.get("code", ""))

    @property
    def message(self) -> str:
        """What an error says, with whatever it objects to."""
        found = self.data.get("errors")
        errors = found if isinstance(found, list) else []
        details = [_detail(e) for e in errors if isinstance(e, Mapping)]
        return "; ".join([str(self.data.get("message", "no message")), *details[:3]])


class _Wire(BaseModel):
    """What must not be guessed is required, and nothing is converted."""

    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False)


class _Shown(_Wire):
    """The observation inside of a frame.

    Some clients drop progress and hints, and then report 0: here they must be there.
    """

    step_count: Annotated[int, Field(ge=0)]
    command_success: bool
    command_output: str = ""
    error: str = ""
    task_achieved: bool
    partial_progress: Annotated[float, Field(ge=0, le=1)]
    hints_used: Annotated[int, Field(ge=0)]
    hint_text: str = ""


class _Answer(_Wire):
    """The data of an observation's frame."""

    observation: _Shown
    reward: float | None
    done: bool


def request(kind: str, data: Mapping[str, Any] | None = None) -> str:
    """Return the frame that asks for something."""
    return json.dumps({"type": kind} if data is None else {"type": kind, "data": data})


def parse(raw: str | bytes, url: str) -> Frame:
    """Decode a frame.

    Raises:
        InfraError: if it is none, naming the server.

    """
    if isinstance(raw, bytes):
        raise _malformed(raw, url, "binary")
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise _malformed(raw, url, f"not JSON: {error}") from error
    match value:
        case {"type": str(kind), "data": dict(data)}:
            return Frame(kind, data)
        case _:
            raise _malformed(raw, url, "no object with a type and data")


def observation(frame: Frame, url: str) -> Observation:
    """Return what a frame shows.

    Raises:
        InfraError: if it is no observation, naming the server and what is amiss.

    """
    raw = request(frame.kind, frame.data)
    if frame.kind != "observation":
        raise _malformed(raw, url, "no observation")
    try:
        answer = _Answer.model_validate(frame.data)
    except ValidationError as error:
        detail = _detail(error.errors()[0])
        raise _malformed(raw, url, f"no observation: {detail}") from error
    shown = answer.observation
    if answer.reward is None and shown.step_count:
        raise _malformed(raw, url, "a step without a reward")
    return Observation(
        step=shown.step_count,
        success=shown.command_success,
        output=shown.command_output,
        error=shown.error,
        # A reset earns nothing, and a server may say so in this way.
        reward=answer.reward or 0.0,
        done=answer.done,
        achieved=shown.task_achieved,
        progress=shown.partial_progress,
        hints=shown.hints_used,
        hint=shown.hint_text,
    )


def encode(seen: Observation) -> dict[str, Any]:
    """Return the data of the frame that shows an observation."""
    return {
        "observation": {
            "step_count": seen.step,
            "command_success": seen.success,
            "command_output": seen.output,
            "error": seen.error,
            "task_achieved": seen.achieved,
            "partial_progress": seen.progress,
            "hints_used": seen.hints,
            "hint_text": seen.hint,
        },
        "reward": seen.reward,
        "done": seen.done,
    }


def _detail(error: Mapping[str, Any]) -> str:
    """Say where an answer or a request is amiss, and how."""
    place = ".".join(str(part) for part in error.get("loc", ()))
    return f"{place}: {error.get('msg', '')}"


def _malformed(raw: str | bytes, url: str, why: str) -> InfraError:
    """Return the error for what nobody can read."""
    start = repr(raw[:_SHOWN]) + ("…" if len(raw) > _SHOWN else "")
    return InfraError(f"{url}: cannot read the answer ({why}): {start}; {_CHECK}")
