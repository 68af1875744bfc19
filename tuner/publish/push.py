"""Sending a published folder to a hub: the Hugging Face Hub, or whatever ``HF_ENDPOINT`` names."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tuner.errors import InputError
from tuner.optional import require
from tuner.storage_url import MASK, mask, scrub

#: ``USER/NAME``, as the Hub has it.
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,95}/[A-Za-z0-9][A-Za-z0-9_.-]{0,95}")

#: Seconds without a byte after which a hub counts as silent; huggingface_hub itself waits for ever.
SILENT_S = 60.0

#: How long hf_xet, which large files go by, tries one request again: its own six minutes, some times over, look like
#: a command that hangs.
_PATIENCE = {"HF_XET_CLIENT_RETRY_MAX_DURATION": "20s", "HF_XET_CLIENT_READ_TIMEOUT": "60s"}


def check_pushable(repository: str) -> None:
    """Find out before any work that a folder could not be sent.

    Raises:
        InputError: The name is none.
        MissingExtraError: huggingface_hub is not installed.
    """
    require("huggingface_hub", purpose="--push", extra="hub")
    if not _REPOSITORY.fullmatch(repository) or "--" in repository or ".." in repository:
        raise InputError(f"--push must be USER/NAME of letters, digits, dots and dashes, got '{repository}'.")


def push(folder: Path, repository: str, *, private: bool = False) -> str:
    """Send a folder, and return the repository's address. The token is that of ``hf auth login`` or ``HF_TOKEN``.

    Args:
        folder: What :func:`~tuner.publish.folder.write_folder` wrote.
        repository: ``USER/NAME``; made if it is not there.
        private: Whether a new one is to be seen by its owner alone.

    Raises:
        InputError: The hub does not answer or does not take it; the folder stays.
    """
    from huggingface_hub import HfApi, errors, get_session, get_token

    http_error: type[Exception] = vars(errors).get("HTTPError", OSError)  # of whichever client that version has
    hub = HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
    get_session().timeout = SILENT_S
    for name, value in _PATIENCE.items():
        os.environ.setdefault(name, value)
    try:
        url = hub.create_repo(repository, private=private, exist_ok=True)
        hub.upload_folder(
            repo_id=repository, folder_path=folder, commit_message="An agent, its settings and its verdict"
        )
    except errors.LocalTokenNotFoundError as error:
        raise InputError(
            f"--push {repository}: no token. Say hf auth login, or set HF_TOKEN. {folder} is whole."
        ) from error
    except (errors.HFValidationError, http_error, OSError, RuntimeError) as error:
        # Large files go by Xet or Git LFS, whose clients raise plain RuntimeErrors with the cause behind them. What a
        # server answers may hold the token that it was sent.
        told = f"{error} {error.__cause__ or ''}"
        said = scrub(told, str(hub.endpoint)).replace(get_token() or MASK, MASK)
        why = " ".join(said.split())[:200] or type(error).__name__
        raise InputError(
            f"--push {repository}: {mask(str(hub.endpoint))} does not take it: {why} {folder} is whole."
        ) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:  # read from what should be JSON of a hub
        raise InputError(
            f"--push {repository}: {mask(str(hub.endpoint))} answers what no hub answers. Is HF_ENDPOINT right? "
            f"{folder} is whole."
        ) from error
    return mask(str(url))
