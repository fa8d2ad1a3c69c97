"""Repeats: decode noise, noise of whole runs, pooling."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_awsbench.stats.continuous import cluster_mean
from pytest_awsbench.stats.paired import paired_gate
from pytest_awsbench.stats.rerun import (
    RunNoise,
    binary_repeats,
    decode_share,
    repeats,
    rerun_discordance,
    rerun_floor,
    run_noise,
    run_test,
)
from pytest_awsbench.stats.status import Status
from pytest_awsbench.stats.student import t_quantile


properties = settings(derandomize=True, deadline=None, max_examples=40)

RUNS = st.integers(1, 6).flatmap(
    lambda n: st.lists(
        st.lists(st.integers(0, 3), min_size=n, max_size=n), min_size=2, max_size=5
    )
)


def test_reference_values() -> None:
    """V12: counts of four runs."""
    variance = binary_repeats([4, 4, 3, 2, 0, 1], 4).decode_variance()

    assert variance is not None
    assert variance == pytest.approx(0.138889, abs=5e-7)
    assert rerun_discordance(variance) == pytest.approx(0.277778, abs=5e-7)


def test_reported_floor() -> None:
    """At 8 % discordance, decoding alone moves 150 items by 3.8 points."""
    assert 100 * rerun_floor(0.04, 150) == pytest.approx(3.8, abs=0.05)


@given(RUNS)
@properties
def test_variance_is_the_mean_sample_variance(runs: list[list[int]]) -> None:
    """For any metric it is the items' sample variance, averaged."""
    variance = repeats(runs).decode_variance()

    assert variance == pytest.approx(np.var(runs, axis=0, ddof=1).mean())


@given(RUNS)
@properties
def test_order_of_runs_does_not_matter(runs: list[list[int]]) -> None:
    """Runs pooled one by one, in any order, are the runs together."""
    together = repeats(runs)

    one_by_one = repeats([runs[-1]])
    for run in runs[:-1]:
        one_by_one += repeats([run])

    assert one_by_one.means == pytest.approx(together.means)
    assert one_by_one.decode_variance() == pytest.approx(together.decode_variance())


def test_binary_counts_are_runs() -> None:
    """Counts of 0/1 answers hold all that their runs do."""
    rng = np.random.default_rng(0)
    runs = rng.integers(0, 2, size=(4, 30))

    counted = binary_repeats(runs.sum(axis=0), 4)

    assert counted.means == pytest.approx(repeats(runs).means)
    assert counted.decode_variance() == pytest.approx(repeats(runs).decode_variance())


def test_single_runs_say_nothing() -> None:
    """Items that were measured once neither help nor harm."""
    assert binary_repeats([1, 0, 1], 1).decode_variance() is None
    mixed = binary_repeats([4, 4, 3, 2, 0, 1, 1, 0], [4, 4, 4, 4, 4, 4, 1, 1])
    assert mixed.decode_variance() == pytest.approx(0.138889, abs=5e-7)


def test_rerun_discordance_is_observed() -> None:
    """Two runs of one model differ as often as its repeats foretell."""
    rng = np.random.default_rng(1)
    ease = rng.beta(0.5, 0.5, size=4000)
    stored = rng.binomial(4, ease)
    first, second = rng.random((2, 4000)) < ease

    variance = binary_repeats(stored, 4).decode_variance()

    assert variance is not None
    seen = float((first != second).mean())
    assert rerun_discordance(variance) == pytest.approx(seen, abs=0.03)


def test_decode_share() -> None:
    """Repeats help while decoding is what differs."""
    assert decode_share(0.2, 0.1, 1, 1) == pytest.approx(1.0)
    assert decode_share(0.2, 0.03, 3, 1) == pytest.approx(0.2)
    assert decode_share(0.0, 0.0, 1, 1) == 0


def test_confirmation_pools_runs() -> None:
    """A red run that two more runs do not bear out is not red when pooled."""
    old = [1] * 30
    unlucky = [0] * 5 + [1] * 25
    runs = [unlucky, [0] + [1] * 29, [1] * 30]

    alone = paired_gate(old, unlucky, range(30)).status
    pooled = paired_gate(old, repeats(runs).means, range(30))

    assert alone is Status.REGRESSED
    assert pooled.change == pytest.approx(-6 / 90)
    again = paired_gate(old, repeats([unlucky] * 3).means, range(30)).status
    assert again is Status.REGRESSED


def test_run_noise() -> None:
    """What decoding does not explain of the runs' spread is shock."""
    noise = run_noise([0.60, 0.64, 0.62], 0.03, 150)

    assert noise is not None
    assert noise.run_sd == pytest.approx(0.02)
    assert noise.shock_variance == pytest.approx(0.0004 - 0.03 / 150)
    assert (noise.runs, noise.df) == (3, 2)


