"""How the numbers were made, in sentences with citations: as Markdown (``[@key]``, as pandoc reads it) and as LaTeX."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from tuner.core.confidence import CONFIDENCE
from tuner.core.statistics import RESAMPLES
from tuner.paper.content import Paper
from tuner.paper.tables import latex, meaning
from tuner.report.words.evidence import BACKEND_NAMES
from tuner.report.words.ideas import ideas
from tuner.report.words.search import ALGORITHM_NAMES
from tuner.text import counted, level_percent, listed, score_text, typed_text

_CITED = re.compile(r"\[((?:@\w+(?:; )?)+)\]")

#: Algorithm to who is cited for it.
_SOURCES = {"dqn": "mnih2015", "q_learning": "watkins1989", "fqi": "ernst2005", "sampled_dqn": "kalashnikov2018"}

#: Sampler or pruner to its words.
_SAMPLERS = {
    "tpe": "the tree-structured Parzen estimator [@bergstra2011]",
    "random": "random search",
    "gp": "a Gaussian process",
    "qmc": "a quasi-Monte Carlo sequence",
    "grid": "a grid of all listed values",
}
_PRUNERS = {"median": "the median rule", "halving": "successive halving", "hyperband": "Hyperband"}


def paragraphs(paper: Paper) -> list[str]:
    """Return the methods as paragraphs of sentences."""
    parts = [_training(paper), _search(paper), _evaluation(paper), _statistics(paper), _software(paper)]
    return [" ".join(sentence for sentence in part if sentence) for part in parts if part]


def methods_markdown(paper: Paper) -> str:
    """Return the paragraphs in Markdown."""
    return "\n\n".join(paragraphs(paper)) + "\n"


def methods_tex(paper: Paper) -> str:
    """Return the paragraphs in LaTeX, with natbib's citations."""
    return "\n\n".join(_tex(text) for text in paragraphs(paper)) + "\n"


def cited(paper: Paper) -> list[str]:
    """Return the keys of all that the methods cite."""
    return [key for text in paragraphs(paper) for found in _CITED.findall(text) for key in _keys(found)]


def _keys(found: str) -> list[str]:
    return re.findall(r"@(\w+)", found)


def _tex(text: str) -> str:
    pieces = _CITED.split(text)  # text, keys, text, keys, ..., text
    return "".join(f"\\citep{{{','.join(_keys(piece))}}}" if i % 2 else latex(piece) for i, piece in enumerate(pieces))


def _training(paper: Paper) -> list[str]:
    name = ALGORITHM_NAMES.get(paper.algorithm, paper.algorithm)
    source = f" [@{_SOURCES[paper.algorithm]}]" if paper.algorithm in _SOURCES else ""
    who = listed([_backend(backend) for backend in paper.backends])
    runs = [len(g.seeds) for g in paper.groups]
    seeds = counted(runs[0], "seed") if min(runs) == max(runs) else f"{min(runs)} to {max(runs)} seeds"
    sentences = [
        f"We trained {name}{source} on {paper.env} (Gymnasium{_version(paper, 'gymnasium')} [@towers2024]) for "
        f"{paper.n_timesteps:,} {paper.clock} a run, by {who}."
    ]
    if paper.kind == "settings":
        fields = list(paper.groups[0].values)
        sentences.append(f"We compared {counted(len(paper.groups), 'setting')} that differ in {listed(fields)}.")
    if paper.kind == "backends":
        sentences.append("Both trained the same hyperparameters.")
    if paper.kind != "study":
        sentences.append(f"Each was trained with the same {seeds}.")
    if used := ideas(paper.algorithm, [g.hyperparameters for g in paper.groups]):
        sentences.append(f"Used in some or all settings: {listed(used)}.")
    return [*sentences, "All hyperparameters are listed in a table of their own."]


def _backend(backend: str) -> str:
    return (
        "Stable-Baselines3 [@raffin2021]"
        if backend == "sb3"
        else f"{BACKEND_NAMES.get(backend, backend)} of tune [@tune]"
    )


