"""The measured parts of run.json: verdicts, means, changes, speed."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


Number = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Unit = Literal["share", "number"]
Direction = Literal["higher", "lower"]
Plain = dict[str, Any]


class Table(BaseModel):
    """A JSON object; a later minor version may add keys."""

    model_config = ConfigDict(strict=True, use_attribute_docstrings=True)


class Group(Table):
    """How one tier or source changed; never gated."""

    by: Literal["tier", "source"]
    name: str
    n: Count
    old: Number
    new: Number
    p: Share
    q: Share
    """Benjamini and Hochberg's, over the groups of its kind."""


class Verdict(Table):
    """What a gate says, with every number that it rests on.

    Changes and intervals are new - old in units of the metric.
    """

    name: str
    metric: str
    status: str
    word: str
    """What the terminal shows."""
    line: str
    """The verdict as one line."""
    node_id: str
    red: bool
    new: Number | None
    test: Literal["", "paired", "continuous", "unpaired"]
    direction: Direction
    unit: Unit
    against: str
    """The other side; empty: the model's own baseline."""
    old: Number | None
    change: Number | None
    noise_floor: Number | None
    """Smallest drop that would be called a regression; null: none would."""
    low: Number | None
    """Of the two-sided 90 % interval of the change."""
    high: Number | None
    p: Share | None
    p_holm: Share | None
    alpha: Share
    n: Count
    clusters: Count
    worse: Count
    better: Count
    changed: Count
    deff: Number | None
    discordance: Number | None
    rerun_discordance: Number | None
    rerun_floor: Number | None
    items_needed: Count | None
    max_drop: Number
    min_gain: Number | None
    margin: Number | None
    guard: Literal["PASS", "FAIL", "INCONCLUSIVE"] | None
    thresholds: bool
    threshold_missed: str | None
    inconclusive_is_red: bool
    regressed: list[str]
    fixed: list[str]
    groups: list[Group]
    notes: list[str]


class Mean(Table):
    """A metric's weighted mean with its 95 % interval, cluster by cluster."""

    mean: Number
    low: Number | None
    high: Number | None
    n: Count
    old: Number | None
    """The baseline's, over the same prompts."""
    unit: Unit
    direction: Direction


class GroupMeans(Table):
    """The means of one tier or source."""

    name: str
    n: Count
    means: dict[str, Mean]


class Groups(Table):
    """Means by tier and by source."""

    tier: list[GroupMeans]
    source: list[GroupMeans]


class Flip(Table):
    """An item that changed."""

    id: str
    kind: Literal["regressed", "fixed"]
    metric: str = ""
    """The one that changed; empty in runs that do not say."""
    against: str
    """The other model; empty: the baseline."""
    old_outcome: str
    new_outcome: str
    old_answer: str | None
    old_answer_from: str | None
    """The run that holds it, or ``this run``."""
    label: Literal["numeric", "real"] | None
    why: str


class Point(Table):
    """Episodes that were complete within so many turns, with a 90 % band."""

    step: Count
    share: Share
    low: Share
    high: Share


class Throughput(Table):
    """How fast answers came."""

    items: Count
    seconds: Number
    items_per_s: Number | None
    tokens_per_s: Number | None
    timeline: list[Annotated[list[float], Field(min_length=2, max_length=2)]]
    """Seconds since this model began, items done."""


class Truncation(Table):
    """How many answers were not over when they ended."""

    answers: Count
    """All of them; of episodes their turns."""
    turns: bool = False
    """Whether these are turns: what was cut off is sent as it is."""
    budget: Count
    retry_budget: Count | None
    asked_again: Count
    by_budget: Count
    """Cut off by the budget, the larger one where there is one."""
    reasoning: Count
    """Of these, those that had not come to an answer yet."""
    by_context: Count
    first: dict[str, Number | None]
    """Means with the first budget; empty where nothing was asked again."""
    after: dict[str, Number | None]
