"""The verdict in plain words, with no winner named where there is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from tuner.hyperparameters import BACKENDS
from tuner.report.words.reliability import reliability_sentence
from tuner.report.words.sequential import basis_sentences, sequence_sentence
from tuner.result.confirmation import TITLES
from tuner.result.reused import reused_text
from tuner.result.sampled import as_fields
from tuner.text import counted, large, listed, number, percent, score_text, sentence, value_text

#: Backend to what it is called.
BACKEND_NAMES = {str(name): called for name, called in BACKENDS.items()}

#: What the selection went by, in words.
CHOSEN_BY = {"mean": "mean", "worst_quarter": "worst quarter"}

#: Fewer seeds than these make intervals that hold the truth clearly less often than they say.
FEW_SEEDS = 5


def contestant_title(contestant: Mapping[str, Any]) -> str:
    """Return how a text calls a contestant."""
    if contestant["role"] == "finalist":
        return str(contestant["name"])
    if contestant["role"] == "other_backend":
        return f"the same values trained by {BACKEND_NAMES.get(contestant['backend'], contestant['backend'])}"
    if contestant["role"] in ("known", "startup"):
        return f"the {TITLES[contestant['role']]} ({contestant['name']})"
    return TITLES.get(contestant["role"], str(contestant["name"]))


def steps_text(row: Mapping[str, Any]) -> str:
    """Return `` in a third of its steps`` where a setting trained for less than it was tuned for; else nothing.

    One that trained for steps of its own: `` in its full 50,000 steps``.
    """
    if row.get("own_steps"):
        return f" in its full {row['n_timesteps']:,} steps"
    short = row["tuned_for"] is not None and row["n_timesteps"] < row["tuned_for"]
    return f" in {share_of_steps(row)} of its steps" if short else ""


def share_of_steps(row: Mapping[str, Any]) -> str:
    """Return how much of the steps that it was tuned for a setting trained: ``a third``, ``half`` or ``40 %``."""
    share = row["n_timesteps"] / row["tuned_for"]
    names = {
        1 / 2: "half",
        1 / 3: "a third",
        2 / 3: "two thirds",
        1 / 4: "a quarter",
        1 / 5: "a fifth",
        1 / 10: "a tenth",
    }
    near = next((name for exact, name in names.items() if abs(share - exact) < 0.02 * exact), None)
    return near or (percent(share) if share >= 0.01 else "less than 1 %")


def interval_text(estimate: Mapping[str, Any]) -> str:
    """Return ``463 (95 % interval 431 to 489)``, or why there is no interval."""
    value = score_text(estimate["value"])
    if estimate["kind"] == "interval":
        return f"{value} (95 % interval {range_text(estimate)})"
    reasons = {
        "tie": "all that count are equal, so no interval can be given",
        "constant": "no spread within either, so no interval can be given",
        "single": "one run, so no interval can be given",
        "sequential": "results decided how many seeds there are, so no interval for a fixed number is given",
    }
    return f"{value} ({reasons[estimate['kind']]})"


def range_text(estimate: Mapping[str, Any]) -> str:
    """Return ``431 to 489``, ``tie`` or ``one run``."""
    if estimate["kind"] == "interval":
        return f"{score_text(estimate['low'])} to {score_text(estimate['high'])}"
    return {"tie": "tie", "constant": "no spread", "single": "one run", "sequential": "seeds by result"}[
        estimate["kind"]
    ]


def caption(estimate: Mapping[str, Any]) -> str:
    """Return ``463 (431 to 489)``, the value alone where there is no interval."""
    value = score_text(estimate["value"])
    return value if estimate["low"] is None else f"{value} ({range_text(estimate)})"


def verdict(found: Mapping[str, Any] | None, params: Mapping[str, Any] | None = None) -> list[str]:
    """Return the sentences on top of the page; nothing before the confirm stage.

    Args:
        found: What :func:`tuner.report.numbers.evidence.evidence` gives.
        params: What was sampled for the winner, to be listed.
    """
    if found is None:
        return []
    rows = {row["key"]: row for row in found["contestants"]}
    winner = rows.get(found["winner"] or "")
    if winner is None:
        return [_selecting(found)]
    estimate = winner["verdict"]["estimates"].get(found["objective"])
    if estimate is None:
        return [_without_score(winner)]
    sentences = [_confirmed(found, winner, estimate)]
    if params:
        sentences.append("Its values: " + ", ".join(f"{k} {value_text(v)}" for k, v in as_fields(params).items()) + ".")
    sentences += tied_sentence(found)
    sentences += [comparison_sentence(c, rows, found["objective"]) for c in found["comparisons"]]
    sentences += reliability_sentence(winner, found["until"])
    sentences += basis_sentences(found)
    return [*sentences, cost_sentence(found), *reused_sentence(found)]


def few_sentence(estimates: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return that intervals over so few seeds are guesses, as one sentence; nothing where none is."""
    if not any(e["kind"] == "interval" and e["n"] < FEW_SEEDS for e in estimates):
        return []
    return [f"An interval over fewer than {FEW_SEEDS} seeds is a guess."]


