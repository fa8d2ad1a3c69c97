"""Isolated accounts in one process: each session owns a set of moto's containers.

moto keeps everything in dictionaries that are global. A world is what they hold for one
session; activating it puts that in their place. All worlds are account 000000000000, in
which S3 names, unlike accounts of moto itself, do not meet.
"""

import copy
import gc
from typing import Any

from moto.core.base_backend import AccountSpecificBackend, BackendDict
from moto.core.config import default_user_config
from moto.core.model_instances import reset_model_data
from moto.iam.models import IAMBackend


OWN = {"backend", "service_name", "_use_boto3_regions", "_additional_regions", "_id"}
"""What a container is, rather than what it holds."""

COLLECT = 20
"""After so many emptied worlds their remains are collected."""

Held = dict[Any, tuple[dict[str, Any], dict[str, Any]]]
"""Container → its content, and what else hangs on it."""


class World:
    """What all containers hold for one session."""

    def __init__(self) -> None:
        self.held: Held = {}


class Worlds:
    """Which world is active."""

    def __init__(self) -> None:
        _configure()
        _remember_regions()
        self._active = World()
        self._wiped = 0

    def activate(self, world: World) -> None:
        """Put a world in place; the other one keeps what it held."""
        if world is self._active:
            return
        self._active.held = _taken_out()
        _put_in(world.held)
        world.held = {}
        self._active = world

    def wipe(self, world: World) -> None:
        """Empty a world."""
        if world is self._active:
            _taken_out()
            reset_model_data()
        world.held = {}
        self._wiped += 1
        if self._wiped % COLLECT == 0:
            # Backends refer to each other: they go only when cycles are looked for.
            gc.collect()


def _taken_out() -> Held:
    """Empty all containers, and return what they held."""
    held: Held = {}
    for container in list(BackendDict._instances):  # noqa: SLF001 - moto has no other way
        extra = {
            name: value
            for name, value in vars(container).items()
            if name not in OWN and isinstance(value, dict | list | set)
        }
        held[container] = dict(container.items()), extra
        container.clear()
        for name, value in extra.items():
            setattr(container, name, type(value)())
    BackendDict._instances.clear()  # noqa: SLF001
    return held


def _put_in(held: Held) -> None:
    """Fill containers with what they held."""
    for container, (content, extra) in held.items():
        container.update(content)
        for name, value in extra.items():
            setattr(container, name, value)
        BackendDict._instances.append(container)  # noqa: SLF001


def _configure() -> None:
    """Have moto run no program, and know AWS's managed policies at little cost."""
    for service in ("lambda", "batch"):
        default_user_config[service] = {"use_docker": False}
    default_user_config["iam"] = {"load_aws_managed_policies": True}
    parsed: list[Any] = []
    original = IAMBackend._init_aws_policies  # noqa: SLF001

    def managed(self: IAMBackend) -> list[Any]:
        """Copy policies that are parsed once; each account counts attachments."""
        if self.partition != "aws":
            return list(original(self))
        if not parsed:
            parsed.extend(original(self))
        return [_copied(policy) for policy in parsed]

    IAMBackend._init_aws_policies = managed  # noqa: SLF001


def _remember_regions() -> None:
    """Keep the regions of a service once, not with every account that asks for them.

    moto's own cache holds the accounts themselves, with all that is in them.
    """
    known: dict[str, list[str]] = {}
    original = AccountSpecificBackend._generate_regions.__wrapped__  # noqa: SLF001

    def regions(self: Any, service: str) -> list[str]:  # noqa: ANN401 - of moto
        if service not in known:
            known[service] = original(self, service)
        return list(known[service])

    AccountSpecificBackend._generate_regions = regions  # noqa: SLF001


def _copied(policy: Any) -> Any:  # noqa: ANN401 - of moto
    """Return a policy of which nothing is shared that a command can change."""
    fresh = copy.copy(policy)
    fresh.tags = dict(policy.tags)
    fresh.versions = [copy.copy(version) for version in policy.versions]
    return fresh


def settle() -> None:
    """Leave what is loaded by now out of garbage collection: it is large, and stays."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)
