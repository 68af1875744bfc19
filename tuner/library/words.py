"""What an entry says of itself: the head of its file, a line for a plan, its file's whole text."""

from __future__ import annotations

import dataclasses
import textwrap

from tuner.core.statistics import Estimate
from tuner.library.entry import Entry, Judged
from tuner.report.words.evidence import caption, interval_text, share_of_steps
from tuner.text import NOTHING, counted, listed, number, score_text
from tuner.zoo.write import setting_yaml

#: Packages whose versions the head names.
_NAMED = ("tune-dqn", "torch", "numpy", "gymnasium")

_RESULTS = {
    "better": "beaten", "worse": "not reached", "undecided": "not told apart", "tie": "a tie",
}  # fmt: skip


def estimate_text(estimate: Estimate) -> str:
    """Return ``0.73 (0.7 to 0.75)``, the value alone where there is no interval."""
    return caption(dataclasses.asdict(estimate))


def verdict_text(entry: Entry) -> str:
    """Return ``0.73 (0.7 to 0.75) over 10 seeds in 20,000 steps``."""
    seeds = counted(len(entry.own.runs), "seed")
    return f"{estimate_text(entry.verdict)} over {seeds} in {entry.n_timesteps:,} steps"


def cost_text(entry: Entry) -> str:
    """Return what the entry took: ``0.21 core-hours``."""
    return f"{number(entry.processor_s / 3600, 2)} core-hours"


def beside_text(entry: Entry, baseline: Judged) -> str:
    """Return how a baseline did: ``the algorithm's defaults: 0.4 (0.1 to 0.5), 10 seeds, beaten``."""
    seeds, result = counted(len(baseline.runs), "seed"), _RESULTS[entry.beside(baseline).result]
    steps = entry.n_timesteps
    short = baseline.tuned_for is not None and steps < baseline.tuned_for
    share = share_of_steps({"n_timesteps": steps, "tuned_for": baseline.tuned_for}) if short else ""
    in_part = f" in {share} of their steps" if share else ""
    return f"{baseline.title}: {estimate_text(baseline.estimate)}{in_part}, {seeds}, {result}"


#: What a list of entries says of each.
LIST_COLUMNS = ("environment", "algorithm", "steps", "verdict", "seeds", "defaults", "RL Zoo", "core-hours", "made")


def list_row(entry: Entry) -> tuple[str, ...]:
    """Return an entry's row under :data:`LIST_COLUMNS`."""
    beside = {baseline.role: estimate_text(baseline.estimate) for baseline in entry.baselines}
    return (
        entry.name,
        entry.algorithm,
        f"{entry.n_timesteps:,}",
        estimate_text(entry.verdict),
        str(len(entry.own.runs)),
        beside.get("defaults", NOTHING),
        beside.get("zoo", NOTHING),
        number(entry.processor_s / 3600, 2),
        entry.made,
    )


def markdown_list(entries: list[Entry]) -> str:
    """Return all entries as a table for a page."""
    rows = [LIST_COLUMNS, ("---",) * len(LIST_COLUMNS), *map(list_row, entries)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def head_lines(entry: Entry) -> list[str]:
    """Return the lines that stand above an entry's values."""
    seeds = [str(run.seed) for run in entry.own.runs]
    played = [] if entry.random_play is None else [f"  random play: {score_text(entry.random_play)}"]
    versions = [f"{name} {entry.versions[name]}" for name in _NAMED if name in entry.versions]
    verdict = interval_text(dataclasses.asdict(entry.verdict))
    return [
        f"{entry.name}: a tuned setting of {entry.algorithm}, as tune settings lists it.",
        f"Verdict: {verdict}, interquartile mean of the score '{entry.objective}' over",
        f"  {counted(len(seeds), 'seed')} that no choice has seen:",
        *(f"  {line}" for line in textwrap.wrap(", ".join(seeds), 100)),
        "Beside it, on the same seeds:",
        *(f"  {beside_text(entry, baseline)}" for baseline in entry.baselines),
        *played,
        f"Made {entry.made} with {listed(versions)}, in {cost_text(entry)}",
        f"  ({entry.processor}).",
        f"Made by: {entry.command}",
        f"Held to it by: tune verify {entry.name}" + ("" if entry.algorithm == "dqn" else f" --algo {entry.algorithm}"),
    ]


def entry_yaml(entry: Entry) -> str:
    """Return the text of an entry's file: RL Zoo's form under a commented head, or our own with the reason."""
    return "".join(f"# {line}\n" for line in head_lines(entry)) + body_yaml(entry)[0]


def body_yaml(entry: Entry) -> tuple[str, bool]:
    """Return an entry's values as YAML, and whether RL Zoo loads them."""
    found = setting_yaml(entry.env, entry.n_timesteps, entry.hyperparameters, entry.env_kwargs, entry.preprocessing)
    return found[:2]


def zoo_yaml(entries: list[Entry]) -> str:
    """Return all entries that RL Zoo trains by their environments' ids as one file in its form.

    RL Zoo looks an environment up by its id alone: one with arguments has a file of its own for it.
    """
    parts = [
        "# The library's settings of DQN, for rl_zoo3.train --algo dqn --env ID --conf-file dqn.yml. What each rests",
        "# on stands in the head of dqn/ID.yaml. Environments with arguments are in these files alone.",
    ]
    text = "\n".join(parts) + "\n"
    seen = set()
    for entry in sorted(entries, key=lambda e: (e.env, len(e.changes))):
        body, zoo = body_yaml(entry)
        if zoo and entry.algorithm == "dqn" and not entry.env_kwargs and entry.env not in seen:
            seen.add(entry.env)
            text += f"\n# {verdict_text(entry)}\n{body}"
    return text