def tied_sentence(found: Mapping[str, Any]) -> list[str]:
    """Return who else might have been selected, as one sentence, or nothing."""
    if not found["tied"] or found["winner"] is None:
        return []
    names = listed([str(name) for name in found["tied"]])
    winner = next(row for row in found["contestants"] if row["key"] == found["winner"])
    runs = " over the search's runs and these" if winner["searched"] else ""
    return [
        f"The selection could not tell {winner['name']} from {names}; it was taken for its higher "
        f"{CHOSEN_BY[found['chosen_by']]}{runs}."
    ]


def _selecting(found: Mapping[str, Any]) -> str:
    finalists = [row for row in found["contestants"] if row["role"] == "finalist"]
    done = sum(len(row["select"]["seeds"]) for row in finalists)
    return (
        f"Not confirmed yet: {counted(len(finalists), 'finalist')} are being trained again on fresh seeds "
        f"({counted(done, 'run')} so far)."
        if len(finalists) != 1
        else f"Not confirmed yet: the only finalist is being trained again ({counted(done, 'run')} so far)."
    )


def _without_score(winner: Mapping[str, Any]) -> str:
    outcomes = winner["verdict"]["outcomes"]
    name = sentence(winner["name"])
    if not outcomes:
        return f"{name} has been selected; its verdict on fresh seeds is still to come."
    ended = listed([f"{outcomes.count(o)} {o.replace('_', ' ')}" for o in dict.fromkeys(outcomes)])
    return (
        f"Not confirmed: {name[0].lower()}{name[1:]} was selected, but "
        f"{'its only run' if len(outcomes) == 1 else f'none of its {len(outcomes)} runs'} on fresh seeds "
        f"{'did not complete' if len(outcomes) == 1 else 'completed'} ({ended})."
    )


def _confirmed(found: Mapping[str, Any], winner: Mapping[str, Any], estimate: Mapping[str, Any]) -> str:
    n, asked = estimate["n"], found["seeds"]
    seeds = f"{counted(n, 'fresh seed')}" + (f" of {asked} asked for" if n < asked and found["stage"] != "done" else "")
    start = "So far" if found["stage"] != "done" else "Confirmed"
    name = winner["name"]
    if estimate["kind"] == "tie":
        scores = winner["verdict"]["scores"][found["objective"]]
        equal = len(set(scores)) == 1
        what = f"every run of {name} scores" if equal else f"the middle half of the runs of {name} all score"
        return f"{start}: trained on {seeds} that no choice has seen, {what} {score_text(estimate['value'], 4)}, a tie."
    few = "" if n >= FEW_SEEDS or found["until"] else " With so few seeds the interval is a guess."
    return (
        f"{start}: trained on {seeds} that no choice has seen, {name} scores {interval_text(estimate)}, the "
        f"interquartile mean over seeds.{few}"
    )


def comparison_sentence(comparison: Mapping[str, Any], rows: Mapping[str, Any], objective: str) -> str:
    """Return how the winner compares with one baseline; careful where their intervals overlap."""
    other = rows[comparison["with"]]
    title, scores = contestant_title(other), comparison["scores"].get(objective)
    if scores is None:
        return f"It has not been compared with {title} yet."
    theirs = other["verdict"]["estimates"][objective]["value"]
    probability, difference = scores["probability"], scores["difference"]
    value = score_text(theirs)
    if other.get("own_steps"):
        title = f"{title}, trained for their full {other['n_timesteps']:,} steps"
    elif steps_text(other):
        title = f"{title}, trained for {share_of_steps(other)} of the {other['tuned_for']:,} steps they are meant for"
    if comparison["sequence"] is not None:
        return sequence_sentence(title, value, comparison["sequence"])
    if scores["result"] == "tie":
        return f"It ties with {title}: every run of both scores {value}."
    chance = f"probability {probability_text(probability)}"
    gap = f"difference {score_text(difference['value'])}, {range_text(difference)}"
    if scores["result"] == "better":
        return f"It beats {title} ({value}): a run of it is the better one with {chance} ({gap})."
    if scores["result"] == "worse":
        behind = f"It falls behind {title} ({value}): a run of it is the better one with {chance} only ({gap})"
        return f"{behind}; prefer those."
    if is_separated(probability):
        how = "better" if probability["value"] == 1 else "worse"
        return (
            f"It cannot be told from {title} ({value}): each run of it was the {how} one ({gap}), but so few seeds can "
            "bring that by chance."
        )
    told = f"It cannot be told from {title} ({value}): a run of it is the better one with {chance} ({gap})"
    if probability["kind"] == "interval" and not probability["low"] <= 0.5 <= probability["high"]:
        told += "; by itself it could, but of several comparisons one comes out like that by chance too often"
    return f"{told}."


