"""A served model that did not say who it is: all that it is asked is lost."""

from collections.abc import Sequence

from pytest_awsbench.errors import InfraError
from pytest_awsbench.records import Completion, Decoding, ModelCard, Prompt


class AbsentModel:
    """Stands in the place of a model that failed before the first item.

    Args:
        card: who it should be.
        why: in the server's words.

    """

    notes: Sequence[str] = ()

    def __init__(self, card: ModelCard, why: str) -> None:
        self.card = card
        self._why = why

    def generate(
        self, prompts: Sequence[Prompt], decoding: Decoding
    ) -> list[Completion]:
        """Answer nothing.

        Raises:
            InfraError: always.

        """
        del prompts, decoding
        raise InfraError(self._why)

    def close(self) -> None:
        """Free nothing."""
