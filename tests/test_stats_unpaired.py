"""The unpaired gate: published numbers, GRIM, Newcombe, Boschloo."""

from math import comb
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_awsbench.stats.boschloo import boschloo_p
from pytest_awsbench.stats.intervals import Count, newcombe_interval
from pytest_awsbench.stats.paired import Rule
from pytest_awsbench.stats.published import Counts, Estimate, published_counts
from pytest_awsbench.stats.status import Status
from pytest_awsbench.stats.unpaired import Unpaired, unpaired_gate


REGRESSED, IMPROVED = Status.REGRESSED, Status.IMPROVED
WITHIN_NOISE, INCONCLUSIVE = Status.WITHIN_NOISE, Status.INCONCLUSIVE
Z_90 = 1.644853627

properties = settings(derandomize=True, deadline=None, max_examples=40)

#: Value and cluster of every item.
ITEMS = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 9)), min_size=2, max_size=60
)


def gate(
    right: int, n: int, old: Counts | Estimate, rule: Rule | None = None
) -> Unpaired:
    """Judge n independent answers."""
    return unpaired_gate([1] * right + [0] * (n - right), range(n), old, rule=rule)


@pytest.mark.parametrize(
    ("share", "n", "expected"),
    [
        (".407", 27, (11,)),
        ("0.222", 25, ()),
        (".868", 106, (92,)),
        ("40.7%", 27, (11,)),
        ("100%", 27, (27,)),
        ("0.5", 100, tuple(range(45, 56))),
        # 1 of 8 is .125: printed as .12 or .13, by taste.
        ("0.12", 8, (1,)),
        ("0.13", 8, (1,)),
    ],
)
def test_grim(share: str, n: int, expected: tuple[int, ...]) -> None:
    """V14: the counts behind a rounded share."""
    assert published_counts(share, n).candidates == expected


@given(st.integers(1, 3000), st.data(), st.integers(0, 6))
@properties
def test_grim_finds_what_was_rounded(n: int, data: st.DataObject, digits: int) -> None:
    """The true count is always among the candidates."""
    x = data.draw(st.integers(0, n))

    assert x in published_counts(f"{x / n:.{digits}f}", n).candidates
    assert x in published_counts(f"{100 * x / n:.{digits}f}%", n).candidates


@pytest.mark.parametrize("share", ["", "about 40%", "1/0"])
def test_grim_needs_a_number(share: str) -> None:
    """Text that is no number is refused, with an example."""
    with pytest.raises(ValueError, match=r"write it like 0\.407"):
        published_counts(share, 27)


def test_interval_is_newcombes() -> None:
    """Without clusters the interval is Newcombe's on the counts."""
    result = gate(48, 80, Counts((56,), 70))

    expected = newcombe_interval(Count(48, 80), Count(56, 70), Z_90)
    assert result.interval == pytest.approx(expected)
    assert result.change == pytest.approx(-0.2)
    assert result.status is REGRESSED
    assert result.p is not None
    assert result.p < 0.05