def _search(paper: Paper) -> list[str]:
    if not paper.study:
        return []
    recipe, summary = paper.study["study"]["recipe"], paper.study["summary"]
    found, space = paper.study["evidence"], paper.study["study"]["space"]
    searched = listed(list(space.get("search", {})), most=20)
    sampler, pruner = str(recipe.get("sampler", "tpe")), str(recipe.get("pruner", "none"))
    each = counted(int(recipe.get("seeds_per_trial", 1)), "seed")
    stopped = (
        f"; runs were stopped early by {_PRUNERS.get(pruner, pruner)}" if summary["outcomes"].get("pruned") else ""
    )
    finalists = [row for row in found["contestants"] if row["role"] == "finalist"]
    baselines = [g.title for g, row in zip(paper.groups[1:], _others(paper), strict=False) if row]
    winner = paper.groups[0]
    runs = " over its runs in the search and these" if any(row.get("searched") for row in finalists) else ""
    chosen = "mean over the worst quarter of its seeds" if found.get("chosen_by") == "worst_quarter" else f"mean{runs}"
    sentences = [
        f"Hyperparameters ({searched}) were searched with Optuna{_version(paper, 'optuna')} [@akiba2019] by "
        f"{_SAMPLERS.get(sampler, sampler)}, {counted(int(summary['trials']), 'trial')} with {each} each (study seed "
        f"{recipe.get('seed', 0)}){stopped}; in all {summary['steps_spent']:,} {paper.clock}.",
        f"The {len(finalists)} most promising trials were trained again with seeds that the search had not used, and "
        f"the one with the highest {chosen} was selected ({winner.title})."
        if len(finalists) > 1
        else f"The most promising trial was selected ({winner.title}).",
        f"It was then trained with {counted(len(winner.seeds), 'seed')} that no choice had seen"
        + (f", beside {listed(baselines)}" if baselines else "")
        + "; results are of these runs alone.",
    ]
    zoo = next((row for row in found["contestants"] if row["role"] == "zoo"), None)
    if zoo is not None:
        full = f", trained for their own {zoo['n_timesteps']:,} {paper.clock}" if zoo.get("own_steps") else ""
        sentences.append(f"RL Zoo's values are those of its repository [@raffin2020]{full}.")
    if play := summary.get("random_play"):
        sentences.append(
            f"Uniformly random actions earn {score_text(play['mean'])} on average "
            f"({counted(int(play['episodes']), 'episode')})."
        )
    return sentences


def _others(paper: Paper) -> list[bool]:
    return [g.compared is not None for g in paper.groups[1:]]


def _evaluation(paper: Paper) -> list[str]:
    grid, facts = list(paper.grid), paper.evaluation
    most = facts.get("max_steps")
    capped = f" of at most {most:,} steps" if most else ""
    greedy = "with greedy actions" if not facts.get("epsilon") else f"with {facts['epsilon']:g}-greedy actions"
    episodes, late = int(facts["episodes"]), facts.get("late_episodes")
    more = f" ({late} over the last third of a run)" if late and late != episodes else ""
    every = f"{counted(len(grid), 'time')} in each run, the last time at step {grid[-1]:,}"
    if len(grid) > 1 and {b - a for a, b in itertools.pairwise([0, *grid])} == {grid[0]}:
        every = f"every {grid[0]:,} {paper.clock}"
    return [
        f"Policies were evaluated {every}, {greedy} in {counted(episodes, 'episode')}{capped}{more}, whose seeds "
        "are shared by all settings and differ between training seeds.",
        f"The score of a run is {meaning(paper.objective)}.",
        _ended(paper),
    ]


def _ended(paper: Paper) -> str:
    outcomes = [outcome for g in paper.groups for outcome in g.outcomes]
    bad = [outcome.replace("_", " ") for outcome in outcomes if outcome != "completed"]
    if not bad:
        return "The only run completed." if len(outcomes) == 1 else f"All {len(outcomes)} runs completed."
    kinds = listed([f"{bad.count(kind)} {kind}" for kind in dict.fromkeys(bad)])
    most = "" if paper.floor is None else f" (as {score_text(paper.floor, 4)} at most; in learning curves from its end)"
    return (
        f"Of {counted(len(outcomes), 'run')} {kinds}; one that diverged or ran out of time counts as the worst that "
        f"completed{most}, one that failed is left out."
    )


