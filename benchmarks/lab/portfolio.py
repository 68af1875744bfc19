"""What is known before a study's first trial: a portfolio of complementary settings, and a prior over good ones.

    python benchmarks/lab/portfolio.py [--table benchmarks/lab/table] [--size 16] [--without FAMILY] [-o portfolio.yaml]

prints the portfolio of the whole table, and how good it is on each family when that family had no part in it. The file
holds the portfolio with what it was made from.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml
from curves import Curves, load_curves, load_design
from design import Setting, design_hash
from environments import family_of

from tuner.plan.known import Known, Start

#: First lines of the file.
HEAD = """\
# What is known of good settings of deep Q-learning before a study has results of its own.
#
# Complementary settings that train first (portfolio), and settings that were among the best in some environment with
# their shares of the prior (good). Made from measured curves; no environment is named in it but as a source.
"""

#: How much a setting's cost weighs in the choice of the portfolio, see :func:`choose_portfolio`.
THRIFT = 0.5

#: Draws of what settings are worth, of which the portfolio's gains are means, and settings in it.
DRAWS, SIZE = 256, 16

#: Standard deviation of what a setting is worth in an environment like the measured one, in the units of :func:`worth`.
SPREAD = 0.15

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


def costs(everything: Sequence[Curves], rows: np.ndarray) -> np.ndarray:
    """Return what a run of each setting costs, as a share of the middle setting's, [S].

    Processor seconds differ between environments: the middle of a setting's shares in each.
    """
    shares = np.full((len(everything), len(rows)), np.nan)
    at = {int(row): i for i, row in enumerate(rows)}
    for e, c in enumerate(everything):
        seconds = c.seconds.mean(axis=1)
        shares[e, [at[int(row)] for row in c.settings]] = seconds / np.median(seconds)
    return np.nanmedian(shares, axis=0)


def standard_errors(everything: Sequence[Curves], rows: np.ndarray) -> np.ndarray:
    """Return how sure each setting's worth is: its standard error, [environments, S], in the units of :func:`worth`.

    The spread over seeds is an environment's, pooled over its settings: a setting's own, of three seeds, is noise.
    """
    errors = np.zeros((len(everything), len(rows)))
    at = {int(row): i for i, row in enumerate(rows)}
    for e, c in enumerate(everything):
        best = c.truth.max()
        if best > 0:
            pooled = np.sqrt(c.member.normalised(c.late).var(axis=1, ddof=1).mean()) / best
            seeds = (~np.isnan(np.hstack([c.late, c.fresh]))).sum(axis=1)
            errors[e, [at[int(row)] for row in c.settings]] = pooled / np.sqrt(seeds)
    return errors


def choose_portfolio(
    everything: Sequence[Curves], size: int, thrift: float = THRIFT, draws: int = DRAWS, spread: float = SPREAD
) -> list[int]:
    """Return places in the design of ``size`` settings that complement each other, the most valuable first.

    Greedy: each next one is the setting that raises the mean over families of the best worth so far most. The mean of a
    submodular gain, so greedy is within 1 - 1/e of the best choice (Nemhauser et al. 1978). What a setting is worth is
    known from a few seeds, and of one environment, where the next one will be another: the gain is the mean over draws
    of all worths, with their standard errors and ``spread``. Without, an environment counts as done once its best
    setting is in, and the rest of a long portfolio is chosen for nothing. A setting that was not measured in an
    environment adds nothing there.

    Args:
        everything: The curves.
        size: Settings wanted.
        thrift: How much a setting's cost weighs: gains are divided by it to this power.
        draws: Of the worths; 0: as they were measured.
        spread: Standard deviation of the draws beside that of the seeds.
    """
    if not everything or size < 1:
        return []
    rows, values, families = worth(everything)
    weights = np.array([1 / families.count(family) for family in families])
    weights /= weights.sum()
    known = np.nan_to_num(values, nan=0.0)
    noise = np.random.default_rng(0).standard_normal((draws, *known.shape)) if draws else np.zeros((1, *known.shape))
    errors = np.hypot(standard_errors(everything, rows), spread)  # [environments, S]
    drawn = np.where(np.isnan(values), 0.0, np.maximum(known + noise * errors, 0.0))  # [draws, environments, S]
    price = costs(everything, rows) ** thrift
    chosen: list[int] = []
    reached = np.zeros(drawn.shape[:2])
    while len(chosen) < min(size, len(rows)):
        gains = (np.maximum(drawn - reached[:, :, None], 0.0).mean(axis=0) * weights[:, None]).sum(axis=0) / price
        gains[chosen] = -1.0
        # Where nobody gains any more, the best on average is next.
        best = int(np.lexsort((weights @ known, np.round(gains, 9)))[-1])
        chosen.append(best)
        reached = np.maximum(reached, drawn[:, :, best])
    return [int(rows[place]) for place in chosen]


def good_settings(everything: Sequence[Curves]) -> dict[int, float]:
    """Return places in the design of the good settings, each with its share of the prior.

    The best :data:`GOOD` of each environment share its part equally; environments of a family share the family's, and
    all families weigh the same.
    """
    families = [c.member.family for c in everything]
    shares: dict[int, float] = {}
    for c in everything:
        order = np.argsort(-c.truth)[: max(round(GOOD * len(c.settings)), 1)]
        part = 1 / len(set(families)) / families.count(c.member.family) / len(order)
        for row in c.settings[order]:
            shares[int(row)] = shares.get(int(row), 0.0) + part
    return shares


def known_beforehand(
    everything: Sequence[Curves],
    settings: Sequence[Setting],
    size: int,
    prior: bool,
    thrift: float = THRIFT,
    draws: int = DRAWS,
) -> Known:
    """Return what a study on the design's space knows from these environments.

    Args:
        everything: Curves of families that the study's environment is not of.
        settings: The design.
        size: Settings of the portfolio.
        prior: Whether good settings are known as well.
        thrift: As for :func:`choose_portfolio`.
        draws: Likewise.
    """
    chosen = choose_portfolio(everything, size, thrift, draws)
    good = good_settings(everything) if prior else {}
    return Known(
        tuple(Start(settings[row].name, settings[row].params) for row in chosen),
        tuple((settings[row].params, share) for row, share in good.items()),
    )


def to_mapping(chosen: Sequence[int], settings: Sequence[Setting], everything: Sequence[Curves], design: str) -> dict:
    """Return portfolio and prior with what they were made from, as `tuner/space/prior.py` reads them."""
    good = good_settings(everything)
    used = [*chosen, *(row for row in good if row not in chosen)]
    measured = {c.member.id: len(c.settings) for c in everything}
    return {
        "algorithm": "dqn",
        "provenance": {"made_by": "benchmarks/lab/portfolio.py", "design": design, "settings_measured": measured},
        "portfolio": [settings[row].name for row in chosen],
        "good": {settings[row].name: round(share, 5) for row, share in good.items()},
        "settings": {settings[row].name: _chosen(settings[row]) for row in used},
    }


def _chosen(setting: Setting) -> dict:
    """Return a setting's values apart from those that are the defaults: what is left out is one when it is read."""
    usual = type(setting.hyperparameters)().to_mapping()
    return {name: value for name, value in setting.hyperparameters.to_mapping().items() if value != usual[name]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=Path(__file__).parent / "table")
    parser.add_argument("--size", type=int, default=SIZE)
    parser.add_argument("--draws", type=int, default=DRAWS, help="of what settings are worth; 0: as measured")
    parser.add_argument("--spread", type=float, default=SPREAD, help="of the draws, beside that of the seeds")
    parser.add_argument("--least", type=int, default=20, help="leave out environments with fewer settings")
    parser.add_argument("--without", help="a family that has no part in it, nor what was tuned for it")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    _, settings = load_design(options.table / "design.json")
    everything = load_curves(options.table, settings, options.least)
    if options.without:  # neither its curves nor what was tuned for it
        others = [n for n, s in enumerate(settings) if all(family_of(env) != options.without for env in s.tuned_for)]
        everything = [c.of_rows(np.array(others)) for c in everything if c.member.family != options.without]
    rows, values, families = worth(everything)
    at = {int(row): i for i, row in enumerate(rows)}
    drawing = {"draws": options.draws, "spread": options.spread}
    chosen = choose_portfolio(everything, options.size - 1, **drawing)
    defaults = next(row for row, setting in enumerate(settings) if setting.name == "defaults")
    # DQN's defaults are there whatever they are worth: what everyone knows to compare with.
    chosen += [defaults] if defaults not in chosen else choose_portfolio(everything, options.size, **drawing)[-1:]
    if options.output:
        made = to_mapping(chosen, settings, everything, design_hash(options.table / "design.json"))
        options.output.write_text(HEAD + yaml.safe_dump(made, sort_keys=False, default_flow_style=None, width=120))
    print(f"Of {len(rows)} settings in {len(everything)} environments of {len(set(families))} families:")
    for number, row in enumerate(chosen, 1):
        reached = np.nanmax(values[:, [at[r] for r in chosen[:number]]], axis=1)
        print(
            f"{number}. {settings[row].name}, mean of the best so far {np.nanmean(reached):.3f}: {settings[row].params}"
        )
    print("\n| family left out | portfolio without it | defaults | as many random settings | cost in mean runs |")
    print("|---|---:|---:|---:|---:|")
    rng, every = np.random.default_rng(0), []
    for family in dict.fromkeys(families):
        mine = [e for e, name in enumerate(families) if name == family]
        others = [c for c in everything if c.member.family != family]
        blind = choose_portfolio(others, options.size, **drawing)
        picks, price = [at[row] for row in blind if row in at], costs(everything, rows)
        draws = [rng.choice(len(rows), len(picks), replace=False) for _ in range(1_000)]
        reached = [np.mean([np.nan_to_num(np.nanmax(values[e, p])) for e in mine]) for p in (picks, [at[0]], *draws)]
        every.append((*reached[:2], np.mean(reached[2:]), price[picks].sum() / price.mean()))
        print(f"| {family} | {' | '.join(f'{number:.2f}' for number in every[-1])} |")
    print(f"| mean | {' | '.join(f'{number:.3f}' for number in np.mean(every, axis=0))} |")


if __name__ == "__main__":
    main()
