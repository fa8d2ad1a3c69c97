"""Where a model is put: one device, all of them, a worker's share; and compiled."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny_model

from pytest_awsbench import demo
from pytest_awsbench.config import read_settings
from pytest_awsbench.errors import ConfigError
from pytest_awsbench.models.loading import Share, load, prepare, spread
from pytest_awsbench.models.spec import Model, ModelSpec
from pytest_awsbench.records import Decoding


DECODING = Decoding(max_new_tokens=24)
SFT = ModelSpec(name="sft", path=str(demo.BASE), adapter=str(demo.ADAPTER))
BASE = ModelSpec(name="base", path=str(demo.BASE))

torch_needed = pytest.mark.torch


LOAD = f"""
from pathlib import Path
from pytest_awsbench.models.loading import Share, load, prepare
from pytest_awsbench.models.spec import ModelSpec
spec = ModelSpec(name="base", path={str(demo.BASE)!r})
load([prepare(spec, Path.cwd(), (), None)], Share())
"""


def loaded(*specs: ModelSpec) -> dict[str, Model]:
    """Load models as a run does."""
    with tiny_model.quiet():
        return dict(load([prepare(s, Path.cwd(), (), None) for s in specs], Share()))


def texts(model: Model) -> list[str]:
    """Return what a model answers."""
    return [c.text for c in model.generate(tiny_model.prompts(), DECODING)]


@torch_needed
def test_device_map() -> None:
    """A model that accelerate lays out answers as one that is put on a device."""
    import torch

    from pytest_awsbench.models.checkpoint import _weights_arguments

    spec = replace(BASE, device_map="auto")
    mapped = loaded(spec, replace(SFT, device_map="auto"))

    arguments = _weights_arguments(spec, demo.BASE, torch.device("cpu"))
    assert arguments["device_map"] == "auto"
    plain = loaded(BASE, SFT)
    assert {n: texts(m) for n, m in mapped.items()} == {
        n: texts(m) for n, m in plain.items()
    }


@torch_needed
def test_rows_are_dropped_where_layers_are_apart() -> None:
    """With layers on several devices rows are chosen by an index that all can read."""
    import torch

    from pytest_awsbench.models.decoding import _beside

    apart = SimpleNamespace(hf_device_map={"model.layers.0": 0, "model.layers.1": 1})
    together = SimpleNamespace(hf_device_map={"": 0})
    there = torch.empty(1, device="meta")

    assert str(_beside(apart, there)) == "cpu"
    assert str(_beside(together, there)) == "meta"
    assert str(_beside(object(), there)) == "meta"


@torch_needed
@pytest.mark.slow
def test_compiled_blocks_answer_alike() -> None:
    """What torch compiles answers as what it does not, with an adapter, too."""
    compiled = loaded(*(replace(s, torch_compile=True) for s in (BASE, SFT)))

    plain = loaded(BASE, SFT)
    assert texts(compiled["base"]) == texts(plain["base"])
    assert texts(compiled["sft"]) == texts(plain["sft"])


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every folder that weights of a base are read from."""
    from transformers import AutoModelForCausalLM

    folders: list[object] = []
    original: Callable[..., Any] = AutoModelForCausalLM.from_pretrained

    def counted(folder: object, **arguments: Any) -> Any:
        folders.append(folder)
        return original(folder, **arguments)

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", counted)
    return folders


@torch_needed
def test_one_read_for_a_base_and_all_its_adapters(reads: list[object]) -> None:
    """Base and adapters of one process share weights that were read once."""
    others = [replace(SFT, name=f"sft{n}") for n in range(3)]

    models = loaded(BASE, SFT, *others)

    assert reads == [demo.BASE]
    assert len({id(m.module.get_base_model()) for m in models.values()}) == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_a_device_for_each_worker(device: str) -> None:
    """Workers take the devices in turn; alone, the user's word stands."""
    taken = [spread(device, Share(slot, workers=4), devices=3) for slot in range(4)]

    assert taken == ["cuda:0", "cuda:1", "cuda:2", "cuda:0"]
    assert spread(device, Share(0, workers=1), devices=3) == device
    assert spread(device, Share(2, workers=4), devices=0) == device
    assert spread("cpu", Share(2, workers=4), devices=3) == "cpu"
    assert spread("cuda:2", Share(0, workers=4), devices=3) == "cuda:2"


@torch_needed
def test_workers_cannot_each_take_all_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """One model over all devices, in each of several workers, is refused."""
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    spec = replace(BASE, device_map="auto")

    with pytest.raises(ConfigError, match="each of 2 workers would load one; leave -n"):
        load([prepare(spec, Path.cwd(), (), None)], Share(0, workers=2))


@torch_needed
def test_apple_device_that_is_not_there() -> None:
    """A device of another machine is refused by name."""
    with pytest.raises(ConfigError, match="device 'mps', but torch sees no Apple GPU"):
        loaded(replace(BASE, device="mps"))


def test_keys_reach_the_model() -> None:
    """The configuration's keys become what the backend is told."""
    table = {
        "models": {
            "m": {
                "path": "owner/m",
                "device_map": "auto",
                "torch_compile": True,
                "attn_implementation": "eager",
                "dtype": "float16",
            }
        }
    }

    spec = read_settings(table, None).specs(Path.cwd())["m"]

    assert (spec.device_map, spec.torch_compile) == ("auto", True)
    assert (spec.attn_implementation, spec.dtype) == ("eager", "float16")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"device_map": "everywhere"}, "input should be 'auto', 'balanced'"),
        ({"torch_compile": "yes"}, "input should be a valid boolean"),
    ],
)
def test_wrong_values(keys: dict[str, object], said: str) -> None:
    """A value that means nothing is named with what is allowed."""
    with pytest.raises(ConfigError, match=said):
        read_settings({"models": {"m": {"path": "p", **keys}}}, None)


def test_one_device_or_all() -> None:
    """A device and a map of devices contradict each other."""
    keys = {"path": "p", "device": "cuda:1", "device_map": "auto"}
    settings = read_settings({"models": {"m": keys}}, None)

    with pytest.raises(ConfigError, match="'cuda:1' contradicts device_map = 'auto'"):
        settings.specs(Path.cwd())


@torch_needed
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="libgomp is Linux's")
@pytest.mark.parametrize(
    ("own", "spins"), [({}, "1000"), ({"GOMP_SPINCOUNT": "70"}, "70")]
)
def test_waiting_threads_sleep(own: dict[str, str], spins: str) -> None:
    """Torch's threads leave the cores to others, unless somebody has said otherwise."""
    around = {k: v for k, v in os.environ.items() if k != "GOMP_SPINCOUNT"}

    said = subprocess.run(
        [sys.executable, "-c", LOAD],
        env={**around, "OMP_DISPLAY_ENV": "VERBOSE", **own},
        capture_output=True,
        text=True,
        check=True,
    )

    assert f"GOMP_SPINCOUNT = '{spins}'" in said.stderr
