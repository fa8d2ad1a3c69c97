"""The demo pair through the fixtures, as a team would use them beside the suites.

``pytest -m dataset`` judges the suite and its gates (``[tool.awsbench]`` in
``pyproject.toml``, ``conftest.py``); these tests look at single answers.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from pytest_awsbench import Completion


if TYPE_CHECKING:
    from pytest_awsbench.handles import ModelHandle

pytestmark = [pytest.mark.dataset, pytest.mark.torch]

SYSTEM = "Reply with exactly one AWS CLI command."
BUCKETS = ("amber-falcon", "copper-meadow")


@pytest.mark.parametrize(
    "prompt", [f"TASK: Create an S3 bucket called {name}." for name in BUCKETS]
)
def test_answers_with_a_command(prompt: str, awsbench_completion: Completion) -> None:
    """Prompts that are parameters are asked in one batch, before their tests run."""
    assert prompt.startswith("TASK:")
    assert "aws" in awsbench_completion.text


def test_same_prompt_same_answer(
    awsbench_generate: Callable[..., Completion],
) -> None:
    """Greedy decoding answers the same question the same way."""
    prompt = [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": "TASK: List all SQS queues."},
    ]

    first, second = awsbench_generate(prompt), awsbench_generate(prompt)

    assert first.text == second.text


def test_model_is_the_configured_one(awsbench_model: "ModelHandle") -> None:
    """A test can reach the tokenizer and the torch module behind the name."""
    assert awsbench_model.name == "sft"
    assert awsbench_model.tokenizer.chat_template
    assert next(awsbench_model.module.parameters()).requires_grad is False
