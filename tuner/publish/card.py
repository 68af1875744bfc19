"""The model card: a head for the Hub's leaderboards; for people the verdict, the agent's own score, and its use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from tuner.report.tables.evidence import judged
from tuner.report.words.evidence import contestant_title, interval_text
from tuner.text import counted, number, sentence


@dataclass(frozen=True)
class Card:
    """What a card says.

    Attributes:
        env: Environment id, as gymnasium.make takes it.
        met: The same with its arguments and how the agent meets it (:func:`tuner.text.env_title`).
        zoo_algorithm: What RL Zoo calls the algorithm.
        title: Stable-Baselines3's class of it, else what the algorithm is called.
        library: ``stable_baselines3`` or ``sb3_contrib``.
        file: Name of the zip; empty without one.
        lack: Why there is none.
        repository: ``USER/NAME``, or a stand-in for it.
        mean: Mean return over the episodes.
        std: Their standard deviation.
        episodes: How many were played.
        first_seed: The first was reset with it, the next with one more, and so on.
        config: The settings in RL Zoo's form, without a zip in that of ``tune train --config``.
        about: What trained it: backend, seed, steps, versions.
        verdict: What the study's confirm stage says, a sentence each; empty without a study.
        evidence: Its numbers; None without.
        command: The command that repeats the study; empty without one.
        place: Which of the study's runs trained the agent: ``the best of the 10 runs of the
            first setting``; empty where that is not known.
        notes: What a reader of the files has to know.
        module: File or package that registers the environment, without where it lies; empty where none has to.
        named: What ``tune`` needs besides, for code that the folder does not hold: ``--env-module my_envs.py``.
        film: Whether there is one.
    """

    env: str
    met: str
    zoo_algorithm: str
    title: str
    library: str
    file: str
    lack: str
    repository: str
    mean: float
    std: float
    episodes: int
    first_seed: int
    config: Mapping[str, Any]
    about: Mapping[str, Any]
    verdict: Sequence[str]
    evidence: Mapping[str, Any] | None
    command: str
    notes: Sequence[str]
    film: bool
    module: str = ""
    named: str = ""
    place: str = ""


def metadata(card: Card) -> dict[str, Any]:
    """Return the head of the card, which the Hub reads."""
    metric = {"type": "mean_reward", "name": "mean_reward", "value": result(card), "verified": False}
    library = "stable-baselines3" if card.file else "tune"
    return {
        "library_name": library,
        "tags": [card.env, "deep-reinforcement-learning", "reinforcement-learning", library],
        "model-index": [
            {
                "name": card.title,
                "results": [
                    {
                        "task": {"type": "reinforcement-learning", "name": "reinforcement-learning"},
                        "dataset": {"name": card.env, "type": card.env},
                        "metrics": [metric],
                    }
                ],
            }
        ],
    }


def result(card: Card) -> str:
    """Return the score as the leaderboards parse it: ``482.10 +/- 31.24``."""
    return f"{card.mean:.2f} +/- {card.std:.2f}"


def readme(card: Card) -> str:
    """Return the card: its head as YAML, then Markdown."""
    head = yaml.safe_dump(metadata(card), sort_keys=False, allow_unicode=False)
    film = "![A game](replay.mp4)\n\n" if card.film else ""
    parts = [
        f"# {card.title} playing {_code(card.met)}\n\n{film}"
        f"Mean return **{result(card)}** (standard deviation) over {counted(card.episodes, 'greedy episode')} of this "
        f"very agent, reset with {_seeds(card)}, which its training never saw.",
        "## How far it can be trusted\n\n" + _trust(card),
        "## Use it\n\n" + _use(card),
        "## Hyperparameters\n\n" + _block("yaml", yaml.safe_dump(dict(card.config), sort_keys=False)),
        "## How it was made\n\n" + _made(card),
    ]
    return f"---\n{head}---\n\n" + "\n\n".join(parts) + "\n"


def _seeds(card: Card) -> str:
    if card.episodes == 1:
        return f"seed {card.first_seed}"
    return f"seeds {card.first_seed} to {card.first_seed + card.episodes - 1}"


def _trust(card: Card) -> str:
    if card.evidence is None:
        return (
            "It is the agent of one training run. Another seed may train a better or a worse one with the same "
            "hyperparameters: nothing here says how often."
        )
    objective = card.evidence["objective"]
    rows = ["| setting | score, interquartile mean | seeds |", "|---|---|---|"]
    compared = {card.evidence["winner"], *(each["with"] for each in card.evidence["comparisons"])}
    for row in judged(card.evidence):
        estimate = row["verdict"]["estimates"].get(objective) if row["key"] in compared else None
        if estimate is not None:
            rows.append(f"| {sentence(contestant_title(row))} | {interval_text(estimate)} | {estimate['n']} |")
    return (
        "\n".join(f"- {line}" for line in card.verdict)
        + "\n\n"
        + "\n".join(rows)
        + f"\n\nScore `{objective}` of training runs with these hyperparameters, on seeds that no choice has seen. "
        f"The agent here is {card.place or 'one of these runs'}."
    )


def _use(card: Card) -> str:
    said = "\n".join(f"- {note}" for note in card.notes)
    return f"{_use_zip(card) if card.file else _use_folder(card)}\n\n{said}".rstrip()


def _use_folder(card: Card) -> str:
    code = (
        "import tuner\nfrom huggingface_hub import snapshot_download\n\n"
        f'agent = tuner.load_agent(snapshot_download("{card.repository}"))  # or where the folder lies\n'
        "action = agent.act(observation)"
    )
    more = f" {card.named}" if card.named else ""
    again = f"tune train --env {card.env} --config FOLDER/config.yaml{more}  # the same setting again"
    shell = f"tune evaluate FOLDER{more}\n{again}"
    return (
        f"{_block('python', code)}\n\n{_block('bash', shell)}\n\n"
        f"There is no zip for Stable-Baselines3: {card.lack}. `model.json` and `weights.npz` are the agent as "
        "`tune` saves it, plain data: loading them runs no code."
    )


def _use_zip(card: Card) -> str:
    owner, _, name = card.repository.partition("/")
    plain = "" if name == card.file.removesuffix(".zip") else f" --repo-name {name}"
    small = ", buffer_size=1" if "buffer_size" in card.config else ""  # it is not to train
    of = f"--algo {card.zoo_algorithm} --env {card.env}"
    sb3 = (
        f"from huggingface_sb3 import load_from_hub\nfrom {card.library} import {card.title}\n\n"
        f'path = load_from_hub("{card.repository}", "{card.file}")\n'
        f"model = {card.title}.load(path{small})"
    )
    packages = f" --gym-packages {_package(card.module)}" if card.module else ""
    zoo = (
        f"python -m rl_zoo3.load_from_hub {of} -orga {owner}{plain} -f logs\n"
        f"python -m rl_zoo3.enjoy {of} -f logs{packages}"
    )
    return (
        f"{_block('python', sb3)}\n\nWith RL Zoo:\n\n{_block('bash', zoo)}\n\n"
        "Both ask for `TRUST_REMOTE_CODE=True`: Stable-Baselines3 unpickles what it loads. "
        "`config.yml` trains the same setting again."
    )


def _package(module: str) -> str:
    """Return what RL Zoo imports for a module: a file by its name, beside which Python is started."""
    return module.removesuffix("/__init__.py").removesuffix(".py")


def _made(card: Card) -> str:
    rows = "\n".join(f"- {name}: {_code(number(value) if isinstance(value, float) else str(value))}"
                     for name, value in card.about.items())  # fmt: skip
    repeated = f"\n\nThe study again:\n\n{_block('bash', card.command)}" if card.command else ""
    return f"{rows}{repeated}"


def _code(text: str) -> str:
    """Return text as code: nothing in it is Markdown or HTML."""
    return "`" + " ".join(text.replace("`", "'").split()) + "`"


def _block(language: str, text: str) -> str:
    return f"```{language}\n{text.replace('```', '').rstrip()}\n```"