def probability_text(estimate: Mapping[str, Any]) -> str:
    """Return ``0.97 (0.82 to 1)``; no interval where it would contradict its value for whoever reads it plainly."""
    value = f"{estimate['value']:.2f}"
    if estimate["kind"] != "interval":
        return value
    if is_separated(estimate):
        return f"{value} (too few seeds)"
    return f"{value} ({estimate['low']:.2f} to {estimate['high']:.2f})"


def is_separated(probability: Mapping[str, Any]) -> bool:
    """Whether all runs of one sample did better, and that may still be chance: ``1.00 (0.50 to 1.00)``."""
    if probability["kind"] != "interval" or probability["value"] not in (0.0, 1.0):
        return False
    return bool(round(probability["low"], 2) <= 0.5 <= round(probability["high"], 2))


def cost_sentence(found: Mapping[str, Any]) -> str:
    """Return what search and confirmation cost."""
    searched, confirmed = found["steps"]["searched"], found["steps"]["confirmed"]
    share = f" ({percent(confirmed / searched)} of that)" if searched else ""
    return f"The search took {large(searched)} {found['clock']}, and the confirmation {large(confirmed)} more{share}."


def reused_sentence(found: Mapping[str, Any]) -> list[str]:
    """Return which runs of the verdict other studies have trained, as one sentence, or nothing."""
    origins = {
        contestant_title(row): Counter(run["study"] for run in row["verdict"]["reused"] if run is not None)
        for row in found["contestants"]
    }
    return list(filter(None, [reused_text(origins)]))


def luck_sentences(found: Mapping[str, Any] | None) -> list[str]:
    """Return the luck report: how lucky the search's favourite was, and whether that changed the choice."""
    luck = found["luck"] if found is not None else None
    if found is None or luck is None:
        return []
    favourite = luck["finalists"][0]
    lucky = favourite["shrinkage"]
    seeds = counted(luck["seeds"], "fresh seed")
    scored = f"{score_text(favourite['search_score'])} in the search, {score_text(favourite['confirmed'])} over {seeds}"
    if lucky > 0:
        first = f"The search's favourite was lucky by {number(lucky, 3)}: {favourite['name']} scored {scored}."
    elif lucky < 0:
        first = f"The search's favourite was not lucky: {favourite['name']} scored {scored}."
    else:
        first = f"The search's favourite kept its score: {favourite['name']} scored {scored}."
    sentences = [first]
    if luck["winner_changed"]:
        name = next(row["name"] for row in found["contestants"] if row["key"] == found["winner"])
        sentences.append(f"Fresh seeds chose another: {name} is exported, not the search's favourite.")
    elif found["winner"] is not None:
        sentences.append("Fresh seeds chose the same trial.")
    sentences += _winners_luck(luck)
    if len(luck["finalists"]) > 1:
        sentences.append(_mean_shrinkage(luck))
    return sentences


def _winners_luck(luck: Mapping[str, Any]) -> list[str]:
    winner = luck["winner"]
    if winner is None:
        return []
    gap = winner["shrinkage"]
    how = f"{number(abs(gap), 3)} {'less' if gap > 0 else 'more'} than" if gap else "as much as"
    mean = score_text(winner["verdict"])
    return [f"On the verdict's seeds the winner scores {mean} on average, {how} in the search."]


def _mean_shrinkage(luck: Mapping[str, Any]) -> str:
    mean = luck["mean_shrinkage"]
    order = "and their order changed" if luck["order_changed"] else "and their order stayed"
    if mean["kind"] == "interval" and mean["low"] <= 0 <= mean["high"]:
        return (
            f"Over all {len(luck['finalists'])} finalists the search's scores are not clearly too high: they exceed "
            f"the fresh ones by {interval_text(mean)}, {order}."
        )
    if mean["value"] == 0 and mean["kind"] == "tie":
        return f"On average the {len(luck['finalists'])} finalists scored as much on fresh seeds, {order}."
    return (
        f"On average the {len(luck['finalists'])} finalists scored {interval_text(mean)} more in the search than on "
        f"fresh seeds, {order}."
        if mean["value"] >= 0
        else f"On average the {len(luck['finalists'])} finalists did better on fresh seeds than in the search, {order}."
    )
