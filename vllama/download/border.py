"""Where the errors of huggingface_hub and of its transport become ours; no other module sees them."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from vllama.errors import PullFailed
from vllama.models.sources import Source

_GGUF_TAG: Final = re.compile(r"(?:UD-)?(?:I?Q\d|TQ\d|BF16|F16|F32|MXFP4)[A-Z0-9_]*", re.IGNORECASE)
_KEPT: Final = "; what was fetched is kept"
_WHERE: Final = " in the service's environment"
# The library's transport (requests, httpx) changes with its versions; the root of its errors is a base of its own one.
TRANSPORT_ERROR: Final[type[BaseException]] = next(
    base for base in HfHubHTTPError.__mro__ if base.__name__ == "HTTPError"
)


@contextmanager
def hub_border(source: Source, *, fetching: bool = False) -> Iterator[None]:
    """Turns errors of huggingface_hub into ours. ``fetching``: files are being fetched, and complete ones are kept."""
    try:
        yield
    except GatedRepoError as error:
        raise PullFailed(
            f"{source} is gated: you must accept its owner's terms first",
            hint=f"Accept them at https://huggingface.co/{source.location}, then set HF_TOKEN to your token{_WHERE}.",
            code="pull_gated",
        ) from error
    except RepositoryNotFoundError as error:
        raise PullFailed(
            f"there is no repository {source.location}, or it is private",
            hint=f"Check its spelling (org/name). For a private one set HF_TOKEN{_WHERE}.",
            code="pull_unknown",
        ) from error
    except RevisionNotFoundError as error:
        raise _no_revision(source) from error
    except HFValidationError as error:
        raise PullFailed(f"{source} is not a valid repository name: {error}") from error
    except OfflineModeIsEnabled as error:
        raise PullFailed(
            f"{source} can't be fetched: the hub's library is in offline mode",
            hint=f"Unset HF_HUB_OFFLINE{_WHERE}, or give a directory with the model instead.",
        ) from error
    except LocalEntryNotFoundError as error:
        raise _unreachable(source, fetching=fetching) from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        may_not = f"Set HF_TOKEN to a token that may read it{_WHERE}."
        hint = may_not if status in {401, 403} else f"Try again{_KEPT if fetching else ''}."
        raise PullFailed(f"the hub answered {status} for {source}", hint=hint) from error
    except (TRANSPORT_ERROR, OSError) as error:
        raise _disk_trouble(error) or _unreachable(source, fetching=fetching) from error


def _no_revision(source: Source) -> PullFailed:
    """Ollama pulls one of several GGUF files by such a tag."""
    text = f"{source.location} has no revision {source.revision!r}"
    if not _GGUF_TAG.fullmatch(source.revision):
        return PullFailed(text, code="pull_unknown")
    return PullFailed(
        f"{text}: that names a GGUF file, which needs a plugin that vLLM does not contain",
        hint="Leave the tag out and name a repository with safetensors weights: the original, an AWQ, GPTQ or FP8 one.",
        code="pull_gguf",
    )


def _disk_trouble(error: Any) -> PullFailed | None:
    number = getattr(error, "errno", None)
    if number in {errno.ENOSPC, errno.EDQUOT}:
        return PullFailed("the disk is full: no space left on device", hint=f"Free some space{_KEPT}.")
    if number in {errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR}:
        return PullFailed(f"the model store can't be written: {error.strerror}", where=str(error.filename))
    return None


def _unreachable(source: Source, *, fetching: bool) -> PullFailed:
    return PullFailed(
        f"the hub can't be reached to fetch {source}",
        hint="Check the network (HTTPS_PROXY, HF_ENDPOINT), or give a directory with the model instead"
        f"{_KEPT if fetching else ''}.",
    )
