"""The hyperparameters of truncated quantile critics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tuner.errors import InputError
from tuner.fields import declare
from tuner.hyperparameters.sb3 import EntropyActor


@dataclass(frozen=True)
class TQCHyperparameters(EntropyActor):
    """Soft actor-critic with truncated quantile critics (Kuznetsov et al. 2020)."""

    algorithm: ClassVar[str] = "tqc"
    title: ClassVar[str] = "TQC"
    sb3_class: ClassVar[str] = "sb3_contrib.TQC"
    needs: ClassVar[tuple[str, str] | None] = ("sb3_contrib", "contrib")

    top_quantiles_to_drop_per_net: int = declare(
        2, "Highest quantiles of each critic that the target leaves out.", low=0, high=1000
    )
    n_quantiles: int = declare(25, "Quantiles of each critic.", low=1, high=1000, place="policy")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.top_quantiles_to_drop_per_net >= self.n_quantiles:
            raise InputError(
                f"top_quantiles_to_drop_per_net must be below n_quantiles ({self.n_quantiles}), "
                f"got {self.top_quantiles_to_drop_per_net}."
            )
