"""What goes wrong with the Hub, said in our words: whose fault, and what to do."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from pytest_awsbench.errors import AwsbenchError, InfraError


GONE = 404
DENIED = (401, 403)


@contextmanager
def hub_boundary(what: str, blame: type[AwsbenchError]) -> Iterator[None]:
    """Translate errors of `huggingface_hub` and `datasets`.

    Args:
        what: what is being fetched, such as ``model owner/name``.
        blame: raised where the user named something that is not there.

    Raises:
        InfraError: if the Hub cannot be reached.

    """
    from huggingface_hub import errors

    try:
        yield
    except errors.RevisionNotFoundError as error:
        raise blame(f"{what}: no such revision on the Hub") from error
    except errors.GatedRepoError as error:
        raise blame(denied(what)) from error
    except errors.RepositoryNotFoundError as error:
        raise blame(
            f"{what}: not found on the Hub, or private;"
            " for a private one set HF_TOKEN to a token that may read it"
        ) from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        raise InfraError(_unreachable(what)) from error
    except (errors.HfHubHTTPError, httpx.HTTPStatusError) as error:
        raise _by_status(what, error.response.status_code, blame) from error
    except (httpx.TransportError, ConnectionError, TimeoutError) as error:
        raise InfraError(_unreachable(what)) from error


def _by_status(what: str, status: int, blame: type[AwsbenchError]) -> AwsbenchError:
    """Classify an answer of the Hub."""
    if status in DENIED:
        return blame(denied(what))
    if status == GONE:
        return blame(f"{what}: not found on the Hub")
    return InfraError(f"{what}: the Hub answered {status}; try again later")


def denied(what: str) -> str:
    """Say that access was refused, and never the token."""
    return (
        f"{what}: the Hub refused access; set HF_TOKEN to a token of an account that"
        " was granted access on the model's or data set's page"
    )


def _unreachable(what: str) -> str:
    """Say that nothing answered."""
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    return (
        f"{what}: not in the cache, and the Hub cannot be reached at {endpoint};"
        " check the network, or HF_HUB_OFFLINE, or give a local folder"
    )
