"""Many tests: adjusted p values, and what a session may spend."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_awsbench.stats.multiplicity import gate_alpha, holm, q_values


properties = settings(derandomize=True, deadline=None, max_examples=60)

PS = st.lists(st.floats(0, 1), max_size=20)


def test_holm() -> None:
    """V8: Holm's adjusted p values."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_q_values() -> None:
    """The example of Benjamini and Hochberg (1995): four of 15 are found at 5 %."""
    ps = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459]
    ps += [0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000]

    q = q_values(ps)

    assert (q <= 0.05).sum() == 4
    assert (holm(ps) <= 0.05).sum() == 3


def test_one_test_is_left_alone() -> None:
    """A single p needs no adjustment."""
    assert holm([0.03]).tolist() == q_values([0.03]).tolist() == [0.03]


def test_nothing_to_adjust() -> None:
    """No tests, no values."""
    assert holm([]).tolist() == q_values([]).tolist() == []


@given(PS, st.integers(1, 99))
@properties
def test_session_is_red_as_after_holm(ps: list[float], percent: int) -> None:
    """Some gate is red at α/m if and only if some adjusted p is at most α."""
    alpha = percent / 100
    if not ps or any(abs(p * len(ps) - alpha) < 1e-12 for p in ps):
        return

    at_run_time = min(ps) <= gate_alpha(alpha, len(ps))

    assert at_run_time == bool((holm(ps) <= alpha).any())


@given(PS)
@properties
def test_adjusting_raises(ps: list[float]) -> None:
    """q lies between p and Holm's, which lies between p and m·p."""
    raw, adjusted, q = np.array(ps), holm(ps), q_values(ps)

    assert (raw <= q + 1e-12).all()
    assert (q <= adjusted + 1e-12).all()
    assert (adjusted <= np.minimum(raw * max(len(ps), 1), 1) + 1e-12).all()


@given(PS, st.randoms(use_true_random=False))
@properties
def test_order_does_not_matter(ps: list[float], random: Random) -> None:
    """Each test keeps its value, whatever the order."""
    order = list(range(len(ps)))
    random.shuffle(order)
    shuffled = [ps[i] for i in order]

    for adjust in (holm, q_values):
        expected = [float(adjust(ps)[i]) for i in order]
        assert adjust(shuffled).tolist() == pytest.approx(expected)


@given(PS)
@properties
def test_order_of_p_is_kept(ps: list[float]) -> None:
    """A smaller p never gets a larger adjusted one."""
    for adjust in (holm, q_values):
        by_p = adjust(sorted(ps))
        assert (np.diff(by_p) >= 0).all()


@pytest.mark.parametrize("ps", [[1.2], [-0.1], [float("nan")], [[0.1]]])
def test_wrong_p(ps: list[float]) -> None:
    """What is no p value is refused."""
    with pytest.raises(ValueError, match=r"p values in \[0, 1\]"):
        holm(ps)


def test_no_gates() -> None:
    """Nothing cannot share an alpha."""
    with pytest.raises(ValueError, match="need gates > 0"):
        gate_alpha(0.05, 0)
