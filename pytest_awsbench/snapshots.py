"""Baselines as syrupy sees them: one reviewed file per model and suite.

syrupy brings the flag that accepts (``--snapshot-update``), the report line, and the
detection of files that nothing uses any more.
"""

from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.data import Snapshot, SnapshotCollection, SnapshotCollections
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode
from syrupy.location import PyTestLocation

from pytest_awsbench.baselines import Baseline, dumps
from pytest_awsbench.flags import MARKERS
from pytest_awsbench.ledger import Account
from pytest_awsbench.stores import baseline_path


def accept(item: Any, account: Account, fresh: Baseline) -> None:
    """Store the baseline if the user accepts it; else tell syrupy that it is in use.

    Args:
        item: the gate that runs; it knows the folder of baselines.
        account: the model and suite; asserted at most once per run.
        fresh: what this run would store.

    """
    options = item.config.option
    path = baseline_path(item.bench.options.baselines, *account.key)
    stored = path.read_text(encoding="utf-8") if path.exists() else None
    creates = stored is None and options.update_new_snapshots_only
    updating = options.update_snapshots or creates
    if account.asserted or not (updating or stored is not None):
        return
    account.asserted = True
    text = dumps(fresh) if updating else stored
    if stored is not None and account.baseline and fresh.same_as(account.baseline):
        text = stored
    snapshot = SnapshotAssertion(
        update_snapshots=options.update_snapshots,
        update_new_snapshots_only=options.update_new_snapshots_only,
        extension_class=BaselineExtension,
        test_location=PyTestLocation(item),
        # The fixture would scan folders of the user's own snapshots as well.
        session=item.config._syrupy,  # noqa: SLF001
    )
    assert text == snapshot  # noqa: S101 - this is syrupy's interface
    account.accepted = updating


class BaselineExtension(SingleFileSnapshotExtension):
    """Keeps a baseline in ``awsbench_baselines/<model>/<suite>.json``."""

    file_extension = "json"
    _write_mode = WriteMode.TEXT

    def serialize(self, data: Any, **_: Any) -> str:
        """Return the text: it is ready."""
        return str(data)

    @classmethod
    def dirname(cls, *, test_location: PyTestLocation) -> str:
        """Return the model's folder; for tests of others a place that is not there."""
        item: Any = test_location.item
        if not _is_gate(item):
            return str(Path(test_location.filepath).parent / ".awsbench-none")
        return str(item.bench.options.baselines / item.model)

    @classmethod
    def discovery_dirname(cls, *, test_location: PyTestLocation) -> str:
        """Look nowhere else."""
        return cls.dirname(test_location=test_location)

    @classmethod
    def get_file_basename(cls, *, test_location: PyTestLocation, **_: Any) -> str:
        """Name the file after the suite."""
        item: Any = test_location.item
        return str(item.suite)

    @classmethod
    def get_snapshot_name(cls, *, test_location: PyTestLocation, **_: Any) -> str:
        """Name the content after model and suite, whichever gate asserts it."""
        item: Any = test_location.item
        if not _is_gate(item):
            return str(test_location.snapshot_name)
        return f"{item.model}.{item.suite}.gate"

    @classmethod
    def matches_test_location(
        cls, *, test_location: PyTestLocation, snapshot_location: str
    ) -> bool:
        """Whether a baseline belongs to the model of a gate."""
        folder = cls.dirname(test_location=test_location)
        return Path(snapshot_location).parent == Path(folder)

    def read_snapshot_collection(self, *, snapshot_location: str) -> SnapshotCollection:
        """Return what a file holds, by name alone."""
        path = Path(snapshot_location)
        collection = SnapshotCollection(location=snapshot_location)
        collection.add(Snapshot(name=f"{path.parent.name}.{path.stem}.gate"))
        return collection

    def discover_snapshots(
        self,
        *,
        test_location: PyTestLocation,
        ignore_extensions: list[str] | None = None,  # noqa: ARG002
    ) -> SnapshotCollections:
        """Return the files that this run could use, and those of vanished suites.

        The file of a suite that exists but was not selected is not unused.
        """
        discovered = SnapshotCollections()
        item: Any = test_location.item
        if not _is_gate(item):
            return discovered
        alive = {*item.bench.suites, *MARKERS} - {item.suite}
        folder = Path(self.dirname(test_location=test_location))
        for path in sorted(folder.glob("*.json")):
            if path.stem not in alive:
                discovered.add(
                    self.read_snapshot_collection(snapshot_location=str(path))
                )
        return discovered


def _is_gate(item: pytest.Item) -> bool:
    """Whether an item is a gate that has asserted a baseline."""
    account = getattr(item, "account", None)
    return isinstance(account, Account) and account.asserted
