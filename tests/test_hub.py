"""Models and data sets of the Hub, against one on the loopback that speaks its API."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_server import TOKEN, Hub, ask, environment, serve
from projects import row, write_jsonl

from pytest_awsbench.suites.dataset import load


#: Looks everything up and prints what came of it, errors with all that led to them.
CLIENT = """
import json, sys, traceback
from pathlib import Path
from pytest_awsbench.models.spec import ModelSpec
from pytest_awsbench.models.weights import card, resolve
from pytest_awsbench.suites.dataset import load

def model(**keys):
    files = resolve(ModelSpec(name="m", **keys), Path("/nowhere"))
    folders = {"base": files.base, "adapter": files.adapter}
    names = {k: [str(p.relative_to(d)) for p in sorted(d.rglob("*"))]
             for k, d in folders.items() if d}
    digest = card(ModelSpec(name="m", **keys), files).digest
    return {"files": names, "commit": files.base.name, "gguf": files.gguf_file,
            "digest": digest, "notes": list(getattr(files, "notes", []))}

def dataset(source, split=None):
    found = load(source, split=split, max_per_combo=None, root=Path("/nowhere"),
                 builtin=Path("/none"))
    return {"ids": [s.id for s in found.samples], "notes": list(found.warnings),
            "digest": found.card.digest, "name": found.card.name}

def outcome(kind, keys):
    try:
        return {"model": model, "dataset": dataset}[kind](**keys)
    except Exception as error:
        return {"error": type(error).__name__, "message": str(error),
                "trace": traceback.format_exc()}

print(json.dumps({"all": [outcome(*entry) for entry in json.loads(sys.argv[1])]}))
"""
OFFLINE = {"HF_HUB_OFFLINE": "1"}


class Client:
    """A user's machine, with a cache and a token of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def models(self, url: str, *specs: dict[str, Any], **env: str) -> list[Any]:
        """Look models up in a process of its own."""
        return self._ask(url, [["model", spec] for spec in specs], env)

    def datasets(self, url: str, *asked: dict[str, Any], **env: str) -> list[Any]:
        """Load data sets in a process of its own."""
        return self._ask(url, [["dataset", keys] for keys in asked], env)

    def _ask(self, url: str, entries: list[Any], env: dict[str, str]) -> list[Any]:
        settings = environment(url, self.home, HF_TOKEN=TOKEN, **env)
        answers: list[Any] = ask(CLIENT, settings, json.dumps(entries))["all"]
        return answers


@pytest.fixture
def hub() -> Iterator[Hub]:
    """An empty Hub."""
    with serve() as served:
        yield served


@pytest.fixture
def client(tmp_path: Path) -> Client:
    """A machine with an empty cache."""
    return Client(tmp_path / "home")


