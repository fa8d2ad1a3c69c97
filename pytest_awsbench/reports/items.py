"""The items of a run as a report shows them: asked, answered, and what changed."""

import html
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, Literal

from pytest_awsbench.flips import other_metric
from pytest_awsbench.records import RIGHT
from pytest_awsbench.reports.units import Document
from pytest_awsbench.reports.visible import cut, visible
from pytest_awsbench.reports.words import Piece, differences


Kind = Literal["regressed", "fixed", "wrong", "lost", "right"]
ORDER: Final = ("regressed", "fixed", "wrong", "lost", "right")
"""Which items come first."""
LIMITS: Final = (20_000, 8_000, 4_000, 2_000, 1_000, 500, 250)
"""Characters of one text that are shown, from few items to many."""
BUDGET: Final = 5_000_000
"""Bytes of all texts together that a page holds."""
SYSTEM: Final = "system"
_PLAIN = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_-./[]=+,"
)


@dataclass(frozen=True, slots=True)
class Text:
    """A text as it is shown."""

    shown: str
    missing: int = 0
    """Characters that were cut off its end."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One sample: shown once for each item, stored once for all."""

    messages: tuple[tuple[str, Text], ...]
    """Role and content; a system message that many share stands elsewhere."""
    target: Text
    tier: str
    source: str
    task: str


@dataclass(frozen=True, slots=True)
class Changed:
    """How an item differs from what it was."""

    kind: str
    metric: str
    """Which one changed; empty: the primary one, which the outcomes tell of."""
    against: str
    """The other model; empty: the baseline."""
    old_outcome: str
    label: str
    why: str
    old: Text | None
    old_from: str
    pieces: tuple[Piece, ...]
    """From the old answer to the new one; empty where the old one is not kept."""


@dataclass(frozen=True, slots=True)
class Turned:
    """One turn of an episode."""

    command: Text
    output: Text
    error: Text
    reward: float
    progress: float
    success: bool


@dataclass(frozen=True, slots=True)
class Played:
    """One trial of a task."""

    achieved: bool
    reward: float
    progress: float
    turns: tuple[Turned, ...]
    cap: int


@dataclass(frozen=True, slots=True)
class Item:
    """One sample or task of one model."""

    node_id: str
    run: int
    """Place of its run in the document."""
    sample: str
    kind: Kind
    outcome: str
    asked: Asked
    answers: tuple[tuple[int, Text], ...] = ()
    """How often, and what."""
    pieces: tuple[Piece, ...] = ()
    """From the target to the answer, of one that is wrong."""
    changes: tuple[Changed, ...] = ()
    played: tuple[Played, ...] = ()
    reason: str = ""
    """Why infrastructure lost it."""

    @property
    def command(self) -> str:
        """The line that runs this item again."""
        quoted = (
            f'"{self.node_id}"'
            if set(self.node_id) <= _PLAIN
            else shlex.quote(self.node_id)
        )
        return f"pytest {quoted}"

    @property
    def sides(self) -> list[Changed]:
        """One change for each other side: several gates may have seen the item."""
        found: dict[str, Changed] = {}
        for change in self.changes:
            found.setdefault(change.against, change)
        return list(found.values())

    @property
    def label(self) -> str:
        """``numeric`` or ``real``, of an item that changed."""
        return next((change.label for change in self.changes if change.label), "")


@dataclass(frozen=True, slots=True)
class Items:
    """All items, those that changed first."""

    all: tuple[Item, ...]
    system: Mapping[str, tuple[Text, ...]]
    """By suite, system messages that its prompts share."""
    limit: int
    """Characters of one text that are shown."""

    def of(self, *kinds: str) -> list[Item]:
        """Return the items of some kinds."""
        return [item for item in self.all if item.kind in kinds]

    @property
    def full(self) -> list[Item]:
        """Items that the page holds in full: all that are not simply right."""
        return self.of(*ORDER[:-1])

    @property
    def counts(self) -> Mapping[str, int]:
        """Kind → number of items."""
        return Counter(item.kind for item in self.all)


Episodes = Mapping[tuple[str, str], Sequence[Document]]
"""Model and sample → its trials, turn by turn."""


def grouped(rows: Iterable[Document]) -> Episodes:
    """Return the rows of ``episodes.jsonl`` by model and sample."""
    found: dict[tuple[str, str], list[Document]] = defaultdict(list)
    for row in rows:
        found[row["model"], row["item"]].append(row)
    return found


def items_of(data: Document, episodes: Episodes) -> Items:
    """Return all items of a run's document.

    Args:
        data: the document.
        episodes: every turn of every episode.

    """
    limit = _limit(data, episodes)
    system = {name: _shared(suite) for name, suite in data["suites"].items()}
    read = {
        name: _Reading(limit, suite["primary"], frozenset(system[name]), episodes)
        for name, suite in data["suites"].items()
    }
    asked = {
        name: {sample["id"]: read[name].asked(sample) for sample in suite["samples"]}
        for name, suite in data["suites"].items()
    }
    found: list[Item] = []
    for number, run in enumerate(data["runs"]):
        name, infra = run["suite"], data.get("infra") or ()
        found += read[name].items(number, run, asked[name], infra)
    found.sort(key=lambda item: ORDER.index(item.kind))
    shown = {
        n: tuple(Text(*cut(t, limit)) for t in texts) for n, texts in system.items()
    }
    return Items(tuple(found), shown, limit)


