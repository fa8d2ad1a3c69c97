"""The agent loop: many episodes live at once, each round's prompts one batch."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

from pytest_awsbench.episodes import Turn
from pytest_awsbench.errors import InfraError
from pytest_awsbench.models.spec import Model
from pytest_awsbench.records import Completion, Decoding, Prompt, Sample, prompt_hash
from pytest_awsbench.suites.seating import Connect, Keep, Live, Rules, Table


Generate = Callable[[Model, list[Prompt], Decoding], Sequence[Completion | InfraError]]
"""Has a model answer a batch; a server may lose single answers."""
Submit = Callable[[Prompt, Decoding], Future[Completion]]
"""Has a server answer one prompt in the background."""


class Player:
    """Plays tasks; an environment that is slow never keeps the model waiting."""

    def __init__(self, rules: Rules, connect: Connect, generate: Generate) -> None:
        self._rules = rules
        self._connect = connect
        self._generate = generate
        self._table: Table | None = None

    @property
    def live(self) -> int:
        """Episodes that are being played."""
        table = self._table
        return 0 if table is None else table.live

    def play(
        self,
        model: Model,
        tasks: Iterable[tuple[Sample, dict[str, Any]]],
        keep: Keep,
        stopped: Callable[[], bool],
    ) -> None:
        """Play all trials of tasks.

        Args:
            model: answers the prompts.
            tasks: items, each with the task as plain values.
            keep: called for each item as its last trial ends, or with the error of
                infrastructure that lost one of them.
            stopped: whether to begin nothing more.

        Raises:
            InfraError: if several episodes in a row are lost: the rest would be, too.

        """
        jobs = deque(
            Live(sample, task, trial, _seed(self._rules.decoding.seed, sample, trial))
            for sample, task in tasks
            for trial in range(self._rules.trials)
        )
        # A server is asked as soon as an episode has something to ask: it makes batches
        # of its own, and one slow answer keeps nobody else waiting.
        submit: Submit | None = getattr(model, "submit", None)
        with ThreadPoolExecutor(self._rules.live, "awsbench-env") as pool:
            table = Table(self._rules, self._connect, pool, jobs, keep)
            self._table = table
            try:
                while table.open and not stopped():
                    table.begin()
                    if submit is not None:
                        self._submit(model, submit, table)
                        table.hear()
                    elif batch := table.batch():
                        table.send(self._ask(model, batch, table.lost))
                    else:
                        table.hear()
            finally:
                self._table = None
                table.close()

    def _submit(self, model: Model, submit: Submit, table: Table) -> None:
        """Ask a server for the next turn of all episodes that wait for it."""
        for live in table.ready():
            prompt, dropped = self._prompt(model, live)
            # Kept for when the server finds the prompt too long.
            live.dropped = dropped
            turned = partial(self._turn, prompt, dropped)
            table.ask(live, submit(prompt, self._decoding(live)), turned)

    def _decoding(self, live: Live) -> Decoding:
        """Return how a turn is sampled: a draw may not depend on who else is live."""
        decoding = self._rules.decoding
        if decoding.temperature == 0:
            return decoding
        return replace(decoding, seed=live.seed + len(live.turns))

    def _ask(
        self,
        model: Model,
        batch: Sequence[Live],
        lost: Callable[[Live, InfraError], None],
    ) -> list[Live]:
        """Have the model answer all episodes that wait for it; return those it did."""
        prompts = [self._prompt(model, live) for live in batch]
        decoding = self._rules.decoding
        if decoding.temperature == 0:
            answers = self._generate(model, [p for p, _ in prompts], decoding)
        else:
            answers = [
                self._generate(model, [p], self._decoding(live))[0]
                for live, (p, _) in zip(batch, prompts, strict=True)
            ]
        answered = []
        for live, (prompt, dropped), answer in zip(
            batch, prompts, answers, strict=True
        ):
            if isinstance(answer, InfraError):
                lost(live, answer)
                continue
            live.next = self._turn(prompt, dropped, answer)
            answered.append(live)
        return answered

    def _prompt(self, model: Model, live: Live) -> tuple[Prompt, int]:
        """Return an episode's next prompt; the oldest turns go where it is too long."""
        fits = getattr(model, "fits", lambda *_: True)
        description = str(live.task["description"])
        for dropped in range(live.dropped, len(live.turns) + 1):
            prompt = self._rules.adapter.prompt(
                description, live.first, live.turns[dropped:], dropped
            )
            if fits(prompt, self._rules.decoding):
                break
        return prompt, dropped

    def _turn(self, prompt: Prompt, dropped: int, answer: Completion) -> Turn:
        """Return what is sent, as the beginning of a turn."""
        command, well_formed = self._rules.adapter.command(answer.text)
        return Turn(
            prompt_hash=prompt_hash(prompt),
            answer=answer.text,
            command=command,
            well_formed=well_formed,
            stop=answer.stop,
            tokens=answer.tokens,
            dropped=dropped,
            model_s=answer.latency,
            reasoning=answer.reasoning,
            reasoning_tokens=answer.reasoning_tokens,
        )


def _seed(seed: int, sample: Sample, trial: int) -> int:
    """Return the seed of a trial: the same wherever and whenever it is played."""
    text = f"{seed}\0{sample.id}\0{trial}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:4]) >> 1
