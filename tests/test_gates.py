"""Gates: thresholds, comparisons, what is refused, and the line they print."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import pytest

from pytest_awsbench.gates import Gate, Published, Verdict
from pytest_awsbench.judging import adjusted, judge
from pytest_awsbench.records import Arm, ItemStats
from pytest_awsbench.stats.status import Status
from pytest_awsbench.verdicts import line


GATE = Gate(suite="dataset", metric="exact_match")


def arm(
    values: Mapping[str, float] | str,
    *,
    label: str = "baseline",
    version: int = 1,
    clusters: int | None = None,
) -> Arm:
    """Return an arm of items by value, such as "1101": right, right, wrong, right."""
    if isinstance(values, str):
        values = {f"i{n:03}": float(x) for n, x in enumerate(values)}
    return Arm(
        label=label,
        items={
            key: item(value, cluster=f"t{n % (clusters or len(values))}")
            for n, (key, value) in enumerate(values.items())
        },
        metric_versions={"exact_match": version},
        data_digest="9c0d11aa99887766",
    )


def item(value: float, *, cluster: str = "t", weight: float = 1.0) -> ItemStats:
    """Return what one item showed in one run."""
    return ItemStats(
        prompt_hash="p",
        cluster=cluster,
        tier="warmup" if value else "expert",
        weight=weight,
        sums={"exact_match": (value, value**2)},
    )


def compare(new: str, old: str, gate: Gate = GATE) -> Verdict:
    """Judge answers against a baseline's."""
    return judge(gate, arm(new, label="this run"), arm(old))


def test_regression() -> None:
    """Ten of forty answers that broke are red, with every number."""
    verdict = compare("0" * 12 + "1" * 28, "00" + "1" * 38)

    assert verdict.status is Status.REGRESSED
    assert verdict.red
    assert (verdict.new, verdict.old) == pytest.approx((0.70, 0.95))
    assert verdict.change == pytest.approx(-0.25)
    assert (verdict.n, verdict.clusters, verdict.changed) == (40, 40, 10)
    assert (verdict.worse, verdict.better) == (10, 0)
    assert verdict.regressed == tuple(f"i{n:03}" for n in range(2, 12))
    assert verdict.fixed == ()
    assert verdict.p == pytest.approx(0.5**11)


def test_line_of_a_regression() -> None:
    """The line leads with the verdict and holds what it rests on."""
    verdict = compare("0" * 9 + "1" * 3 + "1" * 138, "1" * 9 + "0" * 3 + "1" * 138)

    assert line(verdict) == (
        "exact_match REGRESSED: -4.0pp, noise floor 4.0pp (n=150, 150 tasks,"
        " 12 answers changed: 9 worse, 3 better, deff 1.0) p=.046"
        " 90% CI -8.3 ... -0.2"
    )


def test_improvement() -> None:
    """Answers that got right are an improvement, and listed as fixed."""
    verdict = compare("1" * 40, "0" * 6 + "1" * 34)

    assert verdict.status is Status.IMPROVED
    assert not verdict.red
    assert len(verdict.fixed) == 6


def test_unchanged() -> None:
    """The same answers are within noise, without a note on what did not happen."""
    verdict = compare("1" * 40, "1" * 40)

    assert verdict.status is Status.WITHIN_NOISE
    assert not verdict.red
    assert verdict.noise_floor is None
    assert verdict.notes == ()
    assert "noise floor n/a" in line(verdict)


@pytest.mark.parametrize("mode", ["warn", "fail"])
def test_inconclusive(mode: Literal["warn", "fail"]) -> None:
    """Too few items warn, say how many are needed, and are red on demand."""
    gate = replace(GATE, inconclusive=mode)

    verdict = compare("1" * 12, "1" * 12, gate)

    assert verdict.status is Status.INCONCLUSIVE
    assert verdict.red is (mode == "fail")
    assert verdict.notes == ("about 25 items would settle it",)


def test_three_items_cannot_fail() -> None:
    """Three answers that all broke are no proof; the notes say what to do."""
    verdict = compare("000", "111")

    assert verdict.status is Status.INCONCLUSIVE
    notes = "; ".join(verdict.notes)
    assert "3 items can never show a regression" in notes
    assert "few tasks (3): interval approximate" in notes
    assert "only 3 answers changed; at least 4 must change the same way" in notes


