"""From what is configured to models that answer: checked first, loaded later."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_awsbench.errors import ConfigError, InfraError, ModelError
from pytest_awsbench.models.absent import AbsentModel
from pytest_awsbench.models.endpoints import ServedSpec
from pytest_awsbench.models.replay import ReplayModel
from pytest_awsbench.models.replay import load as load_replay
from pytest_awsbench.models.spec import Model, ModelSpec
from pytest_awsbench.models.startup import Say, Startup
from pytest_awsbench.models.weights import Files, card, resolve
from pytest_awsbench.records import ModelCard, Sample


SPINS = "1000"
"""How often a thread of torch looks for work before it sleeps, where it is libgomp's.

That is what libgomp takes where threads outnumber cores, which it knows of its own
process only. Beside anything else that computes, a run with its 300,000 burns the cores
that it waits for, and takes ten times as long; alone, neither is faster.
https://gcc.gnu.org/onlinedocs/libgomp/GOMP_005fSPINCOUNT.html
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A model whose files are here and whose identity is known, without torch."""

    spec: ModelSpec
    card: ModelCard
    files: Files | None = None
    replay: ReplayModel | None = None
    served: ServedSpec | None = None
    failure: str = ""
    """Why a screened model answers nothing; its items are lost, others go on."""
    skipped: str = ""
    """Why a screened model is none to judge."""


@dataclass(frozen=True, slots=True)
class Share:
    """What part of the machine one of several processes takes."""

    slot: int = 0
    """Which worker this is; decides the CUDA device."""
    workers: int = 1


def prepare(
    spec: ModelSpec, root: Path, samples: Iterable[Sample], cache: Path | None
) -> Prepared:
    """Find a model's files, downloading them if needed, and identify it.

    Served models have no files; see `prepare_served`.

    Raises:
        ModelError: if something is missing or does not fit together.
        DataError: if recorded answers are damaged or incomplete.
        InfraError: if the Hub cannot be reached.

    """
    if spec.backend == "replay":
        model = load_replay(spec, root, samples)
        return Prepared(spec=spec, card=model.card, replay=model)
    files = resolve(spec, root)
    return Prepared(spec=spec, card=card(spec, files, cache=cache), files=files)


def prepare_served(spec: ModelSpec, served: ServedSpec, say: Say) -> Prepared:
    """Ask a server who answers there; by its answers a changed model is noticed.

    Args:
        spec: the model.
        served: where it is.
        say: shows one line, if the server has to be waited for.

    Raises:
        ModelError: if a model that was named refuses to answer.
        InfraError: if a model that was named cannot be reached.

    """
    from pytest_awsbench.models.listing import card as served_card
    from pytest_awsbench.models.listing import identity, no_chat

    failure = skipped = ""
    found = None
    try:
        found = identity(served, startup=Startup(served.startup_timeout, say))
    except (ModelError, InfraError) as error:
        if not spec.screened:
            raise
        failure = str(error)
        if isinstance(error, ModelError):
            skipped = no_chat(served, error)
    return Prepared(
        spec=spec,
        card=served_card(spec.name, served, found),
        served=served,
        failure=failure,
        skipped=skipped,
    )


def load(prepared: Sequence[Prepared], share: Share) -> Mapping[str, Model]:
    """Load all models of a run; those on one base share its weights."""
    models: dict[str, Model] = {
        p.spec.name: p.replay for p in prepared if p.replay is not None
    }
    for entry in prepared:
        if entry.failure:
            models[entry.spec.name] = AbsentModel(entry.card, entry.failure)
        elif entry.served is not None:
            from pytest_awsbench.models.served import ServedModel

            models[entry.spec.name] = ServedModel(entry.served, entry.card)
    local = [p for p in prepared if p.files is not None]
    return {**models, **_load_torch(local, share)} if local else models


def _load_torch(prepared: Sequence[Prepared], share: Share) -> Mapping[str, Model]:
    """Load checkpoints; the only way by which torch is imported."""
    # Read once, when torch is imported.
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
    try:
        from pytest_awsbench.models import transformers
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"models of backend transformers need {error.name}, which is not installed:"
            ' pip install "pytest-awsbench[transformers]"'
        ) from error
    transformers.set_threads(share.workers)
    return transformers.load([
        transformers.Loadable(
            spec=replace(p.spec, device=_device(p.spec, share)),
            files=p.files,
            card=p.card,
        )
        for p in prepared
        if p.files is not None
    ])


def _device(spec: ModelSpec, share: Share) -> str:
    """Return a worker's device; one that takes all of them leaves none to others.

    Raises:
        ConfigError: if each of several workers would take all devices.

    """
    import torch

    devices = torch.cuda.device_count()
    if spec.device_map is None:
        return spread(spec.device, share, devices)
    if devices and share.workers > 1:
        raise ConfigError(
            f"model {spec.name}: device_map = {spec.device_map!r} lays one model over"
            f" all {devices} devices, and each of {share.workers} workers would load"
            " one; leave -n out, or device_map"
        )
    return spec.device


def spread(device: str, share: Share, devices: int) -> str:
    """Spread workers over the CUDA devices, where the user names none.

    >>> [spread("auto", Share(slot, 4), devices=2) for slot in range(4)]
    ['cuda:0', 'cuda:1', 'cuda:0', 'cuda:1']
    >>> spread("cuda:1", Share(0, 4), devices=2), spread("auto", Share(0, 4), devices=0)
    ('cuda:1', 'auto')
    """
    if device not in {"auto", "cuda"} or not devices or share.workers == 1:
        return device
    return f"cuda:{share.slot % devices}"
