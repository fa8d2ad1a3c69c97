"""Many episodes in the embedded environment: python benchmarks/soak.py [EPISODES].

A scripted player with 64 live episodes: none may be lost to infrastructure, and memory
must stay bounded. Then the demo's adapter on all built-in tasks, with many and with few
live episodes: every episode must be the same.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from pytest_awsbench.envs.catalog import builtin_tasks, solutions
from pytest_awsbench.envs.client import Client
from pytest_awsbench.envs.embedded import EmbeddedServer
from pytest_awsbench.episodes import Play
from pytest_awsbench.models.spec import Model
from pytest_awsbench.records import Completion, Decoding, Prompt, Sample
from pytest_awsbench.suites.playing import Player
from pytest_awsbench.suites.prompting import SftAdapter
from pytest_awsbench.suites.seating import Rules


LIVE = 64
TIERS = ("warmup", "beginner", "intermediate")
MOST_MB = 1500


class Scripted:
    """Knows the canonical solution of every task that it is asked."""

    def __init__(self) -> None:
        self._known = {
            task.description.strip(): solutions()[task.task_id]
            for task in builtin_tasks()
        }

    def answer(
        self, model: Model, prompts: Sequence[Prompt], decoding: Decoding
    ) -> list[Completion]:
        """Answer with the command whose turn it is."""
        del model, decoding
        return [Completion(text=self._next(prompt[-1].content)) for prompt in prompts]

    def _next(self, text: str) -> str:
        task, _, rest = text.removeprefix("TASK: ").partition("\n\nStep: ")
        return self._known[task][int(rest.split("\n")[0])]


def main() -> int:
    """Run both; return 0 if all is as it must be."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    with tempfile.TemporaryDirectory() as folder:
        ok = scripted(Path(folder), count)
        return 0 if same(Path(folder)) and ok else 1


def scripted(folder: Path, count: int) -> bool:
    """Play so many episodes; return whether none was lost, in bounded memory."""
    tasks = [task for task in builtin_tasks() if task.difficulty in TIERS]
    jobs = [
        (Sample.of(str(n), ""), tasks[n % len(tasks)].model_dump(mode="json"))
        for n in range(count)
    ]
    kept: list[Any] = []
    peaks: list[int] = []

    def keep(_: Sample, answer: object) -> None:
        kept.append(answer)
        if len(kept) % 100 == 0:
            peaks.append(memory())
            print(f"{len(kept)} episodes, {peaks[-1]} MB", flush=True)

    server = EmbeddedServer([f"--sessions={LIVE + 2}"], folder / "log")
    try:
        rules = Rules(adapter=SftAdapter(""), decoding=Decoding(), live=LIVE)
        url = server.url
        player = Player(rules, lambda: Client(url), Scripted().answer)
        player.play(Any, jobs, keep, lambda: False)  # type: ignore[arg-type]
    finally:
        server.close()
    plays = [answer for answer in kept if isinstance(answer, Play)]
    lost, achieved = count - len(plays), sum(play.achieved for play in plays)
    print(
        f"{count} episodes, {lost} lost, {achieved} achieved, {max(peaks)} MB at most"
    )
    return lost == 0 and achieved == count and max(peaks) < MOST_MB


def memory() -> int:
    """Return the megabytes of the environment's processes."""
    tree = psutil.Process().children(recursive=True)
    return int(sum(process.memory_full_info().uss for process in tree) / 1e6)


def same(folder: Path) -> bool:
    """Play all tasks with the adapter twice, in other company; compare the episodes."""
    found = []
    for live in (16, 5):
        (folder / "awsbench.toml").write_text(f"live_episodes = {live}\n")
        command = ["-m", "pytest", "-q", "--awsbench-model=sft", "-m", "env"]
        subprocess.run([sys.executable, *command], cwd=folder, check=True)
        newest = max(folder.glob(".awsbench/*/episodes.jsonl"))
        rows = [json.loads(line) for line in newest.read_text().splitlines()]
        found.append({
            row["item"]: [(turn["command"], turn["output"]) for turn in row["turns"]]
            for row in rows
        })
    print(f"{len(found[0])} tasks, same episodes: {found[0] == found[1]}")
    return found[0] == found[1]


if __name__ == "__main__":
    sys.exit(main())