def test_few_tasks() -> None:
    """Below ten tasks the interval is only approximate."""
    new, old = arm("1" * 40, clusters=8), arm("1" * 40, clusters=8)

    verdict = judge(GATE, new, old)

    assert verdict.clusters == 8
    assert "few tasks (8): interval approximate" in verdict.notes


@pytest.mark.parametrize(
    ("low", "high", "missed"),
    [
        (0.95, None, None),
        (0.96, None, "0.950 < min 0.96"),
        (None, 0.95, None),
        (None, 0.9, "0.950 > max 0.9"),
    ],
)
def test_threshold(low: float | None, high: float | None, missed: str | None) -> None:
    """A hard threshold knows no noise and needs no baseline."""
    gate = replace(GATE, min=low, max=high)

    verdict = judge(gate, arm("0" + "1" * 19), None)

    assert verdict.thresholds
    assert verdict.threshold_missed == missed
    assert verdict.red is (missed is not None)
    assert verdict.status is Status.SKIPPED


def test_threshold_and_comparison() -> None:
    """A missed threshold is red even where the comparison is not."""
    verdict = compare("0" + "1" * 39, "0" + "1" * 39, replace(GATE, min=0.99))

    assert verdict.status is Status.WITHIN_NOISE
    assert verdict.red
    assert line(verdict).startswith("exact_match WITHIN_NOISE, 0.975 < min 0.99")


def test_threshold_without_scores() -> None:
    """A threshold on a metric that no item has is missed, not passed."""
    gate = replace(GATE, metric="other", min=0.1)

    verdict = judge(gate, arm("11"), None)

    assert verdict.threshold_missed == "no item has other"
    assert verdict.red


@pytest.mark.parametrize(
    ("against", "words"), [(None, "no baseline yet"), ("sft", "no baseline of sft yet")]
)
def test_no_baseline(against: str | None, words: str) -> None:
    """Without a baseline nothing is compared, and the note says how to get one."""
    verdict = judge(replace(GATE, against=against), arm("11"), None)

    assert verdict.status is Status.SKIPPED
    assert not verdict.red
    assert words in verdict.notes[0]
    assert "--snapshot-update" in verdict.notes[0]


def test_lost_answers() -> None:
    """Answers that infrastructure lost make a gate invalid and are named."""
    lost = ["a", "b", "c", "d"]

    verdict = judge(GATE, arm("11"), arm("11"), lost=lost)

    assert verdict.status is Status.INVALID
    assert verdict.red
    assert line(verdict) == (
        "exact_match INVALID: 4 answers lost to infrastructure (a, b, c and 1 more);"
        " with all of them wrong: INCONCLUSIVE, with all of them right: INCONCLUSIVE"
    )


def test_lost_answers_have_no_score() -> None:
    """A score from fewer items than the suite has is not shown as the suite's."""
    verdict = judge(GATE, arm("11"), arm("111"), lost=["i002"])

    assert verdict.new is None


def test_bounds_of_lost_answers() -> None:
    """The line says whether the lost answers could decide."""
    lost = [f"i{n:03}" for n in range(6)]
    answered = replace(arm("1" * 40), items=dict(list(arm("1" * 40).items.items())[6:]))

    verdict = judge(GATE, answered, arm("1" * 40), lost=lost)

    assert (
        "with all of them wrong: REGRESSED, with all of them right: WITHIN_NOISE"
        in line(verdict)
    )


def test_stale_baseline() -> None:
    """Below 90 % of the old prompts nothing is compared."""
    new = arm("1" * 20)
    edited = {
        key: replace(value, prompt_hash="q") if n < 3 else value
        for n, (key, value) in enumerate(new.items.items())
    }

    verdict = judge(GATE, replace(new, items=edited), arm("1" * 20))

    assert verdict.status is Status.INVALID
    assert verdict.red
    assert verdict.change is None
    assert verdict.notes[0].startswith(
        "baseline stale: 17 of the 20 prompts of baseline are in this run's data"
    )


def test_data_may_change_a_little() -> None:
    """Up to 10 % of other prompts are left out of the comparison, and named."""
    old = arm("1" * 20)
    items = dict(arm("1" * 20).items)
    items["i000"] = replace(items["i000"], prompt_hash="q")
    items["new"] = items.pop("i001")

    verdict = judge(GATE, replace(old, items=items), old)

    assert verdict.n == 18
    assert verdict.notes[-1] == (
        "not compared: 1 added (new), 1 removed (i001), 1 edited (i000)"
    )


