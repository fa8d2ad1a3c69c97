"""Episodes that a server plays: as many requests in flight as it takes, no rounds."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from chat_server import Answer, Asked, Chat, refuses, says, serve
from toy_env import Words, tasks

from pytest_awsbench.answering import each
from pytest_awsbench.episodes import Episode, Play
from pytest_awsbench.errors import InfraError, ModelError
from pytest_awsbench.models.endpoints import ServedSpec
from pytest_awsbench.models.listing import card
from pytest_awsbench.models.served import ServedModel
from pytest_awsbench.records import Answer as Kept
from pytest_awsbench.records import Decoding
from pytest_awsbench.suites.playing import Player
from pytest_awsbench.suites.prompting import SftAdapter
from pytest_awsbench.suites.seating import Rules


LONG_S = 120.0
"""Longer than anything takes that goes well, seconds."""


@dataclass
class Gauge:
    """Counts how many requests are in flight, and how many there were at most."""

    answer: Callable[[Asked], Answer]
    now: int = 0
    most: int = 0

    def __post_init__(self) -> None:
        """Begin with none."""
        self._lock = threading.Lock()

    def __call__(self, asked: Asked) -> Answer:
        """Answer, counted."""
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            return self.answer(asked)
        finally:
            with self._lock:
                self.now -= 1


def speaks(asked: Asked) -> Answer:
    """Say the next word of the task."""
    lines = asked.words.splitlines()
    step = next(int(line[6:]) for line in lines if line.startswith("Step: "))
    return says(f"aws say {lines[0].removeprefix('TASK: ').split()[step]}")


@pytest.fixture
def chat() -> Iterator[Chat]:
    """A server that says the words of its tasks."""
    with serve(speaks) as served:
        yield served


def play(
    chat: Chat, *texts: str, concurrency: int = 4, **rules: Any
) -> dict[str, Kept | InfraError]:
    """Play tasks with the server and return what was kept, by the task's words."""
    kept: dict[str, Kept | InfraError] = {}
    spec = ServedSpec(base_urls=(chat.url,), model="small", concurrency=concurrency)
    model = ServedModel(spec, card("small", spec, None), sleep=lambda _: None)
    given = {"adapter": SftAdapter("Say."), "decoding": Decoding(), **rules}
    try:
        Player(Rules(**given), Words, each).play(
            model,
            tasks(*texts),
            lambda sample, answer: kept.update({sample.prompt[0].content: answer}),
            lambda: False,
        )
    finally:
        model.close()
    return kept


def episode(kept: dict[str, Kept | InfraError], text: str) -> Episode:
    """Return the one trial of a task."""
    found = kept[text]
    assert isinstance(found, Play)
    return found.episodes[0]


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_requests_in_flight(chat: Chat, temperature: float) -> None:
    """Sampled or not, `concurrency` requests are in flight, never more.

    Each request waits for three others: asked one by one, none would be answered.
    """
    together = threading.Barrier(4, timeout=LONG_S)

    def meets(asked: Asked) -> Answer:
        together.wait()
        return speaks(asked)

    gauge = chat.behave = Gauge(meets)
    texts = [f"a{n}" for n in range(16)]

    kept = play(chat, *texts, live=8, decoding=Decoding(temperature=temperature))

    assert all(episode(kept, text).achieved for text in texts)
    assert gauge.most == 4


def test_a_slow_answer_keeps_nobody_waiting(chat: Chat) -> None:
    """The others are played to their end while one waits for its first answer."""
    others = threading.Event()

    def slowly(asked: Asked) -> Answer:
        if "slow" in asked.words:
            assert others.wait(LONG_S)
        elif len(chat.asked) >= 1 + 3 * 4:
            others.set()
        return speaks(asked)

    chat.behave = slowly
    texts = ["slow", *(f"a{n} b{n} c{n}" for n in range(4))]

    kept = play(chat, *texts, live=5)

    assert all(episode(kept, text).achieved for text in texts)


@pytest.mark.parametrize("live", [1, 6])
def test_seeds_do_not_depend_on_company(chat: Chat, live: int) -> None:
    """A turn is sampled by a seed of its own, whoever else is live."""
    texts = [f"a{n} b{n}" for n in range(6)]

    kept = play(chat, *texts, live=live, decoding=Decoding(temperature=0.5))

    sent: dict[str, set[int]] = {text: set() for text in texts}
    for asked in chat.asked:
        sent[asked.words.splitlines()[0][6:]].add(asked.body["seed"])
    for text in texts:
        seed = episode(kept, text).seed
        assert sent[text] == {seed, seed + 1}


def test_prompts_beyond_the_context(chat: Chat) -> None:
    """What the server finds too long loses its oldest turns, and the turn says so."""

    def small(asked: Asked) -> Answer:
        length = asked.words.count("aws say")
        if length <= 2:
            return speaks(asked)
        return refuses(
            400,
            f"The input ({100 * length} tokens) is longer than the model's context"
            " length (200 tokens).",
        )

    chat.behave = small

    found = episode(play(chat, "a b c d e"), "a b c d e")

    assert found.achieved
    assert [turn.dropped for turn in found.turns] == [0, 0, 0, 1, 2]
    assert found.tries == 1


def test_lost_answers(chat: Chat) -> None:
    """An answer that the server never gives begins its episode anew, thrice."""
    chat.behave = lambda asked: refuses(500) if "bad" in asked.words else speaks(asked)

    kept = play(chat, "one", "bad", "two")

    assert isinstance(kept["bad"], InfraError)
    assert episode(kept, "one").achieved
    assert episode(kept, "two").achieved
    assert sum("bad" in words for words in chat.words) == 3 * 5


def test_refusal_ends_all(chat: Chat) -> None:
    """After a refusal that will stay, no further episode is begun."""
    chat.behave = lambda _: refuses(401, "bad key")
    live = 16

    with pytest.raises(ModelError, match="bad key"):
        play(chat, *(f"a{n}" for n in range(40)), concurrency=1, live=live)

    assert len(chat.asked) <= live


def test_reasoning_is_not_sent_back(chat: Chat) -> None:
    """A turn keeps its reasoning; the next prompt shows the command alone."""
    chat.behave = lambda asked: says(f"<think>Aloud.</think>{_said(speaks(asked))}")

    found = episode(play(chat, "a b"), "a b")

    assert [turn.reasoning for turn in found.turns] == ["Aloud.", "Aloud."]
    assert [turn.answer for turn in found.turns] == ["aws say a", "aws say b"]
    assert not any("Aloud" in words for words in chat.words)


def _said(answer: Answer) -> str:
    """Return the text of an answer."""
    text: str = json.loads(answer.body)["choices"][0]["message"]["content"]
    return text