def _statistics(paper: Paper) -> list[str]:
    return _fixed(paper) if paper.until is None else _sequential(paper.until)


def _sequential(until: Mapping[str, Any]) -> list[str]:
    basis = (
        "differences are taken for normal, of unknown mean and variance [@lai1976; @wang2024]"
        if not until["bounds_hold"]
        else f"returns lie from {until['bounds'][0]:g} to {until['bounds'][1]:g} [@waudbysmith2024]"
    )
    return [
        "How many seeds there are was decided by the results: the verdict went on until the winner was told from each "
        f"baseline (at most {counted(int(until['seeds']), 'seed')}), by a rank test [@mann1947] after each seed in a "
        "corridor of O'Brien and Fleming's kind [@obrien1979] and with Holm's correction over comparisons [@holm1979]; "
        "of settings that are alike it names a winner at any look in at most "
        f"{1 - until['level']:.3g} of such verdicts. We report means with confidence "
        f"sequences, which hold at every look and for all comparisons together with {level_percent(until['level'])}, "
        f"on the differences of runs of one seed; {basis}.",
        "Learning curves show interquartile means [@agarwal2021].",
    ]


def _fixed(paper: Paper) -> list[str]:
    sentences = [
        "We report interquartile means over seeds [@agarwal2021] with "
        f"{level_percent(CONFIDENCE)} bootstrap intervals (bias-corrected and accelerated [@efron1987], {RESAMPLES:,} "
        "resamples, widened for small samples [@hesterberg2015])."
    ]
    if not any(g.compared for g in paper.groups):
        return sentences
    sentences.append(
        "The interval of a difference is recovered from those of the two means [@zou2008]; P(better) is the "
        "probability that a run of one setting scores above a run of the other, ties counting half, with Newcombe's "
        "interval (method 5) [@newcombe2006]."
    )
    corrected = (
        " after Holm's correction over all comparisons [@holm1979], with p-values of the rank test [@mann1947] that "
        "the interval of P(better) stands for"
        if paper.corrected
        else ""
    )
    sentences.append(
        "One setting is called ahead of another only where the interval of P(better) excludes one half, that of the "
        f"difference does not contradict it, and a rank test of so many runs can reach 5 %{corrected}."
    )
    return sentences


def _software(paper: Paper) -> list[str]:
    story = paper.provenance
    versions = {name: version for name, version in (story.get("versions") or {}).items() if isinstance(version, str)}
    path = str(story.get("numeric_path") or "")
    libraries = "[@paszke2019]" if path.startswith("torch") or "sb3" in paper.backends else "[@harris2020; @lam2015]"
    hardware = story.get("hardware") or {}
    machine = ", ".join(str(hardware[key]) for key in ("cpu", "system") if hardware.get(key))
    named = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    return [
        f"Versions: {named} {libraries}." if named else f"Numerical libraries: {libraries}.",
        f"Arithmetic: {path}, one thread a run." if path else "",
        f"Machine: {machine}." if machine else "",
        f"Source: commit {story['git_commit'][:12]}." if story.get("git_commit") else "",
        f"Command: {_command(story['command'])}." if story.get("command") else "",
    ]


def _command(words: Any) -> str:
    return words if isinstance(words, str) else shlex.join(map(str, words))


def _version(paper: Paper, package: str) -> str:
    version = (paper.provenance.get("versions") or {}).get(package)
    return f" {typed_text(version)}" if version else ""


def titled(paper: Paper) -> str:
    """Return the paper's subject in a line."""
    name = ALGORITHM_NAMES.get(paper.algorithm, paper.algorithm)
    return f"{name} on {paper.env}: {_what(paper.groups)}"


def _what(groups: Sequence[Any]) -> str:
    return listed([group.title for group in groups], most=4)
