"""The embedded environment through its fixture, as a team would use it.

``pytest -m env`` plays the suite and judges its gate; these tests look at what a task
takes, without any model.
"""

from typing import TYPE_CHECKING

import pytest


if TYPE_CHECKING:
    from pytest_awsbench.handles import EnvHandle

pytest.importorskip("openenv")

pytestmark = [pytest.mark.env, pytest.mark.live]

TASK = {
    "task_id": 1,
    "difficulty": "intermediate",
    "description": "Create a queue called orders and a topic called alerts",
    "success_criteria": {
        "services": ["sqs", "sns"],
        "steps": [
            {"operation": "create-queue", "resource": "orders"},
            {"operation": "create-topic", "resource": "alerts"},
        ],
    },
}


def test_half_is_half(awsbench_env: "EnvHandle") -> None:
    """Progress shows on the way, and the episode ends when all is done."""
    awsbench_env.reset(TASK)

    half = awsbench_env.step("aws sqs create-queue --queue-name orders")
    done = awsbench_env.step("aws sns create-topic --name alerts")

    assert (half.done, half.progress) == (False, 0.5)
    assert (done.done, done.reward) == (True, 1.0)


def test_hints_cost(awsbench_env: "EnvHandle") -> None:
    """A hint lowers what the solution earns."""
    awsbench_env.reset(TASK)

    hint = awsbench_env.step("aws help --task-hint")
    awsbench_env.step("aws sqs create-queue --queue-name orders")
    done = awsbench_env.step("aws sns create-topic --name alerts")

    assert "sqs, sns" in hint.output
    assert done.reward == pytest.approx(0.85)