def test_no_negative_shocks() -> None:
    """Runs that agree too well have no shocks."""
    noise = run_noise([0.62, 0.62, 0.62], 0.03, 150)

    assert noise is not None
    assert noise.shock_variance == 0


def test_two_runs_are_too_few() -> None:
    """Below three runs the noise between runs is unknown, not nothing."""
    assert run_noise([0.6, 0.7], 0.03, 150) is None


def test_run_test_without_shocks_is_cluster_t() -> None:
    """Without shocks the test is the t test of the clusters."""
    noise = RunNoise(runs=3, run_sd=0.01, shock_variance=0.0)
    at = t_quantile(0.05, 62) * 0.02

    assert run_test(1.001 * at, 0.02, 63, noise).worse()
    assert not run_test(0.999 * at, 0.02, 63, noise).worse()
    assert run_test(at, 0.02, 63, noise).df == pytest.approx(62)


def test_satterthwaite() -> None:
    """Shocks of three runs weigh on the degrees of freedom."""
    noise = RunNoise(runs=3, run_sd=0.03, shock_variance=0.0009)
    shocks = 0.0009 * (1 + 1 / 3)

    result = run_test(-0.06, 0.02, 63, noise)

    both = 0.0004 + shocks
    assert result.t == pytest.approx(-0.06 / sqrt(both))
    assert result.df == pytest.approx(both**2 / (0.0004**2 / 62 + shocks**2 / 2))
    assert not result.worse()


@given(st.floats(-0.3, 0.3), st.floats(0.001, 0.1), st.floats(0, 0.01))
@properties
def test_shocks_never_help(change: float, se: float, shock: float) -> None:
    """Noise between runs never makes a drop more significant; runs reduce it."""
    results = [
        run_test(change, se, 40, RunNoise(runs=4, run_sd=0.1, shock_variance=s), r)
        for s, r in ((0.0, 1), (shock, 3), (shock, 1))
    ]

    sizes = [abs(result.t) for result in results]
    assert sizes == sorted(sizes, reverse=True)


def test_no_noise_at_all() -> None:
    """Where nothing varies any drop is one."""
    noise = RunNoise(runs=3, run_sd=0.0, shock_variance=0.0)

    assert run_test(-0.1, 0.0, 5, noise).p == 0
    assert run_test(0.0, 0.0, 5, noise).p == 0.5


def shocked_run(
    rng: np.random.Generator, ease: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Answer all items once, in a run that had a good or a bad day."""
    day = rng.normal(0, 0.06)
    return (rng.random(len(ease)) < np.clip(ease + day, 0, 1)).astype(float)


def test_shocks_are_no_regressions() -> None:
    """With shocks of 6 points the paired gate alone is red too often; both are not."""
    rng = np.random.default_rng(3)
    paired, both = 0, 0
    for _ in range(150):
        ease = rng.uniform(0.1, 0.9, size=150)
        stored = [shocked_run(rng, ease) for _ in range(4)]
        new = shocked_run(rng, ease)
        baseline = repeats(stored)
        red = paired_gate(baseline.means, new, range(150)).status is Status.REGRESSED
        mean = cluster_mean(new - baseline.means, np.ones(150), range(150))
        noise = run_noise(
            [run.mean() for run in stored], baseline.decode_variance() or 0.0, 150
        )
        assert noise is not None
        paired += red
        both += red and run_test(mean.mean, mean.se, 150, noise).worse()

    assert paired > 20
    assert both <= 20


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: repeats([1, 2]), r"shape \(runs, n\)"),
        (lambda: repeats([[1, float("nan")]]), "missing item is not a 0"),
        (lambda: repeats([[1, 1]]) + repeats([[1]]), "same items"),
        (lambda: binary_repeats([3], 2), "0 <= successes <= k"),
        (lambda: rerun_floor(0.1, 0), "need n > 0"),
        (lambda: decode_share(0.1, 0.1, 0, 1), "at least one measurement"),
        (lambda: run_noise([[0.1]], 0.1, 5), r"shape \(R,\)"),
        (lambda: run_noise([0.1] * 3, -1.0, 5), "a variance >= 0"),
        (
            lambda: run_test(
                0, float("inf"), 5, RunNoise(runs=3, run_sd=0, shock_variance=0)
            ),
            "finite se",
        ),
    ],
)
def test_wrong_input(call: object, message: str) -> None:
    """Input that cannot be judged is refused by name."""
    assert callable(call)
    with pytest.raises(ValueError, match=message):
        call()