def test_declared_subset() -> None:
    """A run that declares a subset is compared with the whole baseline, on it."""
    old = arm("1" * 60)
    few = {key: old.items[key] for key in list(old.items)[:20]}
    new = replace(old, items=few, data_digest="0011223344556677")

    whole = judge(GATE, new, old)
    declared = judge(GATE, replace(new, subset="max_per_combo=2"), old)

    assert whole.status is Status.INVALID
    assert declared.status is not Status.INVALID
    assert declared.n == 20
    assert "removed" not in "; ".join(declared.notes)


def test_other_settings() -> None:
    """Episodes with another cap are not those of the baseline; trials do not matter."""
    side = arm("1" * 30)
    old = replace(side, settings={"max_steps": 15, "trials": 1})

    other = judge(GATE, replace(side, settings={"max_steps": 5, "trials": 1}), old)
    more = judge(GATE, replace(side, settings={"max_steps": 15, "trials": 4}), old)

    assert other.status is Status.INVALID
    assert "was measured with max_steps = 15 (now 5)" in other.notes[0]
    assert more.status is not Status.INVALID


def test_edited_targets() -> None:
    """The same prompts with other right answers are other data."""
    new, old = arm("1" * 30), replace(arm("1" * 30), data_digest="0011223344556677")

    verdict = judge(GATE, new, old)

    assert verdict.status is Status.INVALID
    assert "right answers were edited" in verdict.notes[0]
    assert "00112233 then, 9c0d11aa now" in verdict.notes[0]


def test_other_metric_version() -> None:
    """A metric that is defined otherwise is not compared; the versions are named."""
    verdict = judge(GATE, arm("1" * 20, version=2), arm("1" * 20, version=1))

    assert verdict.status is Status.INVALID
    assert "version 1 of exact_match, this run version 2" in verdict.notes[0]


def test_baseline_without_the_metric() -> None:
    """A baseline of before a metric was added says that it lacks it."""
    verdict = judge(GATE, arm("11"), without_scores(arm("11"), 2))

    assert verdict.status is Status.SKIPPED
    assert "baseline has no exact_match yet" in verdict.notes[0]


def test_run_without_the_metric() -> None:
    """A metric, or a tier, that no item of the run has is red: it judges nothing."""
    for gate in (replace(GATE, metric="other"), replace(GATE, tiers=("expret",))):
        verdict = judge(gate, arm("11"), arm("11"))

        assert verdict.status is Status.INVALID
        assert verdict.red


@pytest.mark.parametrize("value", [1.0, "0.9", "0.97"])
def test_published_change_is_between_the_means_shown(value: float | str) -> None:
    """Whichever counts print as what was published: change is new - old."""
    gate = replace(GATE, published=Published(value=value, n=40))

    verdict = judge(gate, arm("1" * 40), None)

    assert verdict.old is not None
    assert verdict.change == pytest.approx(1 - verdict.old)


def test_published_number_of_what_is_no_share() -> None:
    """Values beyond 1, of a metric that nobody declared, are refused in words."""
    gate = replace(GATE, unit=None, published=Published(value=0.9, n=40))

    verdict = judge(gate, arm({"a": 38.0, "b": 39.0}), None)

    assert verdict.status is Status.INVALID
    assert "a share must be in [0, 1]" in verdict.notes[0]


def test_invalid_guard_says_so() -> None:
    """A guard that is red because nothing can be compared is not inconclusive."""
    published = Published(value="0.901", n=40)
    gate = replace(GATE, guard=True, margin=0.1, published=published)

    verdict = judge(gate, arm("1" * 40), None)

    assert (verdict.red, verdict.word) == (True, "INVALID")


def without_scores(side: Arm, count: int) -> Arm:
    """Return an arm whose scorer could not tell for the first items."""
    items = {
        key: replace(value, sums={}) if n < count else value
        for n, (key, value) in enumerate(side.items.items())
    }
    return replace(side, items=items)


def test_items_without_a_score_are_left_out() -> None:
    """What a scorer could not tell is never a 0."""
    new = without_scores(arm("1" * 40), 2)

    verdict = judge(GATE, new, arm("1" * 40))

    assert (verdict.n, verdict.new) == (38, 1.0)


