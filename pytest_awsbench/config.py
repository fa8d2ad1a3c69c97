"""The configuration file: its keys, their types, and what is said of a wrong one."""

import difflib
import re
from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveInt,
    ValidationError,
    model_validator,
)

from pytest_awsbench import demo
from pytest_awsbench.chunks import DEFAULT, Limits
from pytest_awsbench.errors import ConfigError
from pytest_awsbench.models.endpoints import ServedSpec
from pytest_awsbench.models.spec import ModelSpec, Quantization
from pytest_awsbench.records import Decoding


PRINTED = re.compile(r"(\d*\.?\d+|\d+\.) *%?", re.ASCII)
"""A share as papers print it: its digits say how exact it is."""
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
"""A model's name: part of node ids, file names and shell commands."""

Name = Annotated[str, Field(pattern=NAME)]
Share = Annotated[float, Field(ge=0, le=1)]
Alpha = Annotated[float, Field(gt=0, lt=0.5)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Table(BaseModel):
    """A table of the configuration: no unknown key, no silent conversion."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class DecodingTable(_Table):
    """How answers are sampled, for all models or for one."""

    max_new_tokens: PositiveInt | None = None
    temperature: Annotated[float, Field(ge=0)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    stop_at_newline: bool | None = None
    retry_truncated: PositiveInt | None = None
    """The larger budget for answers that ``max_new_tokens`` cut off."""


class ModelTable(DecodingTable):
    """``[tool.awsbench.models.NAME]``."""

    extends: Name | None = None
    backend: Literal["transformers", "openai", "replay"] | None = None
    path: str | None = None
    revision: str | None = None
    adapter: str | None = None
    adapter_revision: str | None = None
    load_in_4bit: bool | None = None
    quantization: Quantization | None = None
    dtype: Literal["auto", "float32", "bfloat16", "float16"] | None = None
    device: str | None = None
    device_map: Literal["auto", "balanced", "balanced_low_0", "sequential"] | None = (
        None
    )
    """How one model is laid out over all devices."""
    attn_implementation: str | None = None
    torch_compile: bool | None = None
    chat_template: str | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    trust_remote_code: bool | None = None
    replay_key: str | None = None
    base_url: str | list[str] | None = None
    """Of backend ``openai``: one, or one per replica."""
    model: str | None = None
    """As the server calls it; with ``*`` or ``?`` all that match."""
    api_key_env: str | None = None
    headers_env: dict[str, str] | None = None
    concurrency: PositiveInt | None = None
    timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    startup_timeout: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    max_tokens: PositiveInt | None = None
    """What servers call ``max_new_tokens``."""
    extra_body: dict[str, Any] | None = None

    def given(self) -> dict[str, Any]:
        """Return the keys that stand in the file."""
        return self.model_dump(exclude_unset=True, exclude={"extends"})


class PublishedTable(_Table):
    """``baseline`` of a gate: a number that was published without its items."""

    value: float | str
    n: PositiveInt | None = None
    stderr: Annotated[float, Field(gt=0)] | None = None
    source: str = ""

    @model_validator(mode="after")
    def _printed_share(self) -> Self:
        """Refuse what is no share, or says twice how good it is."""
        text = str(self.value).strip()
        if isinstance(self.value, str) and not PRINTED.fullmatch(text):
            raise ValueError(f"value = {self.value!r}: write 0.889 or '88.9%'")
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        if not 0 <= share <= 1:
            raise ValueError(f"value = {self.value!r}: not a share in [0, 1]")
        if self.n is not None and self.stderr is not None:
            raise ValueError("n and stderr: give one; n says more")
        return self


Finite = Annotated[float, Field(allow_inf_nan=False)]


class GateTable(_Table):
    """``[[tool.awsbench.gates]]``."""

    suite: str = "dataset"
    metric: str
    model: Name | list[Name] | None = None
    """Only for these models; default: every model of the run."""
    tier: str | list[str] | None = None
    """Only items of these tiers."""
    min: Finite | None = None
    max: Finite | None = None
    max_drop: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    min_gain: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    margin: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    alpha: Alpha | None = None
    against: Name | None = None
    baseline: PublishedTable | str | None = None
    """A published number, or a TOML or JSON file of them, by metric."""
    direction: Literal["higher", "lower"] | None = None
    cluster: Literal["task_id", "tier", "source", "id"] = "task_id"
    weight: Literal["tier", "source"] | dict[str, Positive] | None = None
    guard: bool = False
    inconclusive: Literal["warn", "fail"] | None = None
    confirm: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        """Refuse keys that contradict each other."""
        if self.guard and self.margin is None:
            raise ValueError("guard = true needs margin: the drop that matters")
        if self.guard and (self.max_drop or self.min_gain is not None):
            raise ValueError("guard = true has its margin; drop max_drop and min_gain")
        if self.baseline is not None and self.against is not None:
            raise ValueError("baseline and against: compare with one of them")
        return self

    @property
    def tiers(self) -> tuple[str, ...]:
        """Tiers that the gate is for; empty: all."""
        if self.tier is None:
            return ()
        return (self.tier,) if isinstance(self.tier, str) else tuple(self.tier)

    def applies_to(self, model: str) -> bool:
        """Whether this gate judges the model."""
        models = [self.model] if isinstance(self.model, str) else self.model
        return models is None or model in models


def _unless_auto(value: object) -> object:
    """Return a value; None where it is to be found out."""
    return None if value == "auto" else value


class Settings(DecodingTable):
    """``[tool.awsbench]``."""

    dataset: str = "builtin"
    split: str | None = None
    run: list[str] = []
    suites: list[Name] = []
    """Own suites, so that ``-m NAME`` collects the models of ``run``."""
    seed: int = 42
    chunk_size: Annotated[PositiveInt | None, BeforeValidator(_unless_auto)] = DEFAULT
    """Prompts that are generated together; None for ``auto``: what memory allows."""
    chunk_tokens: PositiveInt | None = None
    """Padded tokens that are generated together, answers included."""
    strict: bool = False
    require_gates: bool = False
    inconclusive: Literal["warn", "fail"] = "warn"
    alpha: Alpha = 0.05
    """Of a session: shared out among the gates that name none of their own."""
    confirm: Annotated[int, Field(ge=0)] = 0
    """Fresh runs that are pooled before a red verdict stands."""
    early_stop: bool = False
    """Whether to skip what cannot change a verdict any more."""
    selected_from: PositiveInt = 1
    """Checkpoints of which the one that is stored as a baseline was chosen."""
    train: str | None = None
    """Training rows, for leakage: a path, a Hub id, or ``builtin``."""
    train_split: str | None = None
    max_leak: Share | None = None
    """Share of held-out prompts that may stand in the training rows."""
    baselines: str = "awsbench_baselines"
    keep_runs: PositiveInt = 20
    report: bool = True
    """Whether reports are written after every run."""
    env: str | None = None
    """``builtin`` (the default), or the URL of an OpenEnv server."""
    env_timeout: Annotated[float, Field(gt=0)] = 300.0
    """Seconds that one answer of the environment may take."""
    allow_accounts: list[str] = []
    """Accounts other than 000000000000 that commands may reach."""
    tasks: str = "builtin"
    max_steps: PositiveInt = 15
    repeats: PositiveInt = 1
    """Times that each item is measured."""
    prompt: str = "sft"
    """The prompt adapter of episodes."""
    live_episodes: PositiveInt = 16
    """Episodes that are played at once."""
    grading: Literal["sound", "reference"] = "sound"
    """How the embedded environment grades."""
    chaos: bool = False
    """Whether the embedded environment breaks things, seeded."""
    models: dict[Name, ModelTable] = {}
    gates: list[GateTable] = []

    @model_validator(mode="after")
    def _references(self) -> Self:
        """Refuse a name that stands nowhere, before anything is loaded."""
        for name, table in self.models.items():
            if table.extends is not None and table.extends not in self.models:
                known = ", ".join(sorted(self.models))
                raise ValueError(
                    f"models.{name}.extends: no model {table.extends!r}; known: {known}"
                )
        if self.max_leak is not None and self.train is None:
            raise ValueError("max_leak: no train; set train to the training rows")
        return self

    def limits(self, model: str, size: int | None = None) -> Limits:
        """Return how large a chunk may be.

        Args:
            model: its answers count, too.
            size: what ``auto`` came to; by default as much as nothing configured.

        """
        answer = self.decoding(model).max_new_tokens
        size = self.chunk_size or size or DEFAULT
        return Limits(size=size, tokens=self.chunk_tokens, answer=answer)

    def specs(self, root: Path) -> dict[str, ModelSpec]:
        """Return every configured model, or the built-in pair if there is none.

        Raises:
            ConfigError: if a model cannot be used as configured.

        """
        if not self.models:
            return demo_specs()
        return {name: _spec(name, self._merged(name), root) for name in self.models}

    def decoding(self, model: str) -> Decoding:
        """Return how this model's answers are sampled.

        Raises:
            ConfigError: if the second budget is no larger than the first.

        """
        names = DecodingTable.model_fields
        given = {k: v for k in names if (v := getattr(self, k)) is not None}
        own = self._merged(model) if model in self.models else {}
        given |= {key: own[key] for key in names if own.get(key) is not None}
        if own.get("max_tokens") is not None:
            given["max_new_tokens"] = own["max_tokens"]
        # In the body of a request it may stand by either of its names.
        body = own.get("extra_body") or {}
        limit = body.get("max_completion_tokens") or body.get("max_tokens")
        if isinstance(limit, int):
            given["max_new_tokens"] = limit
        decoding = Decoding(**given, seed=self.seed)
        if (decoding.retry_truncated or inf) <= decoding.max_new_tokens:
            raise ConfigError(
                f"model {model}: retry_truncated = {decoding.retry_truncated} is no"
                f" larger than max_new_tokens = {decoding.max_new_tokens}; raise it"
            )
        return decoding

    def _merged(self, name: str) -> dict[str, Any]:
        """Return a model's keys with those of the models that it extends."""
        chain = [name]
        while (parent := self.models[chain[-1]].extends) is not None:
            if parent in chain:
                circle = " → ".join([*chain, parent])
                raise ConfigError(f"models.{name}.extends goes in a circle: {circle}")
            chain.append(parent)
        merged: dict[str, Any] = {}
        for link in reversed(chain):
            merged |= self.models[link].given()
        return merged


def demo_specs() -> dict[str, ModelSpec]:
    """Return the built-in pair."""
    base, adapter = str(demo.BASE), str(demo.ADAPTER)
    return {
        "base": ModelSpec(name="base", path=base),
        "sft": ModelSpec(name="sft", path=base, adapter=adapter),
    }


def read_settings(table: Mapping[str, Any], path: Path | None) -> Settings:
    """Validate a configuration table.

    Raises:
        ConfigError: naming file, key, value and what is allowed.

    """
    try:
        return Settings.model_validate(table)
    except ValidationError as error:
        lines = [_complaint(dict(detail)) for detail in error.errors()]
        where = f"{path}: [tool.awsbench]" if path else "[tool.awsbench]"
        raise ConfigError("\n".join(f"{where} {line}" for line in lines)) from error


SERVED = (
    "base_url",
    "model",
    "api_key_env",
    "headers_env",
    "concurrency",
    "timeout",
    "startup_timeout",
    "extra_body",
)
"""Keys of backend ``openai`` alone."""


def _served(name: str, keys: dict[str, Any]) -> ModelSpec:
    """Build the typed value of a served model."""
    given = {key: keys[key] for key in SERVED if keys.get(key) is not None}
    urls = given.pop("base_url", [])
    unknown = sorted(keys.keys() - {*SERVED, "backend", "max_tokens"})
    if unknown or not urls:
        what = f"{unknown[0]} is for local models" if unknown else "no base_url"
        raise ConfigError(
            f'models.{name}: {what}; backend = "openai" takes {", ".join(SERVED)},'
            " max_tokens, temperature, top_p"
        )
    served = ServedSpec(
        base_urls=(urls,) if isinstance(urls, str) else tuple(urls), **given
    )
    return ModelSpec(name=name, backend="openai", served=served, configured=name)


def _spec(name: str, keys: dict[str, Any], root: Path) -> ModelSpec:
    """Build the typed value of one model, and refuse what cannot work."""
    keys = {k: v for k, v in keys.items() if k not in DecodingTable.model_fields}
    if keys.get("backend") == "openai":
        return _served(name, keys)
    if alien := [key for key in (*SERVED, "max_tokens") if key in keys]:
        raise ConfigError(f'models.{name}: {alien[0]} needs backend = "openai"')
    _refuse_contradictions(name, keys)
    if keys.pop("load_in_4bit", None):
        keys.setdefault("quantization", "nf4")
    if "path" not in keys:
        hint = "an adapter needs its base" if "adapter" in keys else "it is required"
        raise ConfigError(
            f"models.{name}: no path ({hint});"
            f' set path = "folder-or-hub-id" under [tool.awsbench.models.{name}],'
            ' or extends = "another model"'
        )
    for key in ("path", "adapter", "chat_template"):
        if key in keys and _exists(root / keys[key]):
            keys[key] = str(root / keys[key])
    return ModelSpec(name=name, configured=name, **keys)


def _refuse_contradictions(name: str, keys: Mapping[str, Any]) -> None:
    """Refuse keys that cannot both be meant."""
    if keys.get("load_in_4bit") and keys.get("quantization", "nf4") == "int8":
        raise ConfigError(
            f'models.{name}: load_in_4bit = true contradicts quantization = "int8";'
            " keep one"
        )
    if keys.get("device_map") and keys.get("device", "auto") != "auto":
        raise ConfigError(
            f"models.{name}: device = {keys['device']!r} contradicts device_map ="
            f" {keys['device_map']!r}: one device, or all; keep one"
        )


def _exists(path: Path) -> bool:
    """Whether a path exists; a chat template in the file's own text is no path."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _complaint(error: dict[str, Any]) -> str:
    """Say what is wrong with one key."""
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"{where}: unknown key; {_allowed(error['loc'])}"
    message = str(error["msg"]).removeprefix("Value error, ")
    if not where:
        return message
    return f"{where} = {error['input']!r}: {message[:1].lower()}{message[1:]}"


def _allowed(loc: tuple[Any, ...]) -> str:
    """Name the key that was probably meant, and all that are allowed."""
    tables: dict[str, type[BaseModel]] = {"models": ModelTable, "gates": GateTable}
    table = tables.get(str(loc[0]), Settings) if len(loc) > 1 else Settings
    allowed = list(table.model_fields)
    near = difflib.get_close_matches(str(loc[-1]), allowed, n=1)
    meant = f"did you mean {near[0]}? " if near else ""
    return f"{meant}allowed: {', '.join(allowed)}"
