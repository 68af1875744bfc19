"""What is known before a study's first trial: a portfolio of complementary settings, and a prior over good ones.

    python benchmarks/lab/portfolio.py [--table benchmarks/lab/table] [--size 8] [--without FAMILY] [-o portfolio.yaml]

prints the portfolio of the whole table, and how good it is on each family when that family had no part in it. The file
holds the portfolio with what it was made from.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from curves import Curves, load_curves, load_design
from design import Setting, design_hash

from tuner import seeding
from tuner.space.model import SearchSpace

#: Share of an environment's settings that count as good for the prior.
GOOD = 0.1


def worth(everything: Sequence[Curves]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return how good each setting is in each environment.

    What a setting is worth is its mean `late` between the environment's random play (0) and the best setting measured
    there (1): environments weigh the same whatever their units and however hard they are.

    Returns:
        Settings' places in the design [S], their worth [environments, S] with NaN where not measured, and the family of
        each environment.
    """
    rows = np.array(sorted({int(row) for c in everything for row in c.settings}), int)
    at = {int(row): i for i, row in enumerate(rows)}
    values = np.full((len(everything), len(rows)), np.nan)
    for e, c in enumerate(everything):
        truth = c.truth
        best = truth.max()
        values[e, [at[int(row)] for row in c.settings]] = truth / best if best > 0 else 0.0
    return rows, values, [c.member.family for c in everything]


def choose_portfolio(everything: Sequence[Curves], size: int) -> list[int]:
    """Return places in the design of ``size`` settings that complement each other, the most valuable first.

    Greedy: each next one is the setting that raises the mean over families of the best worth so far most. The mean of a
    submodular gain, so greedy is within 1 - 1/e of the best choice (Nemhauser et al. 1978). A setting that was not
    measured in an environment adds nothing there.
    """
    if not everything or size < 1:
        return []
    rows, values, families = worth(everything)
    known = np.nan_to_num(values, nan=0.0)
    weights = np.array([1 / families.count(family) for family in families])
    weights /= weights.sum()
    chosen: list[int] = []
    reached = np.zeros(len(everything))
    while len(chosen) < min(size, len(rows)):
        gains = (weights[:, None] * np.maximum(known - reached[:, None], 0.0)).sum(axis=0)
        gains[[list(rows).index(row) for row in chosen]] = -1.0
        # Where nobody gains any more, the best on average is next.
        best = int(np.lexsort((weights @ known, np.round(gains, 9)))[-1])
        chosen.append(int(rows[best]))
        reached = np.maximum(reached, known[:, best])
    return chosen


class Prior:
    """Proposals from the good settings of other families, fewer and fewer as own trials come in.

    After n finished trials a proposal comes from here with probability ``strength / (strength + n)``: a good setting
    (of a family, of a member and of its best tenth, each drawn uniformly), moved by a kernel about as wide as
    multivariate TPE's.

    Args:
        others: Curves of other families.
        settings: The design.
        space: Its space.
        strength: Finished trials at which half of the proposals still come from here.
        seed: The study's seed.
    """

    #: Standard deviation of the kernel in the unit cube, and the probability that a choice is drawn anew.
    WIDTH, ANEW = 0.1, 0.1

    def __init__(
        self, others: Sequence[Curves], settings: Sequence[Setting], space: SearchSpace, strength: float, seed: int
    ) -> None:
        self._rng = seeding.stream(seed, "prior")
        self._strength = strength
        self._space = space
        self._good: dict[str, list[list[dict[str, Any]]]] = {}
        for c in others:
            order = np.argsort(-c.truth)[: max(round(GOOD * len(c.settings)), 1)]
            members = self._good.setdefault(c.member.family, [])
            members.append([settings[int(row)].params for row in c.settings[order]])

    def __call__(self, finished: int) -> dict[str, Any] | None:
        """Return proposed parameters, or None where the sampler is to propose."""
        rng = self._rng
        if not self._good or rng.random() >= self._strength / (self._strength + finished):
            return None
        family = self._good[sorted(self._good)[rng.integers(len(self._good))]]
        good = family[rng.integers(len(family))]
        return self._moved(good[rng.integers(len(good))])

    def _moved(self, params: dict[str, Any]) -> dict[str, Any]:
        moved, rng = dict(params), self._rng
        for d in self._space.dimensions:
            if d.name not in params:
                continue
            if d.kind == "categorical":
                if rng.random() < self.ANEW:
                    moved[d.name] = d.choices[rng.integers(len(d.choices))]
                continue
            at, low, high = params[d.name], d.low, d.high
            if d.log:
                at, low, high = np.log([at, low, high])
            at = float(np.clip(at + self.WIDTH * (high - low) * rng.standard_normal(), low, high))
            moved[d.name] = float(np.exp(at)) if d.log else at
        return moved


def to_mapping(chosen: Sequence[int], settings: Sequence[Setting], everything: Sequence[Curves], design: str) -> dict:
    """Return a portfolio and what it was made from as plain data.

    Each setting has the mean over families of the best worth so far (see :func:`worth`), itself included.
    """
    rows, values, families = worth(everything)
    at = {int(row): i for i, row in enumerate(rows)}
    known = np.nan_to_num(values, nan=0.0)
    weights = np.array([1 / families.count(family) for family in families]) / len(set(families))
    listed = []
    for number, row in enumerate(chosen, 1):
        reached = float(weights @ known[:, [at[r] for r in chosen[:number]]].max(axis=1))
        values_of = settings[row].hyperparameters.to_mapping()
        listed.append({"name": settings[row].name, "reached": round(reached, 4), "hyperparameters": values_of})
    measured = {c.member.id: len(c.settings) for c in everything}
    return {"provenance": {"design": design, "settings_measured": measured}, "settings": listed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=Path(__file__).parent / "table")
    parser.add_argument("--size", type=int, default=8)
    parser.add_argument("--least", type=int, default=20, help="leave out environments with fewer settings")
    parser.add_argument("--without", help="a family that has no part in it")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    _, settings = load_design(options.table / "design.json")
    everything = load_curves(options.table, settings, options.least)
    everything = [c for c in everything if c.member.family != options.without]
    rows, values, families = worth(everything)
    at = {int(row): i for i, row in enumerate(rows)}
    chosen = choose_portfolio(everything, options.size)
    if options.output:
        made = to_mapping(chosen, settings, everything, design_hash(options.table / "design.json"))
        options.output.write_text(yaml.safe_dump(made, sort_keys=False))
    print(f"Of {len(rows)} settings in {len(everything)} environments of {len(set(families))} families:")
    for number, row in enumerate(chosen, 1):
        reached = np.nanmax(values[:, [at[r] for r in chosen[:number]]], axis=1)
        print(
            f"{number}. {settings[row].name}, mean of the best so far {np.nanmean(reached):.3f}: {settings[row].params}"
        )
    print("\n| family left out | portfolio without it | defaults | as many random settings |\n|---|---:|---:|---:|")
    rng = np.random.default_rng(0)
    for family in dict.fromkeys(families):
        mine = [e for e, name in enumerate(families) if name == family]
        blind = choose_portfolio([c for c in everything if c.member.family != family], options.size)
        picks = [at[row] for row in blind if row in at]
        draws = [rng.choice(len(rows), len(picks), replace=False) for _ in range(1_000)]
        reached = [np.mean([np.nan_to_num(np.nanmax(values[e, p])) for e in mine]) for p in (picks, [at[0]], *draws)]
        print(f"| {family} | {reached[0]:.2f} | {reached[1]:.2f} | {np.mean(reached[2:]):.2f} |")


if __name__ == "__main__":
    main()