def test_many_items_without_a_score() -> None:
    """A metric that most answers lost cannot be compared."""
    new = without_scores(arm("1" * 40), 20)

    verdict = judge(GATE, new, arm("1" * 40))

    assert verdict.status is Status.INVALID


def test_item_without_a_score_was_not_edited() -> None:
    """The notes do not claim that a prompt was edited."""
    new = without_scores(arm("1" * 40), 2)

    verdict = judge(GATE, new, arm("1" * 40))

    assert "edited" not in "; ".join(verdict.notes)


def test_values_that_are_no_shares() -> None:
    """A metric of a user that is no share is judged by task means, in its own unit."""
    keys = [f"i{n}" for n in range(20)]
    new, old = arm(dict.fromkeys(keys, 3.0)), arm(dict.fromkeys(keys, 30.0))

    verdict = judge(GATE, new, old)

    assert (verdict.status, verdict.test) == (Status.REGRESSED, "continuous")
    assert verdict.change == pytest.approx(-27.0)
    assert "-27, noise floor 10.8 (n=20, 20 tasks, 20 tasks changed" in line(verdict)


def test_share_out_of_range() -> None:
    """A metric that is known to be a share may not leave [0, 1]."""
    verdict = judge(
        replace(GATE, unit="share"),
        arm({"a": 1.5, "b": 1.0}),
        arm({"a": 1.0, "b": 1.0}),
    )

    assert verdict.status is Status.INVALID
    assert "must be in [0, 1]" in verdict.notes[0]


def test_lower_is_better() -> None:
    """Where less is better a rise is the regression, shown with its own sign."""
    gate = replace(GATE, direction="lower")

    verdict = compare("1" * 12 + "0" * 28, "0" * 40, gate)
    mirror = compare("0" * 12 + "1" * 28, "1" * 40)

    assert verdict.status is Status.REGRESSED
    assert verdict.change == pytest.approx(0.3)
    assert verdict.low == pytest.approx(-(mirror.high or 0))
    assert verdict.high == pytest.approx(-(mirror.low or 0))
    assert (verdict.p, verdict.worse, verdict.better) == (mirror.p, 12, 0)
    assert len(verdict.regressed) == 12
    assert compare("0" * 40, "1" * 12 + "0" * 28, gate).status is Status.IMPROVED


def test_numbers_need_a_margin_to_rule_anything_out() -> None:
    """Without a margin nothing changed is inconclusive, and the note says why."""
    keys = [f"i{n}" for n in range(20)]
    side = arm({key: 3.0 + n % 3 for n, key in enumerate(keys)})
    gate = replace(GATE, unit="number")

    bare, given = judge(gate, side, side), judge(replace(gate, margin=0.5), side, side)

    assert bare.status is Status.INCONCLUSIVE
    assert any("set margin, in units of exact_match" in note for note in bare.notes)
    assert given.status is Status.WITHIN_NOISE


def test_one_task_decides() -> None:
    """A mean that one task carries is said to be."""
    keys = [f"i{n}" for n in range(12)]
    old = arm(dict.fromkeys(keys, 2.0))
    new = arm({key: 2.0 + (9 if key == "i3" else 0.1) for key in keys})

    verdict = judge(GATE, new, old)

    assert any("one task holds 100% of the evidence" in note for note in verdict.notes)


@pytest.mark.parametrize(
    ("right", "missed"),
    [
        (40, None),
        (24, "gain of 50.0pp not shown: lower bound +47.0pp"),
        (4, "gain of 50.0pp not shown: lower bound +3.0pp"),
    ],
)
def test_gain_must_be_shown(right: int, missed: str | None) -> None:
    """A gain counts by its lower bound, not by what was observed."""
    gate = replace(GATE, min_gain=0.5)

    verdict = compare("1" * right + "0" * (40 - right), "0" * 40, gate)

    assert verdict.threshold_missed == missed
    assert verdict.red is (missed is not None)


