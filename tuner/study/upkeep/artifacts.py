"""Files that belong to a study: kept in a folder, known to the database, shown by the dashboard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import optuna
from optuna.artifacts import FileSystemArtifactStore, get_all_artifact_meta, upload_artifact

from tuner.study.store.connect import open_storage, storage_errors
from tuner.study.store.database import sqlite_path

#: Folder of artifacts beside a SQLite database, or in the working directory for another.
FOLDER = "artifacts"


def artifact_folder(url: str) -> Path:
    """Return where the artifacts of a storage's studies are kept on this machine."""
    path = sqlite_path(url)
    return (path.parent if path is not None else Path("studies")) / FOLDER


def artifact_store(url: str) -> FileSystemArtifactStore:
    """Return the store, its folder made."""
    folder = artifact_folder(url)
    folder.mkdir(parents=True, exist_ok=True)
    return FileSystemArtifactStore(folder)


def attach(url: str, study_name: str, files: Sequence[Path]) -> list[str]:
    """Attach files to a study; one of the same name is overwritten.

    Args:
        url: Storage URL.
        study_name: The study.
        files: What to attach.

    Returns:
        Their ids.

    Raises:
        StorageLostError: The database stops answering.
    """
    storage = open_storage(url, create=False)
    store = artifact_store(url)
    with storage_errors(url):
        study = optuna.load_study(study_name=study_name, storage=storage)
        there = {meta.filename: meta.artifact_id for meta in get_all_artifact_meta(study)}
        ids = []
        for file in files:
            if file.name in there:
                with file.open("rb") as content:
                    store.write(there[file.name], content)
                ids.append(there[file.name])
            else:
                ids.append(upload_artifact(artifact_store=store, file_path=str(file), study_or_trial=study))
    return ids
