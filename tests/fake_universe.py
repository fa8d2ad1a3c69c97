"""An account that answers what a test wants, and remembers what was run."""

from collections.abc import Callable, Mapping

from pytest_awsbench.envs.server.universe import Ran


class FakeUniverse:
    """Commands succeed, but for those that a test says fail."""

    def __init__(self, outputs: Mapping[str, str | Ran] | None = None) -> None:
        self.outputs = dict(outputs or {})
        self.ran: list[str] = []
        self.seeds: list[int] = []
        self.on_run: Callable[[str], None] = lambda command: None

    def reset(self, seed: int) -> None:
        """Begin anew."""
        self.seeds.append(seed)
        self.ran.clear()

    def run(self, command: str) -> Ran:
        """Answer."""
        self.ran.append(command)
        self.on_run(command)
        found = self.outputs.get(command, "{}")
        return found if isinstance(found, Ran) else Ran(0, found, "")

    def close(self) -> None:
        """Do nothing."""