@pytest.mark.parametrize(
    ("broken", "margin", "guarded"),
    [(0, 0.05, "PASS"), (0, 0.01, "INCONCLUSIVE"), (60, 0.05, "FAIL")],
)
def test_guards(broken: int, margin: float, guarded: str) -> None:
    """A guard passes only if a drop of its margin is ruled out."""
    gate = replace(GATE, guard=True, margin=margin)

    verdict = compare("0" * broken + "1" * (150 - broken), "1" * 150, gate)

    assert verdict.guard == guarded
    assert verdict.red is (guarded == "FAIL")
    assert replace(verdict, inconclusive_is_red=True).red is (guarded != "PASS")
    assert f"exact_match GUARD {guarded}" in line(verdict)


def test_guard_forgives_a_drop_within_its_margin() -> None:
    """What is surely worse, and surely by less than the margin, passes a guard."""
    gate = replace(GATE, guard=True, margin=0.10)

    verdict = compare("0" * 9 + "1" * 291, "1" * 300, gate)

    assert (verdict.status, verdict.guard) == (Status.REGRESSED, "PASS")
    assert not verdict.red


@pytest.mark.parametrize(
    ("value", "n", "status"),
    [
        ("88.9%", 18, Status.REGRESSED),
        (0.889, 18, Status.REGRESSED),
        ("88.0%", 18, Status.INVALID),
        (0.889, None, Status.INCONCLUSIVE),
    ],
)
def test_published_number(value: float | str, n: int | None, status: Status) -> None:
    """A published share is compared unpaired, and is never an exact constant."""
    gate = replace(GATE, published=Published(value=value, n=n, source="paper"))

    verdict = judge(gate, arm("1" * 7 + "0" * 11), None)

    assert verdict.status is status
    assert verdict.name == "gate-exact_match-vs-published"
    assert (verdict.against, verdict.test) == ("paper", "unpaired")
    assert verdict.old == pytest.approx(0.889, abs=0.01)


def test_published_number_that_cannot_be() -> None:
    """A percentage that no count gives is refused, with the nearest that one does."""
    gate = replace(GATE, published=Published(value="88.0%", n=18))

    verdict = judge(gate, arm("1" * 18), None)

    assert "no count of 18 is 88.0% when rounded (nearest: 16 of 18" in line(verdict)


def test_published_number_of_a_metric_where_less_is_better() -> None:
    """More failures than were published are the regression."""
    gate = replace(GATE, direction="lower", published=Published(value=0.1, n=100))

    verdict = judge(gate, arm("1" * 40 + "0" * 60), None)

    assert verdict.status is Status.REGRESSED
    assert verdict.change == pytest.approx(0.3)


def test_tiers_of_a_gate() -> None:
    """A gate on a tier judges its items alone, and is named after it."""
    gate = replace(GATE, tiers=("expert",))
    old = arm("1" * 40)
    halves = {
        key: replace(value, tier="expert" if n < 20 else "warmup")
        for n, (key, value) in enumerate(old.items.items())
    }
    new = {
        key: replace(value, sums={"exact_match": (0.0, 0.0)}) if n < 8 else value
        for n, (key, value) in enumerate(halves.items())
    }

    verdict = judge(gate, replace(old, items=new), replace(old, items=halves))

    assert (verdict.name, verdict.n) == ("gate-exact_match-expert", 20)
    assert verdict.change == pytest.approx(-0.4)


@pytest.mark.parametrize(
    ("weight", "change"),
    [
        (None, -8 / 40),
        ("tier", -(8 / 10 + 0) / 2),
        ((("expert", 0.1), ("warmup", 0.9)), -0.08),
    ],
)
def test_weights(weight: Any, change: float) -> None:
    """Tiers can count alike, or by their share of the population."""
    old = arm("1" * 40)
    tiers = {
        key: replace(value, tier="expert" if n < 10 else "warmup")
        for n, (key, value) in enumerate(old.items.items())
    }
    new = {
        key: replace(value, sums={"exact_match": (0.0, 0.0)}) if n < 8 else value
        for n, (key, value) in enumerate(tiers.items())
    }

    verdict = judge(
        replace(GATE, weight=weight), replace(old, items=new), replace(old, items=tiers)
    )

    assert verdict.change == pytest.approx(change)
    assert verdict.new == pytest.approx(1 + change)


def test_weight_without_a_tier() -> None:
    """A tier that no share was given to cannot count as nothing."""
    gate = replace(GATE, weight=(("expert", 1.0),))
    old = arm("10" * 20)

    verdict = judge(gate, old, old)

    assert verdict.status is Status.INVALID
    assert "no share for warmup" in verdict.notes[0]


