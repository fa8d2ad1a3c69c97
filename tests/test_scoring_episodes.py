"""What an episode is worth, and what is no figure of a single one."""

import pytest

from pytest_awsbench.episodes import Episode, Play, Turn
from pytest_awsbench.records import answer_from_json
from pytest_awsbench.scoring.episodes import (
    METRICS,
    conditional,
    outcome,
    recovery_rate,
    trial_scores,
)


def episode(marks: str, *, achieved: bool, cap: int = 15) -> Episode:
    """Return an episode whose turns succeed (``+``), fail (``-``) or hint (``?``)."""
    turns, hints = [], 0
    for mark in marks:
        hints += mark == "?"
        turns.append(
            Turn(
                prompt_hash="",
                answer="aws x",
                command="aws x",
                success=mark != "-",
                well_formed=mark != "-",
                reward=0.5,
                progress=0.4,
                hints=hints,
                tokens=2,
            )
        )
    return Episode(seed=1, achieved=achieved, turns=tuple(turns), cap=cap)


def test_completed_episode() -> None:
    """Steps are those taken; progress is 1, whatever the server said."""
    found = {
        name: metric(episode("+-?+", achieved=True)) for name, metric in METRICS.items()
    }

    assert found == {
        "completion_rate": 1.0,
        "avg_max_progress": 1.0,
        "avg_episode_reward": 2.0,
        "avg_steps": 4.0,
        "hint_usage_rate": 1.0,
        "format_failure_rate": 0.25,
    }


def test_failed_episode_counts_as_the_cap() -> None:
    """Giving up early is not quicker than going on."""
    found = METRICS["avg_steps"](episode("++", achieved=False))

    assert found == 15.0


def test_trials_keep_sum_and_squares() -> None:
    """An item's score is the mean over its trials; squares let noise be told apart."""
    play = Play((episode("+", achieved=True), episode("+-", achieved=False)))

    means, squares = trial_scores(play)

    assert (means["completion_rate"], squares["completion_rate"]) == (0.5, 1.0)
    assert (means["avg_episode_reward"], squares["avg_episode_reward"]) == (0.75, 1.25)
    assert outcome(play) == "partly"


@pytest.mark.parametrize(
    ("achieved", "word"), [([True], "complete"), ([False, False], "incomplete")]
)
def test_outcome(achieved: list[bool], word: str) -> None:
    """An item is complete if all of its trials are."""
    assert outcome(Play(tuple(episode("+", achieved=a) for a in achieved))) == word


def test_recovery() -> None:
    """Of the episodes with a failure, those that completed soon after the first one."""
    played = [
        episode("+++", achieved=True),
        episode("-++", achieved=True),
        episode("-" + "+" * 7, achieved=True),
        episode("--", achieved=False),
    ]

    assert recovery_rate(played, 5) == pytest.approx(1 / 3)
    assert recovery_rate(played, 10) == pytest.approx(2 / 3)
    assert recovery_rate(played[:1], 5) is None


def test_figures_of_all_episodes() -> None:
    """Spread of the sums, reward per step, and steps of the completed ones."""
    found = conditional([episode("+", achieved=True), episode("+++", achieved=False)])

    assert found["reward_std"] == pytest.approx(0.5)
    assert found["avg_reward_per_step"] == pytest.approx(0.5)
    assert found["avg_steps_to_complete"] == 1.0


def test_dawdling_pays() -> None:
    """Why reward is not gated: a failed episode may earn more than a perfect one."""
    perfect, dawdling = episode("+", achieved=True), episode("+" * 15, achieved=False)

    assert dawdling.reward > perfect.reward


def test_plain_values() -> None:
    """Episodes travel as plain values."""
    play = Play((episode("+-", achieved=False), episode("?", achieved=True)))

    assert answer_from_json(play.to_json()) == play