@pytest.fixture
def nobody() -> str:
    """The address of a Hub that refuses connections."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


def base(folder: Path, weights: bytes = b"base") -> Path:
    """Make a checkpoint, with what lies beside many on the Hub."""
    (folder / "onnx").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "pytorch_model.bin").write_bytes(weights)
    (folder / "tokenizer.json").write_text("{}")
    (folder / "onnx" / "config.json").write_text("{}")
    (folder / "onnx" / "model.onnx").write_bytes(weights)
    (folder / "README.md").write_text("# A model")
    return folder


def adapter(folder: Path) -> Path:
    """Make an adapter."""
    folder.mkdir()
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    (folder / "adapter_model.safetensors").write_bytes(b"adapter")
    return folder


def data(folder: Path, count: int, *splits: str) -> Path:
    """Make a data set; each split has one row more than the one before."""
    folder.mkdir()
    for extra, split in enumerate(splits):
        rows = [row(n) for n in range(count + extra)]
        for entry in rows:
            del entry["id"]
        write_jsonl(folder / f"{split}.jsonl", rows)
    return folder


def refused(answer: dict[str, Any], error: str, *words: str) -> None:
    """Assert that an answer is this error, and says these words."""
    assert answer.get("error") == error, answer
    assert all(word in answer["message"] for word in words), answer["message"]


# Models


def test_base_and_adapter(hub: Hub, client: Client, tmp_path: Path) -> None:
    """A base and its adapter come from the Hub with what loading needs, no more."""
    [commit] = hub.add("models/o/base", base(tmp_path / "base"))
    hub.add("models/o/lora", adapter(tmp_path / "lora"))

    [found] = client.models(hub.url, {"path": "o/base", "adapter": "o/lora"})

    assert found["files"] == {
        "base": ["config.json", "model.safetensors", "tokenizer.json"],
        "adapter": ["adapter_config.json", "adapter_model.safetensors"],
    }
    assert (found["commit"], found["notes"]) == (commit, [])


def test_revisions(hub: Hub, client: Client, tmp_path: Path) -> None:
    """A branch, a tag and a commit lead to their own weights."""
    old, new = base(tmp_path / "old", b"old"), base(tmp_path / "new", b"new")
    first, second = hub.add("models/o/base", old, new)
    revisions = [None, "main", "v1", first]

    answers = client.models(
        hub.url, *({"path": "o/base", "revision": r} for r in revisions)
    )

    assert [a["commit"] for a in answers] == [second, second, first, first]
    assert len({a["digest"] for a in answers}) == 2


def test_same_weights_wherever(hub: Hub, client: Client, tmp_path: Path) -> None:
    """A local copy of a repository is the same model."""
    folder = base(tmp_path / "base")
    hub.add("models/o/base", folder)

    one, other = client.models(hub.url, {"path": "o/base"}, {"path": str(folder)})

    assert one["digest"] == other["digest"]


def test_only_pickled_weights(hub: Hub, client: Client, tmp_path: Path) -> None:
    """A repository without safetensors gives its older weights."""
    folder = base(tmp_path / "base")
    (folder / "model.safetensors").unlink()
    hub.add("models/o/base", folder)

    [found] = client.models(hub.url, {"path": "o/base"})

    assert "pytorch_model.bin" in found["files"]["base"]


def test_gguf_of_the_hub(hub: Hub, client: Client, tmp_path: Path) -> None:
    """One ``.gguf`` file of a repository is fetched, not its siblings."""
    folder = tmp_path / "gguf"
    folder.mkdir()
    for name in ("q4.gguf", "q8.gguf"):
        (folder / name).write_bytes(b"GGUF" + name.encode())
    hub.add("models/o/gguf", folder)

    found, missing = client.models(
        hub.url, {"path": "o/gguf/q4.gguf"}, {"path": "o/gguf/q2.gguf"}
    )

    assert (found["files"]["base"], found["gguf"]) == (["q4.gguf"], "q4.gguf")
    refused(missing, "ModelError", "o/gguf has no file 'q2.gguf'")


@pytest.mark.parametrize("status", [401, 403])
def test_gated(hub: Hub, client: Client, tmp_path: Path, status: int) -> None:
    """Without access the message names HF_TOKEN, and never the token."""
    hub.add("models/o/base", base(tmp_path / "base"), gated=status)

    [answer] = client.models(hub.url, {"path": "o/base"})

    refused(answer, "ModelError", "model m", "o/base", "refused access", "HF_TOKEN")
    assert TOKEN not in answer["trace"]


@pytest.mark.parametrize("status", [401, 403])
def test_token_refused(hub: Hub, client: Client, status: int) -> None:
    """A Hub that refuses everything refuses access; the network is not to blame."""
    hub.broken = status

    [answer] = client.models(hub.url, {"path": "o/base"})

    refused(answer, "ModelError", "model m", "o/base", "HF_TOKEN")


def test_nothing_there(hub: Hub, client: Client, tmp_path: Path) -> None:
    """A missing repository and a missing revision are named."""
    hub.add("models/o/base", base(tmp_path / "base"))

    nothing, revision = client.models(
        hub.url, {"path": "o/other"}, {"path": "o/base", "revision": "v9"}
    )

    refused(nothing, "ModelError", "o/other", "not found on the Hub", "HF_TOKEN")
    refused(revision, "ModelError", "o/base@v9", "no such revision")


def test_local_folder_that_was_meant(hub: Hub, client: Client) -> None:
    """A slip in a path that could be a Hub id names the folder that is not there."""
    [answer] = client.models(hub.url, {"path": "runs/sft"})

    refused(answer, "ModelError", "/nowhere/runs/sft", "not found on the Hub")


def test_unreachable(client: Client, nobody: str) -> None:
    """A Hub that cannot be reached is infrastructure, named by its host."""
    [answer] = client.models(nobody, {"path": "o/base"})

    refused(answer, "InfraError", "o/base", nobody.removeprefix("http://"))


def test_broken_hub(hub: Hub, client: Client) -> None:
    """A Hub that fails is infrastructure, with the status it answered."""
    hub.broken = 500

    [answer] = client.models(hub.url, {"path": "o/base"})

    refused(answer, "InfraError", "o/base", "answered 500")


def test_offline(hub: Hub, client: Client, tmp_path: Path) -> None:
    """Offline, what is cached in full is used, and nothing else."""
    hub.add("models/o/base", base(tmp_path / "old"), base(tmp_path / "new", b"new"))
    [online] = client.models(hub.url, {"path": "o/base"})
    asked = len(hub.asked)

    cached, tag, other = client.models(
        hub.url,
        {"path": "o/base"},
        {"path": "o/base", "revision": "v1"},
        {"path": "o/other"},
        **OFFLINE,
    )

    assert (cached["commit"], cached["digest"]) == (online["commit"], online["digest"])
    refused(tag, "InfraError", "o/base@v1", "not in the cache", "HF_HUB_OFFLINE")
    refused(other, "InfraError", "o/other", "not in the cache", "HF_HUB_OFFLINE")
    assert len(hub.asked) == asked


def test_cache_says_so(hub: Hub, client: Client, nobody: str, tmp_path: Path) -> None:
    """A cached commit that nobody could check is used, and this is said."""
    [commit] = hub.add("models/o/base", base(tmp_path / "base"))
    client.models(hub.url, {"path": "o/base"})

    [away] = client.models(nobody, {"path": "o/base"})
    [forbidden] = client.models(nobody, {"path": "o/base"}, **OFFLINE)

    [note] = away["notes"]
    assert nobody.removeprefix("http://") in note
    assert note.endswith(f"the cached commit {commit[:12]} is used")
    [note] = forbidden["notes"]
    assert "HF_HUB_OFFLINE" in note


def test_pinned_commit(hub: Hub, client: Client, nobody: str, tmp_path: Path) -> None:
    """A cached commit given in full needs no Hub, and nothing has to be said."""
    [commit] = hub.add("models/o/base", base(tmp_path / "base"))
    spec = {"path": "o/base", "revision": commit}
    client.models(hub.url, spec)

    [away] = client.models(nobody, spec)

    assert (away["commit"], away["notes"]) == (commit, [])


def test_incomplete_cache(
    hub: Hub, client: Client, nobody: str, tmp_path: Path
) -> None:
    """A download that was cut short is no model."""
    hub.add("models/o/base", base(tmp_path / "base"))
    client.models(hub.url, {"path": "o/base"})
    [weights] = client.home.rglob("snapshots/*/model.safetensors")
    weights.unlink()

    [away] = client.models(nobody, {"path": "o/base"})

    assert away["error"] == "InfraError"


# Data sets


def test_dataset(hub: Hub, client: Client, tmp_path: Path) -> None:
    """A split of a data set, at a revision, gives the samples of the same file."""
    old = data(tmp_path / "old", 3, "train", "validation", "test")
    new = data(tmp_path / "new", 5, "train", "validation")
    _, commit = hub.add("datasets/o/data", old, new)
    local = load(
        str(old / "validation.jsonl"),
        split=None,
        max_per_combo=None,
        root=tmp_path,
        builtin=tmp_path,
    )

    tag, main, pinned, test = client.datasets(
        hub.url,
        {"source": "o/data@v1"},
        {"source": "o/data", "split": "train"},
        {"source": f"o/data@{commit}", "split": "validation"},
        {"source": "o/data@v1", "split": "test"},
    )

    assert tag["ids"] == [s.id for s in local.samples]
    assert (tag["digest"], tag["name"]) == (local.card.digest, "o/data@v1")
    assert [len(a["ids"]) for a in (main, pinned, test)] == [5, 6, 5]
    assert tag["notes"] == []


def test_splits(hub: Hub, client: Client, tmp_path: Path) -> None:
    """An unknown split is refused with those that there are; an only one is taken."""
    hub.add("datasets/o/data", data(tmp_path / "data", 3, "train", "validation"))
    folder = data(tmp_path / "single", 3, "train")
    (folder / "data").mkdir()
    (folder / "train.jsonl").rename(folder / "data" / "train.jsonl")
    hub.add("datasets/o/single", folder)

    unknown, single = client.datasets(
        hub.url, {"source": "o/data", "split": "held_out"}, {"source": "o/single"}
    )

    refused(unknown, "DataError", "o/data", "no split 'held_out'", "train, validation")
    assert len(single["ids"]) == 3


def test_dataset_refused(hub: Hub, client: Client, tmp_path: Path) -> None:
    """Missing access, repositories and revisions are the user's to mend."""
    folder = data(tmp_path / "data", 1, "train")
    hub.add("datasets/o/gated", folder, gated=403)
    hub.add("datasets/o/data", folder)

    gated, nothing, revision = client.datasets(
        hub.url,
        {"source": "o/gated"},
        {"source": "o/other"},
        {"source": "o/data@v9"},
    )

    refused(gated, "DataError", "o/gated", "refused access", "HF_TOKEN")
    refused(nothing, "DataError", "o/other", "not found on the Hub", "HF_TOKEN")
    refused(revision, "DataError", "o/data@v9", "no such revision")
    assert not any(TOKEN in a["trace"] for a in (gated, nothing, revision))


