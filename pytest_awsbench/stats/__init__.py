"""Gate statistics on arrays, without pytest: tests, intervals, power, curves.

Names resolve on first use, so that a status can be named without importing numpy.

>>> from pytest_awsbench.stats import paired_gate
>>> paired_gate([1] * 10, [0] * 4 + [1] * 6, range(10)).status
<Status.REGRESSED: 'REGRESSED'>
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from pytest_awsbench.stats.continuous import (
        Continuous,
        ContinuousRule,
        Ratio,
        cluster_mean,
        continuous_gate,
        ratio_gate,
    )
    from pytest_awsbench.stats.curtail import curtail_threshold
    from pytest_awsbench.stats.curvepairs import (
        Recoveries,
        any_worse,
        recovery_gate,
        recovery_scores,
    )
    from pytest_awsbench.stats.curves import (
        mean_share,
        pass_at_k,
        pass_hat_k,
        recovery_curve,
    )
    from pytest_awsbench.stats.guards import Guarded, guard, is_better
    from pytest_awsbench.stats.intervals import (
        Count,
        newcombe_interval,
        wilson_interval,
    )
    from pytest_awsbench.stats.multiplicity import gate_alpha, holm, q_values
    from pytest_awsbench.stats.paired import Paired, Rule, paired_gate
    from pytest_awsbench.stats.power import (
        GatePower,
        can_fail,
        certifiable_margin,
        drop_found,
        gate_power,
        items_needed,
    )
    from pytest_awsbench.stats.published import Counts, Estimate, published_counts
    from pytest_awsbench.stats.repro import flip_rate_bound, repro_check
    from pytest_awsbench.stats.rerun import (
        Repeats,
        binary_repeats,
        decode_share,
        repeats,
        rerun_floor,
        run_noise,
        run_test,
    )
    from pytest_awsbench.stats.sequential import conditional_power, obrien_fleming
    from pytest_awsbench.stats.signflip import sign_flip
    from pytest_awsbench.stats.status import Status
    from pytest_awsbench.stats.tango import Interval, tango_interval
    from pytest_awsbench.stats.unpaired import Unpaired, unpaired_gate

_HOMES = {
    "continuous": (
        "Continuous",
        "ContinuousRule",
        "Ratio",
        "cluster_mean",
        "continuous_gate",
        "ratio_gate",
    ),
    "curtail": ("curtail_threshold",),
    "curvepairs": ("Recoveries", "any_worse", "recovery_gate", "recovery_scores"),
    "curves": ("mean_share", "pass_at_k", "pass_hat_k", "recovery_curve"),
    "guards": ("Guarded", "guard", "is_better"),
    "intervals": ("Count", "newcombe_interval", "wilson_interval"),
    "multiplicity": ("gate_alpha", "holm", "q_values"),
    "paired": ("Paired", "Rule", "paired_gate"),
    "power": (
        "GatePower",
        "can_fail",
        "certifiable_margin",
        "drop_found",
        "gate_power",
        "items_needed",
    ),
    "published": ("Counts", "Estimate", "published_counts"),
    "repro": ("flip_rate_bound", "repro_check"),
    "rerun": (
        "Repeats",
        "binary_repeats",
        "decode_share",
        "repeats",
        "rerun_floor",
        "run_noise",
        "run_test",
    ),
    "sequential": ("conditional_power", "obrien_fleming"),
    "signflip": ("sign_flip",),
    "status": ("Status",),
    "tango": ("Interval", "tango_interval"),
    "unpaired": ("Unpaired", "unpaired_gate"),
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Continuous",
    "ContinuousRule",
    "Count",
    "Counts",
    "Estimate",
    "GatePower",
    "Guarded",
    "Interval",
    "Paired",
    "Ratio",
    "Recoveries",
    "Repeats",
    "Rule",
    "Status",
    "Unpaired",
    "any_worse",
    "binary_repeats",
    "can_fail",
    "certifiable_margin",
    "cluster_mean",
    "conditional_power",
    "continuous_gate",
    "curtail_threshold",
    "decode_share",
    "drop_found",
    "flip_rate_bound",
    "gate_alpha",
    "gate_power",
    "guard",
    "holm",
    "is_better",
    "items_needed",
    "mean_share",
    "newcombe_interval",
    "obrien_fleming",
    "paired_gate",
    "pass_at_k",
    "pass_hat_k",
    "published_counts",
    "q_values",
    "ratio_gate",
    "recovery_curve",
    "recovery_gate",
    "recovery_scores",
    "repeats",
    "repro_check",
    "rerun_floor",
    "run_noise",
    "run_test",
    "sign_flip",
    "tango_interval",
    "unpaired_gate",
    "wilson_interval",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any public name
    """Import a public name on first use (PEP 562)."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
