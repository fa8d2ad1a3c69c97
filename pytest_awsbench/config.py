"""The configuration file: its keys, their types, and what is said of a wrong one."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    ValidationError,
    model_validator,
)

from pytest_awsbench import demo
from pytest_awsbench.errors import ConfigError
from pytest_awsbench.models.spec import ModelSpec, Quantization
from pytest_awsbench.records import Decoding


NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
"""A model's name: part of node ids, file names and shell commands."""

Name = Annotated[str, Field(pattern=NAME)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Table(BaseModel):
    """A table of the configuration: no unknown key, no silent conversion."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class DecodingTable(_Table):
    """How answers are sampled, for all models or for one."""

    max_new_tokens: PositiveInt | None = None
    temperature: Annotated[float, Field(ge=0)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    stop_at_newline: bool | None = None


class ModelTable(DecodingTable):
    """``[tool.awsbench.models.NAME]``."""

    extends: Name | None = None
    backend: Literal["transformers", "replay"] | None = None
    path: str | None = None
    revision: str | None = None
    adapter: str | None = None
    adapter_revision: str | None = None
    load_in_4bit: bool | None = None
    quantization: Quantization | None = None
    dtype: Literal["auto", "float32", "bfloat16", "float16"] | None = None
    device: str | None = None
    attn_implementation: str | None = None
    chat_template: str | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    trust_remote_code: bool | None = None
    replay_key: str | None = None

    def given(self) -> dict[str, Any]:
        """Return the keys that stand in the file."""
        return self.model_dump(exclude_unset=True, exclude={"extends"})


class GateTable(_Table):
    """``[[tool.awsbench.gates]]``."""

    suite: str = "dataset"
    metric: str
    model: Name | list[Name] | None = None
    """Only for these models; default: every model of the run."""
    min: float | None = None
    max: float | None = None
    max_drop: Annotated[float, Field(ge=0)] = 0.0
    margin: Annotated[float, Field(gt=0)] = 0.10
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    against: Name | None = None
    inconclusive: Literal["warn", "fail"] | None = None

    def applies_to(self, model: str) -> bool:
        """Whether this gate judges the model."""
        models = [self.model] if isinstance(self.model, str) else self.model
        return models is None or model in models


class Settings(DecodingTable):
    """``[tool.awsbench]``."""

    dataset: str = "builtin"
    split: str | None = None
    run: list[str] = []
    suites: list[Name] = []
    """Own suites, so that ``-m NAME`` collects the models of ``run``."""
    seed: int = 42
    chunk_size: PositiveInt = 32
    """Prompts that are generated together."""
    strict: bool = False
    require_gates: bool = False
    inconclusive: Literal["warn", "fail"] = "warn"
    baselines: str = "awsbench_baselines"
    keep_runs: PositiveInt = 20
    env: str | None = None
    """``builtin`` (the default), or the URL of an OpenEnv server."""
    env_timeout: Annotated[float, Field(gt=0)] = 300.0
    """Seconds that one answer of the environment may take."""
    allow_accounts: list[str] = []
    """Accounts other than 000000000000 that commands may reach."""
    tasks: str = "builtin"
    max_steps: PositiveInt = 15
    repeats: PositiveInt = 1
    """Trials of each task."""
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
        return self

    def specs(self, root: Path) -> dict[str, ModelSpec]:
        """Return every configured model, or the built-in pair if there is none.

        Raises:
            ConfigError: if a model cannot be used as configured.

        """
        if not self.models:
            return demo_specs()
        return {name: _spec(name, self._merged(name), root) for name in self.models}

    def decoding(self, model: str) -> Decoding:
        """Return how this model's answers are sampled."""
        names = DecodingTable.model_fields
        given = {k: v for k in names if (v := getattr(self, k)) is not None}
        own = self._merged(model) if model in self.models else {}
        given |= {key: own[key] for key in names if own.get(key) is not None}
        return Decoding(**given, seed=self.seed)

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


def _spec(name: str, keys: dict[str, Any], root: Path) -> ModelSpec:
    """Build the typed value of one model, and refuse what cannot work."""
    keys = {k: v for k, v in keys.items() if k not in DecodingTable.model_fields}
    if keys.pop("load_in_4bit", None):
        if keys.get("quantization", "nf4") == "int8":
            raise ConfigError(
                f'models.{name}: load_in_4bit = true contradicts quantization = "int8";'
                " keep one"
            )
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
    return ModelSpec(name=name, **keys)


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
