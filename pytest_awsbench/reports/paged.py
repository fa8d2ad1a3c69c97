"""Items that are simply right, as JSON inside the page: its script shows them in pages.

Texts are plain strings, or ``[text, characters missing]`` where something was cut off.
"""

import json
from collections.abc import Sequence
from typing import Any

from pytest_awsbench.reports.items import Asked, Item, Items, Played, Text


#: What would end a script element, or open another, written as JSON allows.
_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def paged(items: Items) -> str:
    """Return the right items as JSON that is safe inside a ``script`` element."""
    # Models of one suite were asked the same: what was asked is written once.
    places: dict[int, int] = {}
    samples: list[Any] = []
    rows = []
    for item in items.of("right"):
        place = places.setdefault(id(item.asked), len(samples))
        if place == len(samples):
            samples.append(_asked(item.asked))
        rows.append(_row(item, place))
    document = {"samples": samples, "items": rows}
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return text.translate(_ESCAPES)


def _asked(asked: Asked) -> list[Any]:
    """Return what was asked: messages, target, tier, source, task."""
    messages = [[role, _text(text)] for role, text in asked.messages]
    return [messages, _text(asked.target), asked.tier, asked.source, asked.task]


def _row(item: Item, sample: int) -> list[Any]:
    """Return one item: node id, command, run, sample, outcome, answers, episodes."""
    answers = [[count, _text(text)] for count, text in item.answers]
    return [
        item.node_id,
        item.command,
        item.run,
        sample,
        item.outcome,
        answers,
        [_played(episode) for episode in item.played],
    ]


def _played(episode: Played) -> list[Any]:
    """Return one trial: achieved, reward, progress, cap, turns."""
    turns: Sequence[Any] = [
        [
            _text(turn.command),
            _text(turn.output),
            _text(turn.error),
            turn.reward,
            turn.progress,
            turn.success,
        ]
        for turn in episode.turns
    ]
    return [episode.achieved, episode.reward, episode.progress, episode.cap, turns]


def _text(text: Text) -> str | list[str | int]:
    """Return a text."""
    return [text.shown, text.missing] if text.missing else text.shown
