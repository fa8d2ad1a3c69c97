"""The nouns that travel through a run: frozen values without behaviour."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any, Final, Self, TypeAlias

from pytest_awsbench.episodes import Play, StopReason


_HALF_PAIR = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Message:
    """One chat turn."""

    role: str
    """``system``, ``user`` or ``assistant``."""
    content: str


Prompt: TypeAlias = tuple[Message, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One held-out prompt and its right answer."""

    id: str
    """Derived from the content; survives insertion and reordering of rows."""
    prompt: Prompt
    target: str
    """The right answer, one AWS CLI command."""
    prompt_hash: str
    """Hex digest of the prompt alone; an edited prompt is a different item."""
    task_id: str
    """The cluster: samples of one task are not independent."""
    tier: str = ""
    """Difficulty, as the data set names it."""
    source: str = ""
    step_idx: int | None = None
    weight: float = 1.0

    @classmethod
    def of(
        cls,
        prompt: "str | Prompt",
        target: str,
        *,
        task_id: str = "",
        tier: str = "",
        source: str = "",
    ) -> Self:
        """Build a sample whose id is derived from prompt and target.

        Args:
            prompt: the user's words, or messages.
            target: the right answer.
            task_id: the cluster; by default the sample is one by itself.
            tier: difficulty.
            source: where the prompt comes from.

        """
        messages = (Message("user", prompt),) if isinstance(prompt, str) else prompt
        asked = prompt_hash(messages)
        own = hashlib.sha256(f"{asked}\0{target}".encode()).hexdigest()[:8]
        return cls(
            id=own,
            prompt=messages,
            target=target,
            prompt_hash=asked,
            task_id=task_id or own,
            tier=tier,
            source=source,
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        # Not by `asdict`, which takes seconds for 10,000 samples.
        said = [{"role": m.role, "content": m.content} for m in self.prompt]
        return {**plain, "prompt": said}


def prompt_hash(prompt: Prompt) -> str:
    """Return the digest of a prompt: 16 hex digits over roles and contents."""
    text = json.dumps([[m.role, m.content] for m in prompt], ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def well_formed(text: str) -> str:
    r"""Return a text that every file can hold: half a surrogate pair becomes U+FFFD.

    >>> ascii(well_formed("a\ud800b"))
    "'a\\ufffdb'"
    """
    return _HALF_PAIR.sub("\ufffd", text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """How answers are sampled; part of every identity."""

    max_new_tokens: int = 128
    temperature: float = 0.0
    """0 is greedy."""
    top_p: float = 1.0
    stop_at_newline: bool = False
    seed: int = 42
    retry_truncated: int | None = None
    """The larger budget that an answer is asked again with where ``max_new_tokens`` cut
    it off; None asks once."""

    @property
    def again(self) -> "Decoding":
        """How an answer that was cut off is asked again: with the larger budget."""
        return replace(self, max_new_tokens=self.retry_truncated or self.max_new_tokens)

    @property
    def is_again(self) -> bool:
        """Whether this is how answers are asked again."""
        return self.max_new_tokens == self.retry_truncated

    def to_json(self) -> dict[str, Any]:
        """Return plain values; what is not asked again says nothing of it.

        So answers and baselines that were kept before there was a second budget stay
        those of the same decoding.
        """
        plain = {name: getattr(self, name) for name in self.__slots__}
        if self.retry_truncated is None:
            del plain["retry_truncated"]
        return plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What the model said, verbatim, and why it stopped."""

    text: str
    """The answer alone; what the model thought aloud before it is in `reasoning`."""
    stop: StopReason = "eos"
    prompt_tokens: int | None = None
    """None when the backend does not count."""
    tokens: int | None = None
    """Generated tokens, end token included; None when the backend does not count."""
    latency: float | None = None
    """Seconds from the start of its batch to its last token; None when recorded."""
    near_ties: int = 0
    """Positions where the two best tokens lay within the precision of the weights."""
    reasoning: str = ""
    reasoning_tokens: int | None = None
    """Those of `tokens` that the reasoning took; None where they are not told apart."""
    first: Self | None = None
    """What the model said within the first budget, where that cut it off and it was
    asked again (`Decoding.retry_truncated`)."""

    @property
    def cut_off(self) -> bool:
        """Whether the budget or the context ended it, not the model."""
        return self.stop in {"length", "context"}

    def to_json(self) -> dict[str, Any]:
        """Return plain values, fit for JSON and for execnet."""
        # Every value but one is plain: `asdict` would copy each, for each item.
        data = {name: getattr(self, name) for name in self.__slots__}
        if self.first is not None:
            data["first"] = self.first.to_json()
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote, or an older version of it."""
        first = data.get("first")
        if first is None:
            return cls(**data)
        return cls(**{**data, "first": cls.from_json(first)})


@dataclass(frozen=True, slots=True)
class Draws:
    """Several answers to one prompt: sampled anew each time, seeded."""

    completions: tuple[Completion, ...]

    @property
    def text(self) -> str:
        """The first answer."""
        return self.completions[0].text

    def to_json(self) -> dict[str, Any]:
        """Return plain values, fit for JSON and for execnet."""
        return {"draws": [completion.to_json() for completion in self.completions]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(tuple(Completion.from_json(row) for row in data["draws"]))


Answer: TypeAlias = Completion | Draws | Play
"""What an item is answered with: a completion, several, or the trials of a task."""
RIGHT = frozenset({"exact", "complete"})
"""Outcomes of an item that is as it should be."""


def answer_from_json(data: Mapping[str, Any]) -> Answer:
    """Read what the `to_json` of any kind of answer wrote."""
    if "draws" in data:
        return Draws.from_json(data)
    return (Play if "episodes" in data else Completion).from_json(data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One scorer's opinion of one completion or episode."""

    metric: str
    value: float | None
    """None when the scorer could not tell, which no mean may count as 0."""
    reason: str = ""

    def __post_init__(self) -> None:
        """Refuse what no mean can hold.

        Raises:
            ValueError: if the value is not finite.

        """
        if self.value is not None and not isfinite(self.value):
            raise ValueError(
                f"metric {self.metric}: a score of {self.value} is not finite; return"
                " None where a scorer cannot tell"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One item, answered and scored."""

    sample_id: str
    completion: Answer
    scores: Mapping[str, float | None]
    """Metric → value; the mean over trials where there are several."""
    outcome: str
    """``exact``, ``operation``, ``service``, ``format``, ``miss`` or ``truncated``; of
    episodes ``complete`` or ``incomplete``; ``partly`` where only some were right."""
    k: int = 1
    """Trials."""
    squares: Mapping[str, float] = field(default_factory=dict)
    """Metric → sum of squares over the trials; empty for one."""
    first_scores: Mapping[str, float | None] = field(default_factory=dict)
    """Metric → value with the first budget; empty where nothing was asked again."""

    def sums(self, metric: str, value: float) -> tuple[float, float]:
        """Return sum and sum of squares of a metric over the trials."""
        return value * self.k, self.squares.get(metric, value * value)

    def to_json(self) -> dict[str, Any]:
        """Return plain values, fit for JSON and for execnet."""
        return {
            "sample_id": self.sample_id,
            "completion": self.completion.to_json(),
            "scores": dict(self.scores),
            "outcome": self.outcome,
            "k": self.k,
            "squares": dict(self.squares),
            "first_scores": dict(self.first_scores),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(**{**data, "completion": answer_from_json(data["completion"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemStats:
    """What one item showed over K runs: enough for every paired comparison."""

    prompt_hash: str
    cluster: str
    tier: str = ""
    source: str = ""
    weight: float = 1.0
    outcome: str = ""
    """Of the last run."""
    k: int = 1
    """Runs."""
    sums: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Metric → (sum, sum of squares) over the K runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One side of a comparison: a run, or a baseline."""

    label: str
    items: Mapping[str, ItemStats]
    metric_versions: Mapping[str, int]
    data_digest: str = ""
    subset: str = ""
    """How a declared subset was taken; empty for all of the data."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What else the answers depend on, such as the environment of episodes."""
    run_means: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Metric → mean of each stored run, where there are several."""


COMPUTED: Final = ("device", "device_map", "attn_implementation", "torch_compile")
"""Details of a local model that change in which order its numbers are added up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """Who answered: enough to never confuse two models."""

    name: str
    """As configured; part of node ids and file names."""
    backend: str
    """``transformers``, ``openai`` or ``replay``."""
    description: str
    """For people, such as ``demo base + LoRA adapter``."""
    digest: str
    """Hex digest of base weights, adapter weights, quantization and dtype."""
    template_digest: str
    """Hex digest of what turns messages into tokens."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """Plain values: path, revision, adapter, dtype, quantization …"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataCard:
    """Which samples were asked."""

    name: str
    """``builtin``, a path as configured, or a Hub id with its revision."""
    digest: str
    """Hex digest over the ids, prompts and targets of all samples."""
    samples: int
    tasks: int
    subset: str = ""
    """How a declared subset was taken, such as ``max_per_combo=3``; else empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One suite × one model, scored, with provenance."""

    suite: str
    model: ModelCard
    data: DataCard
    decoding: Decoding
    samples: Sequence[Sample]
    """All samples of the suite, answered or not."""
    results: Mapping[str, Result]
    """By sample id; a sample that is missing here was not measured."""
    versions: Mapping[str, str]
    """Library → version."""
    date: str
    """ISO 8601, UTC."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What else the answers depend on, as plain values."""

    @property
    def missing(self) -> list[str]:
        """Ids of the samples without a result, in order."""
        return [s.id for s in self.samples if s.id not in self.results]