def test_clusters_count_in_both_arms() -> None:
    """The new run's design effect widens either side."""
    new = [1] * 40 + [0] * 40
    tasks = [i // 8 for i in range(80)]

    result = unpaired_gate(new, tasks, Counts((60,), 80))

    assert result.deff == pytest.approx(10 / 9 * 8)
    expected = newcombe_interval(
        Count(40 / result.deff, 80 / result.deff),
        Count(60 / result.deff, 80 / result.deff),
        Z_90,
    )
    assert result.interval == pytest.approx(expected)
    assert result.status is INCONCLUSIVE


def test_known_design_effect_of_the_baseline() -> None:
    """A baseline may bring its own design effect."""
    wide, narrow = (gate(50, 100, Counts((60,), 100, deff)) for deff in (4.0, None))

    assert wide.interval is not None
    assert narrow.interval is not None
    assert wide.interval.low < narrow.interval.low
    assert narrow.interval.high < wide.interval.high


def test_several_counts_are_judged_by_the_worst() -> None:
    """A coarsely rounded share holds the intervals of all counts behind it."""
    old = published_counts("0.6", 50)
    each = [gate(20, 50, Counts((x,), 50)) for x in old.candidates]

    result = gate(20, 50, old)

    bounds = [one.interval for one in each if one.interval is not None]
    assert result.interval == (min(b.low for b in bounds), max(b.high for b in bounds))
    assert result.status is INCONCLUSIVE
    assert gate(20, 50, Counts((30,), 50)).status is REGRESSED


def test_impossible_share_is_invalid() -> None:
    """A share that no count gives is no baseline."""
    result = gate(20, 25, published_counts("0.222", 25))

    assert result.status is Status.INVALID
    assert (result.change, result.interval, result.p) == (None, None, None)


def test_number_without_n_decides_nothing() -> None:
    """Without n or an error a published mean can make nothing red."""
    result = gate(0, 1000, Estimate(0.9))

    assert result.status is INCONCLUSIVE
    assert result.change == pytest.approx(-0.9)
    assert result.interval is None


def test_estimate_with_error() -> None:
    """Two means with errors are compared by z, as lm-eval compares models."""
    new, old = 0.5, Estimate(0.6, 0.03)
    se = (0.25 / 199) ** 0.5

    result = gate(100, 200, old)

    z = (new - old.mean) / (se**2 + 0.03**2) ** 0.5
    assert result.interval is not None
    half = (result.interval.high - result.interval.low) / 2
    assert half == pytest.approx(0.1 / -z * Z_90)
    assert result.status is REGRESSED
    assert result.noise_floor == pytest.approx(half)


def test_published_error_is_never_zero() -> None:
    """A published number is no exact constant."""
    with pytest.raises(ValueError, match="no measurement is exact"):
        gate(5, 10, Estimate(1.0, 0.0))


def test_one_cluster_has_no_error() -> None:
    """Items of one task say nothing about other tasks."""
    result = unpaired_gate([1, 0, 1], ["t"] * 3, Estimate(0.6, 0.03))

    assert result.status is INCONCLUSIVE
    assert result.interval is None


def test_improvement_and_within_noise() -> None:
    """The other verdicts need their bound, too."""
    assert gate(90, 100, Counts((70,), 100)).status is IMPROVED
    assert gate(700, 1000, Counts((700,), 1000)).status is WITHIN_NOISE
    assert gate(70, 100, Counts((70,), 100)).status is INCONCLUSIVE


def test_allowed_drop() -> None:
    """An allowed drop shifts the bound."""
    old = Counts((700,), 1000)

    assert gate(620, 1000, old, Rule(max_drop=0.03)).status is REGRESSED
    assert gate(620, 1000, old, Rule(max_drop=0.06)).status is INCONCLUSIVE


def test_noise_floor_is_where_red_begins() -> None:
    """A drop of the floor is red; a smaller one is not."""
    old, n = Counts((600,), 1000), 1000
    floor = gate(600, n, old).noise_floor
    assert floor is not None
    at = 600 - floor * 1000

    assert gate(int(at), n, old).status is REGRESSED
    assert gate(int(at) + 1, n, old).status is not REGRESSED


def test_no_floor_where_nothing_can_be_red() -> None:
    """Two items can never be worse than one of two."""
    result = gate(0, 2, Counts((1,), 2))

    assert result.noise_floor is None
    assert result.status is not REGRESSED


@given(ITEMS, st.integers(1, 200), st.data(), st.randoms(use_true_random=False))
@properties
def test_order_and_labels_do_not_matter(
    items: list[tuple[int, int]], n: int, data: st.DataObject, random: Random
) -> None:
    """Items in another order, and tasks of other names, give the same."""
    old = Counts((data.draw(st.integers(0, n)),), n)
    shuffled = [(value, f"task {cluster}") for value, cluster in items]
    random.shuffle(shuffled)

    first = unpaired_gate([v for v, _ in items], [c for _, c in items], old)
    second = unpaired_gate([v for v, _ in shuffled], [c for _, c in shuffled], old)

    assert first.status is second.status
    assert second.interval == pytest.approx(first.interval)
    assert second.p == pytest.approx(first.p)


@given(st.integers(2, 80), st.integers(2, 80), st.data())
@properties
def test_p_agrees_with_the_bound(n: int, published: int, data: st.DataObject) -> None:
    """Red without an allowed drop is the same as p at most alpha."""
    old = Counts((data.draw(st.integers(0, published)),), published)
    alpha = data.draw(st.sampled_from([0.05, 0.01]))

    result = gate(data.draw(st.integers(0, n)), n, old, Rule(alpha=alpha))

    assert result.p is not None
    if abs(result.p - alpha) > 1e-9:
        assert (result.status is REGRESSED) == (result.p < alpha)


@given(st.integers(1, 8), st.integers(2, 60))
@properties
def test_more_right_answers_are_never_worse(n: int, published: int) -> None:
    """p rises with the new score."""
    old = Counts((published // 2,), published)

    ps = [gate(x, n, old).p for x in range(n + 1)]

    assert (np.diff(np.array(ps, dtype=float)) >= -1e-9).all()


def test_size() -> None:
    """Of unchanged models at most 6.5 % are called worse: every outcome counted."""
    n, published = 27, 150
    for share in (0.2, 0.41, 0.7, 0.89):
        new = [comb(n, x) * share**x * (1 - share) ** (n - x) for x in range(n + 1)]
        size = 0.0
        for x0 in range(published + 1):
            weight = comb(published, x0) * share**x0 * (1 - share) ** (published - x0)
            if weight > 1e-4:
                low = newcombe_red(n, x0, published)
                size += weight * sum(new[: low + 1])
        assert size <= 0.065


def newcombe_red(n: int, x0: int, published: int) -> int:
    """Return the largest number of right answers that is red; -1 if none is."""
    old = Count(x0, published)
    reds = [
        x for x in range(n + 1) if newcombe_interval(Count(x, n), old, Z_90).high < 0
    ]
    return max(reds, default=-1)


def test_clustered_size() -> None:
    """Tasks that go together do not raise false alarms."""
    rng = np.random.default_rng(1)
    tasks = np.repeat(np.arange(60), 5)
    reds = 0
    for _ in range(400):
        old, new = (clustered_answers(rng, tasks) for _ in range(2))
        status = unpaired_gate(new, tasks.tolist(), Counts((int(old.sum()),), 300))
        reds += status.status is REGRESSED

    # 5 % of 400 is 20; five standard errors above it is 42. Ignoring tasks: 60.
    assert reds <= 42


def clustered_answers(
    rng: np.random.Generator, tasks: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Draw answers whose tasks are easy or hard."""
    ease = rng.beta(1, 1, size=tasks.max() + 1)
    return np.asarray(rng.random(len(tasks)) < ease[tasks], dtype=np.float64)


def test_boschloo() -> None:
    """The original's two items of 18, one-sided; other values are scipy's."""
    assert boschloo_p((14, 18), (16, 18)) == pytest.approx(0.2140819, abs=1e-6)
    assert boschloo_p((11, 13), (136, 136)) == pytest.approx(0.0034888, abs=1e-6)
    assert boschloo_p((22, 33), (70, 197)) == pytest.approx(0.9995907, abs=1e-6)


def test_boschloo_by_brute_force() -> None:
    """It never exceeds its p, at any common share, and beats Fisher's test."""
    n = 8
    ps = {(a, b): boschloo_p((a, n), (b, n)) for a in range(9) for b in range(9)}
    for share in (0.1, 0.3, 0.5, 0.77):
        law = [comb(n, x) * share**x * (1 - share) ** (n - x) for x in range(n + 1)]
        for level in (0.01, 0.05, 0.2):
            reds = [k for k, p in ps.items() if p is not None and p <= level]
            assert sum(law[a] * law[b] for a, b in reds) <= level + 1e-9


def test_too_many_tables() -> None:
    """Where tables cannot all be counted nothing is made up."""
    assert boschloo_p((5, 20), (5, 10**6)) is None


def test_boschloo_is_shown_for_few_items() -> None:
    """Below 30 items in either arm the exact p is given as well."""
    few, many = gate(14, 18, Counts((16,), 18)), gate(60, 80, Counts((60,), 80))

    assert few.boschloo_p == pytest.approx(0.2140819, abs=1e-6)
    assert many.boschloo_p is None


@pytest.mark.parametrize(
    ("new", "clusters", "old", "message"),
    [
        ([], [], Counts((1,), 2), "values in"),
        ([1, 0], [1], Counts((1,), 2), "one shape"),
        ([1, float("nan")], [1, 2], Counts((1,), 2), "missing item is not a 0"),
        ([1, 3], [1, 2], Counts((1,), 2), "values in"),
        ([1, 0], [1, 2], Counts((3,), 2), "0 <= successes <= n"),
        ([1, 0], [1, 2], Counts((1,), 0), "0 <= successes <= n"),
        ([1, 0], [1, 2], Counts((1,), 2, 0.5), "at least 1"),
        ([1, 0], [1, 2], Estimate(float("nan")), "must be finite"),
    ],
)
def test_wrong_input(
    new: list[float], clusters: list[int], old: Counts | Estimate, message: str
) -> None:
    """Input that cannot be judged is refused by name."""
    with pytest.raises(ValueError, match=message):
        unpaired_gate(new, clusters, old)


def test_wrong_weights() -> None:
    """An item cannot weigh nothing."""
    with pytest.raises(ValueError, match="weights must be positive"):
        unpaired_gate([1, 0], [1, 2], Counts((1,), 2), [1, 0])


def test_impossible_boschloo() -> None:
    """More successes than items are refused."""
    with pytest.raises(ValueError, match="0 <= successes <= n"):
        boschloo_p((3, 2), (1, 2))