def _limit(data: Document, episodes: Episodes) -> int:
    """Return how much of each text fits into a page with all the others."""
    # No page shows more of a text than the first limit.
    sizes = [
        len(html.escape(text[: LIMITS[0]], quote=False).encode("utf-8", "replace"))
        for text in _texts(data, episodes)
    ]
    return next(
        (limit for limit in LIMITS if sum(min(s, limit) for s in sizes) <= BUDGET),
        LIMITS[-1],
    )


def _texts(data: Document, episodes: Episodes) -> Iterator[str]:
    """Yield every text that a page would show."""
    for suite in data["suites"].values():
        for sample in suite["samples"]:
            yield from (m["content"] for m in sample["prompt"] if m["role"] != SYSTEM)
            yield sample["target"]
    for run in data["runs"]:
        for result in run["results"]:
            yield from (c["text"] for c in completions(result["completion"]))
    for row in chain.from_iterable(episodes.values()):
        for turn in row["turns"]:
            yield from (turn["command"], turn["output"], turn["error"])


def completions(answer: Document) -> Sequence[Document]:
    """Return the single completions of an answer; none of episodes."""
    if "episodes" in answer:
        return ()
    drawn: Sequence[Document] = answer.get("draws", (answer,))
    return drawn


def _shared(suite: Document) -> tuple[str, ...]:
    """Return system messages that many prompts of a suite begin with."""
    counts = Counter(
        m["content"]
        for s in suite["samples"]
        for m in s["prompt"]
        if m["role"] == SYSTEM
    )
    return tuple(text for text, count in counts.most_common(9) if count > 1)


def _compared(answers: Sequence[tuple[int, Text]], played: Sequence[Played]) -> str:
    """Return what is compared of several answers or trials: the first one's words."""
    if answers:
        return answers[0][1].shown
    return "\n".join(turn.command.shown for one in played[:1] for turn in one.turns)


@dataclass(frozen=True, slots=True)
class _Reading:
    """Reads items of one run, texts cut to a limit."""

    limit: int
    primary: str
    shared: frozenset[str]
    episodes: Episodes

    def text(self, of: str) -> Text:
        """Return a text as it is shown."""
        return Text(*cut(of, self.limit))

    def asked(self, sample: Document) -> Asked:
        """Return one sample."""
        return Asked(
            messages=tuple(
                (visible(message["role"]), self.text(message["content"]))
                for message in sample["prompt"]
                if message["role"] != SYSTEM or message["content"] not in self.shared
            ),
            target=self.text(sample["target"]),
            tier=visible(sample.get("tier") or ""),
            source=visible(sample.get("source") or ""),
            task=visible(str(sample.get("task_id") or "")),
        )

    def items(
        self,
        number: int,
        run: Document,
        asked: Mapping[str, Asked],
        infra: Iterable[Document],
    ) -> Iterator[Item]:
        """Yield every item of a run that was answered, or lost."""
        flips: dict[str, list[Document]] = defaultdict(list)
        for flip in run.get("flips") or ():
            flips[flip["id"]].append(flip)
        for result in run["results"]:
            sample = result["sample_id"]
            if sample in asked:
                yield self._item(number, run, result, asked[sample], flips[sample])
        reasons = {row["node_id"]: row["reason"] for row in infra}
        for sample in run.get("lost") or ():
            node_id = f"{run['node_prefix']}::{sample}"
            if sample in asked:
                yield Item(
                    visible(node_id), number, sample, "lost", "lost", asked[sample],
                    reason=reasons.get(node_id, "infrastructure failed"),
                )  # fmt: skip

    def _item(
        self,
        number: int,
        run: Document,
        result: Document,
        asked: Asked,
        flips: Sequence[Document],
    ) -> Item:
        """Return one item that was answered."""
        sample, outcome = result["sample_id"], result["outcome"]
        said = [c["text"] for c in completions(result["completion"])]
        answers = tuple(
            (count, self.text(text)) for text, count in Counter(said).most_common()
        )
        kinds: set[Kind] = {flip["kind"] for flip in flips}
        kinds.add("right" if outcome in RIGHT else "wrong")
        played = tuple(
            self._played(row)
            for row in self.episodes.get((run["model"]["name"], sample), ())
            if "episodes" in result["completion"]
        )
        new = _compared(answers, played)
        differs = outcome not in RIGHT and bool(answers)
        return Item(
            node_id=visible(f"{run['node_prefix']}::{sample}"),
            run=number,
            sample=sample,
            kind=min(kinds, key=ORDER.index),
            outcome=visible(outcome),
            asked=asked,
            answers=answers,
            pieces=differences(asked.target.shown, new) if differs else (),
            changes=tuple(self._changed(flip, new) for flip in flips),
            played=played,
        )

    def _changed(self, flip: Document, new: str) -> Changed:
        """Return one change of an item, which answered `new`."""
        old = None if flip["old_answer"] is None else self.text(flip["old_answer"])
        return Changed(
            kind=flip["kind"],
            metric=other_metric(flip.get("metric", ""), self.primary),
            against=flip["against"],
            old_outcome=flip["old_outcome"],
            label=flip["label"] or "",
            why=flip["why"],
            old=old,
            old_from=flip["old_answer_from"] or "",
            pieces=differences(old.shown, new) if old is not None else (),
        )

    def _played(self, row: Document) -> Played:
        """Return one trial, turn by turn."""
        turns = tuple(
            Turned(
                command=self.text(turn["command"]),
                output=self.text(turn["output"]),
                error=self.text(turn["error"]),
                reward=turn["reward"],
                progress=turn["progress"],
                success=turn["success"],
            )
            for turn in row["turns"]
        )
        return Played(
            achieved=row["achieved"],
            reward=sum(turn.reward for turn in turns),
            progress=max((turn.progress for turn in turns), default=0.0),
            turns=turns,
            cap=row["cap"],
        )
