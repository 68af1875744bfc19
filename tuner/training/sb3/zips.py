"""Zips of several agents in one call, which a child process can be asked for: asking loads no Stable-Baselines3."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tuner.errors import TunerError
from tuner.training.saved.model_zip import ZIP


def write_zips(
    folders: Sequence[Path], env_module: str | None, wrapper: Sequence[str], tell: Callable[[str], None]
) -> list[str]:
    """Write the zip of each model into its folder; return what went wrong, a line each.

    Args:
        folders: Each holds a model.
        env_module: File or module to import the environment from.
        wrapper: Wrappers that the user has named.
        tell: Told what comes next, as :func:`tuner.envs.child.call_in_child` asks for.
    """
    from tuner.training.sb3.write_zip import write_zip  # brings Stable-Baselines3

    problems = []
    for folder in folders:
        tell(f"writing {folder / ZIP}")
        try:
            write_zip(folder, folder / ZIP, env_module, wrapper=wrapper)
        except TunerError as error:
            problems.append(str(error))
    return problems