def test_useless_datasets(hub: Hub, client: Client, tmp_path: Path) -> None:
    """Repositories without rows, without prompts, or with damage are told apart."""
    empty, other, damaged = (tmp_path / n for n in ("empty", "other", "damaged"))
    for folder in (empty, other, damaged):
        folder.mkdir()
    (empty / "README.md").write_text("# Soon")
    write_jsonl(other / "train.jsonl", [{"question": "q", "answer": "a"}])
    (damaged / "train.jsonl").write_text("{oops\n")
    for folder in (empty, other, damaged):
        hub.add(f"datasets/o/{folder.name}", folder)

    answers = client.datasets(
        hub.url, *({"source": f"o/{n}"} for n in ("empty", "other", "damaged"))
    )

    refused(answers[0], "DataError", "o/empty")
    refused(answers[1], "DataError", "no column 'messages'", "question, answer")
    refused(answers[2], "DataError", "o/damaged")


def test_dataset_unreachable(client: Client, nobody: str) -> None:
    """A Hub that cannot be reached is infrastructure, named by its host."""
    [answer] = client.datasets(nobody, {"source": "o/data"})

    refused(answer, "InfraError", "o/data", nobody.removeprefix("http://"))


def test_dataset_offline(hub: Hub, client: Client, nobody: str, tmp_path: Path) -> None:
    """Another revision than the one that was asked for is never served instead."""
    old, new = (data(tmp_path / n, c, "test") for n, c in (("old", 2), ("new", 4)))
    hub.add("datasets/o/data", old, new)
    [online] = client.datasets(hub.url, {"source": "o/data"})

    cached, tag = client.datasets(nobody, {"source": "o/data"}, {"source": "o/data@v1"})

    assert (cached["ids"], cached["digest"]) == (online["ids"], online["digest"])
    [note] = cached["notes"]
    assert "the cached commit" in note
    refused(tag, "InfraError", "o/data@v1", "not in the cache")