def test_fraction_not_points() -> None:
    """Points where a fraction is meant are refused."""
    verdict = compare("1" * 20, "1" * 20, replace(GATE, max_drop=5.0))

    assert verdict.status is Status.INVALID
    assert "max_drop = 5" in verdict.notes[0]
    assert "0.05" in verdict.notes[0]


def test_clusters_of_a_gate() -> None:
    """Items of one source can count as one cluster."""
    old = arm("1" * 40)

    verdict = judge(replace(GATE, cluster="tier"), old, old)

    assert (verdict.n, verdict.clusters) == (40, 1)
    assert "40 items of 1 task can never show a regression" in "; ".join(verdict.notes)


def test_baseline_without_anything_right() -> None:
    """Where nothing was right nothing can get worse, and the notes say so."""
    assert "nothing right that could get worse" in compare("0" * 40, "0" * 40).notes[0]


def repeated(counts: Sequence[int], k: int) -> Arm:
    """Return an arm of items that were right so many times of k."""
    base = arm("1" * len(counts))
    return replace(
        base,
        items={
            key: replace(value, k=k, sums={"exact_match": (float(c), float(c))})
            for c, (key, value) in zip(counts, base.items.items(), strict=True)
        },
    )


def test_noise_of_re_runs() -> None:
    """Repeats tell the noise of decoding apart from that of items."""
    side = repeated([3, 3, 2, 1, 0, 3, 3, 2] * 5, 3)

    verdict = judge(GATE, side, side)

    assert verdict.rerun_discordance == pytest.approx(2 * 0.125)
    assert verdict.rerun_floor == pytest.approx(1.644854 * (2 * 0.125 / 40) ** 0.5)
    assert "re-run noise alone 13.0pp at 25% re-run discordance" in line(verdict)
    assert any("run-to-run noise unknown (1 stored run;" in n for n in verdict.notes)


def test_noise_of_whole_runs() -> None:
    """A drop that stored runs show among themselves is not the model's."""
    old = repeated([3, 3, 3, 2] * 25, 3)
    new = repeated([3, 3, 2, 2] * 25, 3)
    calm = replace(old, run_means={"exact_match": [0.92, 0.915, 0.915]})
    stormy = replace(old, run_means={"exact_match": [0.99, 0.92, 0.84]})

    assert judge(GATE, new, calm).status is Status.REGRESSED
    verdict = judge(GATE, new, stormy)

    assert verdict.status is Status.INCONCLUSIVE
    assert any("the drop is within it" in note for note in verdict.notes)


def test_unequal_repeats_are_said() -> None:
    """Items that were measured unequally often are compared, and it is said."""
    side = repeated([3] * 20, 3)
    first = next(iter(side.items))
    item_once = replace(side.items[first], k=1, sums={"exact_match": (1.0, 1.0)})

    verdict = judge(GATE, side, replace(side, items={**side.items, first: item_once}))

    assert any("measured 1 to 3 times" in note for note in verdict.notes)


def test_what_would_settle_it() -> None:
    """An inconclusive comparison names items, tasks, and repeats where these help."""
    new, old = repeated([2, 3, 1, 3] * 10, 3), repeated([3, 2, 2, 2] * 10, 3)

    notes = judge(replace(GATE, margin=0.05), new, old).notes

    assert any(
        "about" in n and "repeats of each on both sides, would settle it" in n
        for n in notes
    ), notes


def test_holm() -> None:
    """Of several gates each shows its adjusted p, those that never ran included."""
    one, two = compare("0" * 12 + "1" * 28, "1" * 40), compare("1" * 40, "1" * 40)
    assert one.p is not None

    first, second = adjusted([one, two], 3)

    assert first.p_holm == pytest.approx(3 * one.p)
    assert second.p_holm == pytest.approx(1.0)
    assert adjusted([one], 1)[0].p_holm is None


def test_values_that_are_shares_again() -> None:
    """Whole shares keep the exact test, whatever the metric's name."""
    assert compare("1" * 20, "1" * 20).test == "paired"


