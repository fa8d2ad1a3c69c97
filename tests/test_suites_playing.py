"""The agent loop: every trial is played to its end; faults are never the model's."""

from typing import Any

import pytest
from toy_env import Failing, Speaker, Words, generate, tasks

from pytest_awsbench.episodes import Play
from pytest_awsbench.errors import InfraError
from pytest_awsbench.records import Answer, Decoding, Prompt, Sample
from pytest_awsbench.suites.playing import Player
from pytest_awsbench.suites.prompting import SftAdapter
from pytest_awsbench.suites.seating import Rules


Kept = dict[str, Answer | InfraError]


@pytest.fixture(autouse=True)
def fresh() -> None:
    """Forget what other tests counted."""
    Words.opened = Words.closed = Failing.opened = Failing.closed = Failing.steps = 0
    Failing.lose = staticmethod(lambda number, command: False)


def play(
    played: list[tuple[Sample, dict[str, Any]]],
    model: Any = None,
    connect: type[Words] = Words,
    **rules: Any,
) -> Kept:
    """Play tasks and return what was kept, by the task's words."""
    kept: Kept = {}
    player = Player(
        Rules(**{"adapter": SftAdapter("Say."), "decoding": Decoding(), **rules}),
        connect,
        generate,
    )
    player.play(
        model or Speaker(),
        played,
        lambda sample, answer: kept.update({sample.prompt[0].content: answer}),
        lambda: False,
    )
    return kept


def episodes(kept: Kept, text: str) -> Play:
    """Return the trials of a task."""
    found = kept[text]
    assert isinstance(found, Play)
    return found


def test_played_to_the_end() -> None:
    """An episode ends when the environment says so, with one turn per command."""
    [episode] = episodes(play(tasks("one two three")), "one two three").episodes

    assert episode.achieved
    assert [t.command for t in episode.turns] == [
        "aws say one",
        "aws say two",
        "aws say three",
    ]
    assert [t.progress for t in episode.turns] == [1 / 3, 2 / 3, 1.0]
    assert (episode.steps, episode.tokens) == (3, 9)
    assert episode.reward == pytest.approx(1.2)


def test_cap() -> None:
    """An episode that never ends is stopped at the cap, and counts as the cap."""
    mute = Speaker(lambda task, step: "I cannot")

    [episode] = episodes(play(tasks("one"), mute, max_steps=4), "one").episodes

    assert not episode.achieved
    assert (len(episode.turns), episode.steps) == (4, 4)
    assert {(t.command, t.well_formed) for t in episode.turns} == {("I cannot", False)}


@pytest.mark.parametrize("live", [1, 3, 16])
def test_company_changes_nothing(live: int) -> None:
    """What an episode is does not depend on how many others are live."""
    texts = [f"word-{n} " * (1 + n % 4) for n in range(20)]
    slow = Speaker(
        lambda task, step: (
            "aws say no" if step % 3 == 1 else f"aws say {task.split()[0]}"
        )
    )

    kept = play(tasks(*texts), slow, live=live, max_steps=9)

    turns = [[t.command for t in episodes(kept, x).episodes[0].turns] for x in texts]
    alone = [
        [
            t.command
            for t in episodes(play([one], slow, max_steps=9), x).episodes[0].turns
        ]
        for one, x in zip(tasks(*texts), texts, strict=True)
    ]
    assert turns == alone


def test_prompts_of_a_round_are_one_batch() -> None:
    """With eight live episodes, batches hold several prompts, never more than eight."""
    model = Speaker()

    play(tasks(*(f"a{n} b{n} c{n}" for n in range(24))), model, live=8)

    assert sum(model.batches) == 72
    assert max(model.batches) <= 8
    assert len(model.batches) < 36


def test_sessions_are_used_again() -> None:
    """No more sessions than live episodes are opened, and all are closed."""
    play(tasks(*(f"word-{n}" for n in range(20))), live=4)

    assert Words.opened <= 4
    assert Words.closed == Words.opened


def test_trials() -> None:
    """All trials of a task are kept together, in order, each with a seed of its own."""
    play_of = episodes(play(tasks("one", "two"), trials=3), "two")

    assert [e.achieved for e in play_of.episodes] == [True] * 3
    assert len({e.seed for e in play_of.episodes}) == 3
    again = episodes(play(tasks("two"), trials=3), "two")
    assert len(again.episodes) == 3


def test_sampling_has_a_seed_per_turn() -> None:
    """A draw depends on task, trial and turn, not on who else is live."""
    model = Speaker()

    play(tasks("one two", "three"), model, decoding=Decoding(temperature=0.5), trials=2)

    assert set(model.batches) == {1}
    assert len(set(model.seeds)) == 6


def test_lost_connection_is_tried_again() -> None:
    """An episode that infrastructure lost begins anew on another session."""
    Failing.lose = staticmethod(lambda number, command: number == 2)

    [episode] = episodes(play(tasks("one two"), connect=Failing), "one two").episodes

    assert (episode.achieved, episode.tries, len(episode.turns)) == (True, 2, 2)
    assert Failing.opened == 2
    assert Failing.closed == 2


def test_lost_three_times_is_lost() -> None:
    """After three tries an item is lost, with the error; the others are played."""
    Failing.lose = staticmethod(lambda number, command: command == "aws say bad")

    kept = play(tasks("one", "bad", "two"), connect=Failing, trials=2)

    assert isinstance(kept["bad"], InfraError)
    assert "ws://words: lost at step" in str(kept["bad"])
    assert episodes(kept, "one").achieved == episodes(kept, "two").achieved == 2


def test_five_in_a_row_end_the_run() -> None:
    """Where every episode is lost, the rest is not tried."""
    Failing.lose = staticmethod(lambda number, command: True)

    with pytest.raises(InfraError, match="5 episodes in a row were lost, 3 tries each"):
        play(tasks(*(f"w{n}" for n in range(30))), connect=Failing, live=2)

    assert Failing.steps < 30


def test_stopping() -> None:
    """A run that ends begins nothing more."""
    kept: Kept = {}
    player = Player(Rules(adapter=SftAdapter(""), decoding=Decoding()), Words, generate)

    player.play(
        Speaker(), tasks("one"), lambda s, a: kept.update({s.id: a}), lambda: True
    )

    assert kept == {}


def test_long_prompts_lose_their_oldest_turns() -> None:
    """What outgrows the context goes turn by turn, and the turn says how many."""

    class Small(Speaker):
        def fits(self, prompt: Prompt, decoding: Decoding) -> bool:
            del decoding
            return prompt[-1].content.count("aws say") <= 2

    [episode] = episodes(play(tasks("a b c d e"), Small()), "a b c d e").episodes

    assert episode.achieved
    assert [turn.dropped for turn in episode.turns] == [0, 0, 0, 1, 2]


def test_error_of_ours_is_raised() -> None:
    """What is no fault of infrastructure is not tried again."""

    class Broken(Words):
        def step(self, command: str) -> Any:
            raise ValueError(command)

    with pytest.raises(ValueError, match="aws say one"):
        play(tasks("one"), connect=Broken)
