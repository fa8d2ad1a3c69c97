"""Models behind the tests' chat server: they retry without waiting."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from chat_server import Chat

from pytest_awsbench.models.endpoints import ServedSpec
from pytest_awsbench.models.listing import card
from pytest_awsbench.models.served import ServedModel
from pytest_awsbench.records import Message, Prompt


Served = Callable[..., ServedModel]
"""Makes a model of the server; arguments are those of `ServedSpec`."""


def ask(*words: str) -> list[Prompt]:
    """Return prompts of one message each."""
    return [(Message("user", text),) for text in words]


@contextmanager
def models_of(chat: Chat, waits: list[float]) -> Iterator[Served]:
    """Make models of the server, and close them at the end.

    Args:
        chat: the server.
        waits: takes how long each retry would have waited.

    """
    made = []

    def make(**settings: Any) -> ServedModel:
        spec = ServedSpec(**{"base_urls": (chat.url,), "model": "small", **settings})
        model = ServedModel(spec, card("small", spec, None), sleep=waits.append)
        made.append(model)
        return model

    yield make
    for model in made:
        model.close()
