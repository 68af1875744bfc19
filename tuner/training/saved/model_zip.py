"""``model.zip`` beside a model, for Stable-Baselines3: its names, and which agents have one."""

from __future__ import annotations

from pathlib import Path

from tuner.hyperparameters import Hyperparameters, beyond_sb3

ZIP = "model.zip"

#: The statistics of a VecNormalize beside it, by the name that RL Zoo looks for.
VECNORMALIZE = "vecnormalize.pkl"

#: ... and by the name that huggingface_sb3 looks for.
HUB_VECNORMALIZE = "vec_normalize.pkl"


def lacking(hyperparameters: Hyperparameters) -> str:
    """Return in words why Stable-Baselines3 cannot have the agent; empty where it can."""
    if not hyperparameters.sb3_class:
        return f"Stable-Baselines3 has no {hyperparameters.algorithm}"
    if beyond := beyond_sb3(hyperparameters):
        values = ", ".join(f"{name}={getattr(hyperparameters, name)}" for name in beyond)
        return f"Stable-Baselines3's {hyperparameters.title} has no {values} (--backend sb3 trains what it has)"
    return ""


def drop_zip(folder: Path) -> None:
    """Remove the zip of a model that is about to be another one's.

    Raises:
        OSError: It cannot be removed.
    """
    for name in (ZIP, VECNORMALIZE):
        (folder / name).unlink(missing_ok=True)
