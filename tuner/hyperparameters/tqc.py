"""The hyperparameters of truncated quantile critics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from tuner.fields import declare
from tuner.hyperparameters.base import Clash
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

    @classmethod
    def clash(cls, values: Mapping[str, Any]) -> Clash | None:
        """Return that the target would leave out every quantile, where it would."""
        dropped, quantiles = values["top_quantiles_to_drop_per_net"], values["n_quantiles"]
        if dropped < quantiles:
            return None
        problem = f"top_quantiles_to_drop_per_net must be below n_quantiles ({quantiles}), got {dropped}."
        return Clash(problem, {"top_quantiles_to_drop_per_net": quantiles - 1, "n_quantiles": dropped + 1})
