"""The Hub: what is asked of it, and its errors in our words."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pytest_awsbench.errors import AwsbenchError, InfraError


DENIED = (401, 403)
GONE = 404
TIMEOUT = 10.0
"""Seconds that the Hub may take to say which commit a revision is."""

_ID = re.compile(r"^\w[\w.-]*/\w[\w.-]*$", re.ASCII)
_COMMIT = re.compile(r"^[0-9a-f]{40}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Repo:
    """A repository at a revision."""

    kind: Literal["model", "dataset"]
    id: str
    """owner/name."""
    revision: str | None = None
    """A branch, a tag or a commit; None is ``main``."""

    def __str__(self) -> str:
        return self.id + (f"@{self.revision}" if self.revision else "")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The files of a repository on this machine."""

    folder: Path
    """Its name is the commit."""
    note: str = ""
    """Why a report must say that this may not be the newest commit."""


def is_hub_id(text: str) -> bool:
    """Whether a text can be the id of a repository.

    >>> is_hub_id("owner/name"), is_hub_id("../name"), is_hub_id("name")
    (True, False, False)
    """
    return _ID.match(text) is not None


def snapshot(
    repo: Repo, what: str, blame: type[AwsbenchError], allow: list[str]
) -> Snapshot:
    """Return a repository from the Hub's cache, downloaded if needed.

    Where the Hub cannot be reached, the revision's own cached commit will do if it is
    complete; another revision never will.

    Args:
        repo: which one.
        what: what errors are about, such as ``model sft: owner/name``.
        blame: raised where the repository, the revision or access to it is missing.
        allow: patterns of the files that are needed.

    Raises:
        InfraError: if the Hub cannot be reached and the cache does not do.

    """
    from huggingface_hub import errors, snapshot_download

    with hub_boundary(what, blame), quiet():
        silence = _silence(repo, blame)
        try:
            folder = snapshot_download(
                repo.id,
                repo_type=repo.kind,
                revision=repo.revision,
                allow_patterns=allow,
                # In patterns a * matches / too: weights for other runtimes and
                # checkpoints of the training lie in folders of their own.
                ignore_patterns=["*/*"] if repo.kind == "model" else None,
                local_files_only=silence is not None,
            )
        except errors.LocalEntryNotFoundError as error:
            raise error from (error.__cause__ or silence)
    note = ""
    if silence is not None:
        commit = Path(folder).name[:12]
        note = f"{what}: {_reason(silence)}; the cached commit {commit} is used"
    return Snapshot(Path(folder), note)


@contextmanager
def hub_boundary(what: str, blame: type[AwsbenchError]) -> Iterator[None]:
    """Blame whoever is at fault for what goes wrong with the Hub.

    Args:
        what: what is wanted, such as ``model sft: owner/name``.
        blame: raised where the user named something that they cannot have.

    Raises:
        InfraError: if the Hub cannot be reached or fails.

    """
    from huggingface_hub import errors

    try:
        yield
    except errors.HFValidationError as error:
        raise blame(f"{what}: no Hub id, which is owner/name") from error
    except (_client_error(), OSError) as error:
        raise _classified(what, error, blame) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep progress bars out of pytest's output, unless the user decided."""
    from huggingface_hub import constants
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    decided = constants.HF_HUB_DISABLE_PROGRESS_BARS is not None
    if decided or are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


def _silence(repo: Repo, blame: type[AwsbenchError]) -> Exception | None:
    """Return why the Hub does not say what a revision is; None where it does."""
    from huggingface_hub import HfApi

    if repo.revision and _COMMIT.match(repo.revision):
        # A commit is the same for ever: nothing to ask.
        return None
    try:
        HfApi().repo_info(
            repo.id, repo_type=repo.kind, revision=repo.revision, timeout=TIMEOUT
        )
    except (_client_error(), OSError) as error:
        if isinstance(_classified("", error, blame), InfraError):
            return error
        raise
    return None


def _classified(
    what: str, error: Exception, blame: type[AwsbenchError]
) -> AwsbenchError:
    """Return what an error means; never what a server or a URL said: tokens travel."""
    from huggingface_hub import errors

    if isinstance(error, errors.LocalEntryNotFoundError):
        cause = error.__cause__
        if isinstance(cause, Exception):
            return _classified(what, cause, blame)
    known: tuple[tuple[type[Exception], str], ...] = (
        (errors.RevisionNotFoundError, f"no such revision on the Hub ({_host()})"),
        (errors.GatedRepoError, _REFUSED),
        (errors.RepositoryNotFoundError, f"not found on the Hub ({_host()}); {_TOKEN}"),
    )
    for kind, words in known:
        if isinstance(error, kind):
            return blame(f"{what}: {words}")
    status = _status(error)
    if status in DENIED:
        return blame(f"{what}: {_REFUSED}")
    if status == GONE:
        return blame(f"{what}: not found on the Hub ({_host()})")
    return InfraError(
        f"{what}: not in the cache, and {_reason(error)};"
        " try again later, or give a local copy"
    )


_TOKEN = "for a private one set HF_TOKEN to a token that may read it"  # noqa: S105
_REFUSED = (
    "the Hub refused access; ask for it on the repository's page, and set HF_TOKEN to"
    " a token of an account that has it"
)


def _reason(error: Exception) -> str:
    """Say why the Hub gave nothing."""
    from huggingface_hub import errors

    if isinstance(error, errors.OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE forbids asking the Hub"
    if status := _status(error):
        return f"the Hub ({_host()}) answered {status}"
    detail = getattr(error, "strerror", None) or type(error).__name__
    return f"the Hub ({_host()}) cannot be reached: {detail}"


def _status(error: Exception) -> int | None:
    """Return the HTTP status that the Hub answered with, if it answered."""
    status: int | None = getattr(getattr(error, "response", None), "status_code", None)
    return status


def _client_error() -> type[Exception]:
    """Return the base error of the HTTP client in use.

    It was that of requests, then of httpx, then of httpx2: we ask `huggingface_hub`.
    """
    from huggingface_hub.errors import HfHubHTTPError

    base: type[Exception] = HfHubHTTPError.__bases__[0]
    return base


def _host() -> str:
    """Return the Hub's host, without what a URL may hold of credentials."""
    from huggingface_hub import constants

    return urlsplit(constants.ENDPOINT).netloc.rpartition("@")[2]