def test_repeats_are_averaged() -> None:
    """A baseline of several runs counts the mean of each item."""
    old = arm("1" * 30)
    thrice = {
        key: replace(value, k=3, sums={"exact_match": (2.0, 2.0) if n < 2 else (3, 3)})
        for n, (key, value) in enumerate(old.items.items())
    }

    verdict = judge(GATE, arm("0" + "1" * 29), replace(old, items=thrice))

    assert verdict.old == pytest.approx(1 - 2 / 90)
    assert verdict.change == pytest.approx((-2 / 3 + 1 / 3) / 30)
    assert (verdict.worse, verdict.better) == (1, 1)


def test_weights_count() -> None:
    """Means and changes are weighted; a hard threshold too."""
    sides = [
        Arm(
            label="x",
            items={
                "a": item(value, cluster="a", weight=3),
                "b": item(1, cluster="b"),
            },
            metric_versions={"exact_match": 1},
        )
        for value in (0, 1)
    ]

    verdict = judge(replace(GATE, min=0.5), *sides)

    assert verdict.new == pytest.approx(0.25)
    assert verdict.change == pytest.approx(-0.75)
    assert verdict.threshold_missed == "0.250 < min 0.5"


def test_tiers() -> None:
    """Each tier shows its old and its new mean."""
    sides = [
        Arm(
            label="x",
            items={
                f"{tier}{n}": replace(item(float(n < right)), tier=tier)
                for tier, right in counts.items()
                for n in range(4)
            },
            metric_versions={"exact_match": 1},
        )
        for counts in ({"warmup": 4, "expert": 1}, {"warmup": 4, "expert": 3})
    ]

    verdict = judge(GATE, *sides)

    assert [(g.by, g.name, g.n, g.old, g.new) for g in verdict.groups] == [
        ("tier", "expert", 4, 0.75, 0.25),
        ("tier", "warmup", 4, 1.0, 1.0),
    ]
    assert [g.q for g in verdict.groups] == pytest.approx([0.5, 0.5])


def test_against_another_model() -> None:
    """A gate against another model has a name of its own and says against what."""
    gate = replace(GATE, against="base")

    verdict = judge(gate, arm("1" * 40), arm("1" * 40, label="base, this run"))

    assert verdict.name == "gate-exact_match-vs-base"
    assert verdict.against == "base, this run"
    assert compare("1", "1").name == "gate-exact_match"
    assert compare("1", "1").against == ""


def test_allowed_drop() -> None:
    """An allowed drop is shown beside the noise floor, and excuses a small drop."""
    gate = replace(GATE, max_drop=0.2)

    verdict = compare("0" * 12 + "1" * 28, "00" + "1" * 38, gate)

    assert verdict.status is Status.INCONCLUSIVE
    assert "allowed drop 20.0pp" in line(verdict)


def test_plain_values() -> None:
    """A verdict becomes JSON with every number that is shown."""
    verdict = compare("0" * 12 + "1" * 28, "00" + "1" * 38)

    data = json.loads(json.dumps(verdict.to_json()))

    assert data["status"] == "REGRESSED"
    assert data["red"] is True
    assert data["change"] == pytest.approx(-0.25)
    assert data["regressed"] == list(verdict.regressed)
    assert data["groups"][0]["name"] == "expert"


def test_plain_values_count_changes() -> None:
    """How many answers changed stands in run.json too."""
    assert compare("01", "11").to_json()["changed"] == 1


def test_noise_of_runs_that_ask_several_times() -> None:
    """Five answers to each prompt leave a fifth of the noise of decoding in a run.

    What the noise of runs explains fails no guard, as it fails no gate.
    """
    old, new = repeated([9] * 100, 15), repeated([3] * 65 + [2] * 35, 5)
    calm = replace(old, run_means={"exact_match": [0.60, 0.60, 0.60]})
    stormy = replace(old, run_means={"exact_match": [0.56, 0.60, 0.64]})
    strict = replace(GATE, guard=True, margin=0.02)

    assert judge(GATE, new, calm).status is Status.REGRESSED
    verdict = judge(GATE, new, stormy)

    # σ_w² is about .26: by 100 answers, not 500, it would explain all of the spread.
    assert any("of which 3.2pp hit all items" in note for note in verdict.notes)
    assert verdict.status is Status.INCONCLUSIVE
    assert judge(strict, new, calm).guard == "FAIL"
    assert judge(strict, new, stormy).guard == "INCONCLUSIVE"
