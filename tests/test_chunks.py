"""Chunks keep to their limits, and depend on the suite alone."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_awsbench.chunks import Limits, estimated, plan_chunks
from pytest_awsbench.errors import ConfigError
from pytest_awsbench.models.endpoints import ServedSpec
from pytest_awsbench.records import Sample


SAMPLES = tuple(
    Sample.of("x" * (10 * number + 10), f"aws s3 rm s3://b/{number}")
    for number in range(50)
)


def test_tokens_limit_a_chunk() -> None:
    """Rows times the longest row, its answer included, stay within the limit."""
    limits = Limits(size=100, tokens=1000, answer=64)

    chunks = plan_chunks(SAMPLES, limits)

    for chunk in chunks:
        longest = max(estimated(s.prompt) for s in chunk.samples) + limits.answer
        assert len(chunk.samples) * longest <= 1000
    assert len(chunks[0].samples) < len(chunks[-2].samples)
    assert sorted(s.id for c in chunks for s in c.samples) == sorted(
        s.id for s in SAMPLES
    )
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))


def test_both_limits_hold() -> None:
    """Where tokens would allow more, the number of prompts still counts."""
    chunks = plan_chunks(SAMPLES, Limits(size=8, tokens=100_000, answer=64))

    assert chunks == plan_chunks(SAMPLES, Limits(size=8))


def test_a_prompt_beyond_the_limit_stands_alone() -> None:
    """A limit smaller than a single prompt still asks every prompt."""
    chunks = plan_chunks(SAMPLES, Limits(size=8, tokens=1, answer=64))

    assert [len(chunk.samples) for chunk in chunks] == [1] * len(SAMPLES)


def journals(folder: Path) -> list[dict[str, Any]]:
    """Return the identities of all journals of a folder, oldest first."""
    paths = (folder / ".awsbench" / "journal").glob("*.jsonl")
    ordered = sorted(paths, key=lambda path: path.stat().st_mtime_ns)
    return [json.loads(path.read_text().partition("\n")[0]) for path in ordered]


def test_tokens_are_part_of_the_identity(project: pytest.Pytester) -> None:
    """Answers that were asked in other company are not served again."""
    run = ("--awsbench-model=tuned", "-m", "dataset")
    path = project.path / "pyproject.toml"
    path.write_text(
        path.read_text().replace("chunk_size", "chunk_tokens=600\nchunk_size")
    )
    project.runpytest(*run)

    [identity] = journals(project.path)

    assert identity["chunk_tokens"] == 600
    assert identity["chunk_size"] == 8


@pytest.mark.torch
def test_auto_needs_a_shape(tmp_path: Path) -> None:
    """Where the files do not tell a model's shape, that is said before it loads."""
    from pytest_awsbench import demo
    from pytest_awsbench.models.capacity import fitting
    from pytest_awsbench.models.loading import Prepared, prepare
    from pytest_awsbench.models.spec import ModelSpec
    from pytest_awsbench.models.weights import Files

    known = prepare(ModelSpec(name="m", path=str(demo.BASE)), tmp_path, (), None)
    (tmp_path / "config.json").write_text('{"model_type": "gpt2", "n_layer": 12}')
    odd: Prepared = replace(known, files=Files(base=tmp_path))
    packed: Prepared = replace(known, files=Files(base=tmp_path, gguf_file="m.gguf"))

    for entry, part in ((odd, "config.json does not tell it"), (packed, "m.gguf does")):
        with pytest.raises(ConfigError, match=f'^model m: chunk_size = "auto".*{part}'):
            fitting(entry, [entry], 100, 1)


def test_auto_keeps_a_server_busy() -> None:
    """Chunks of a served model are larger than what it answers at once."""
    from pytest_awsbench.models.loading import Prepared
    from pytest_awsbench.models.spec import ModelSpec
    from pytest_awsbench.records import ModelCard
    from pytest_awsbench.sizing import _of_server

    served = ServedSpec(base_urls=("http://h/v1",), model="m", concurrency=64)
    card = ModelCard(
        name="m", backend="openai", description="", digest="", template_digest=""
    )
    entry = Prepared(spec=ModelSpec(name="m"), card=card, served=served)

    assert _of_server(entry) == 256
    assert _of_server(replace(entry, served=None)) == 32


@pytest.mark.torch
def test_fitting_follows_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer rows where less is free, or more share it; at least one; 32 on a CPU."""
    from pytest_awsbench import demo
    from pytest_awsbench.models import capacity
    from pytest_awsbench.models.loading import prepare
    from pytest_awsbench.models.spec import ModelSpec

    entry = prepare(ModelSpec(name="base", path=str(demo.BASE)), Path.cwd(), (), None)
    row = capacity._shape(entry).row(1000)
    weights = capacity._weights(entry)

    def fit(free: float, workers: int = 1) -> int:
        monkeypatch.setattr(
            capacity, "free_memory", lambda *_: (int(free * workers), workers)
        )
        return capacity.fitting(entry, [entry, entry], 1000, workers)

    assert fit(weights + 40 * row) == 16
    assert fit(weights + 40 * row, workers=4) == 16
    assert fit(weights + 5 * row) == 2
    assert fit(weights) == 1
    assert fit(1e12) == 32


@pytest.mark.torch
def test_cache_is_what_transformers_keeps() -> None:
    """The planned bytes of keys and values are those of a real cache."""
    from transformers import AutoModelForCausalLM, DynamicCache

    from pytest_awsbench import demo
    from pytest_awsbench.models.capacity import Shape

    module = AutoModelForCausalLM.from_pretrained(demo.BASE, dtype="float32")
    cache = DynamicCache(config=module.config)
    import torch

    module(input_ids=torch.ones(1, 50, dtype=torch.long), past_key_values=cache)

    kept = sum(t.nbytes for layer in cache.layers for t in (layer.keys, layer.values))
    config = json.loads((demo.BASE / "config.json").read_text())
    assert Shape.of(config, 4).cache(50) == kept


@pytest.mark.torch
def test_auto_is_decided_once(
    pytester: pytest.Pytester, workers: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number is recorded; on resuming it stays, whatever memory is free then."""
    (pytester.path / "awsbench.toml").write_text('chunk_size = "auto"\n')
    (pytester.path / "conftest.py").write_text(
        "import os\n"
        "from pytest_awsbench.models import capacity\n"
        "if 'FREE' in os.environ:\n"
        "    free = int(os.environ['FREE'])\n"
        "    capacity.free_memory = lambda *_: (free, 1)\n"
    )
    run = ("--awsbench-model=sft", "-m", "dataset", "--awsbench-max-per-combo=1")
    monkeypatch.setenv("FREE", "1000000000000")
    pytester.runpytest_subprocess(*run, *workers)
    [first] = journals(pytester.path)
    monkeypatch.setenv("FREE", "40000000")

    again = pytester.runpytest_subprocess(*run, *workers, "--awsbench-resume")
    resumed = journals(pytester.path)
    pytester.runpytest_subprocess(*run, *workers)

    assert first["chunk_size"] == 32
    assert resumed == [first]
    again.stdout.no_fnmatch_line(" speed: *")
    assert len(journals(pytester.path)) == 2
    assert journals(pytester.path)[1]["chunk_size"] < 32
