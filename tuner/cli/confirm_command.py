"""``tune confirm STUDY``: train the finalists of a search again on fresh seeds; and the verdict in words."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tuner.cli.console import decimal, one_line, say
from tuner.cli.parser import add_command, add_storage
from tuner.cli.progress import progress_view
from tuner.cli.recipe_flags import add_field, settings
from tuner.errors import InputError
from tuner.plan.command_lines import study_words

if TYPE_CHECKING:
    from tuner.result.agents import KeptAgent, Place
    from tuner.result.study import StudyData
    from tuner.study_result import StudyResult

PREFIX = "confirm"

#: Recipe settings that this command takes.
SETTINGS = (
    "env_module", "wrapper",
    "confirm", "confirm_seeds", "confirm_budget", "until", "return_range", "confirm_backend", "zoo_full_budget",
    "workers", "lanes", "executor", "device", "report_dir", "tensorboard", "quiet",
)  # fmt: skip


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = add_command(commands, "confirm", confirm_command, "train a study's finalists again on fresh seeds")
    parser.add_argument("study", metavar="STUDY", help="Name of the study, as tune list shows it")
    add_storage(parser)
    for name in SETTINGS:
        add_field(parser, name, PREFIX)
    parser.add_argument(
        "--dry-run", action="store_true", help="Say how many more seeds would decide each comparison; train nothing"
    )


def confirm_command(parsed: argparse.Namespace) -> int:
    """Confirm, and print the verdict."""
    from tuner.api import confirm

    given = settings(parsed, PREFIX)
    if given.get("confirm") == 0:
        raise InputError("--confirm must be at least 1 here, got 0: that many finalists are trained again.")
    if parsed.dry_run:
        say("\n".join(_dry_run(parsed.study, parsed.storage, given)))
        return 0
    result = confirm(
        parsed.study, storage=parsed.storage, settings=given, progress=progress_view(quiet=given.get("quiet", False))
    )
    say("\n".join([*verdict_lines(result.data), *agent_lines(result), f"Report: {result.report}"]))
    if result.export is not None:
        say(f"Export: {result.export}")
    if result.ending == "interrupted":
        say("Interrupted; every finished run is kept, and the same command carries on.")
        return 130
    return 0


def _dry_run(name: str, storage: str | None, given: Mapping[str, Any]) -> list[str]:
    """Return what more seeds would say; before there is a verdict, what would be trained."""
    from tuner.report.numbers.more_seeds import more_seeds
    from tuner.report.words.more_seeds import more_seeds_lines
    from tuner.study.reading.study import load

    data = load(name, storage)
    found = more_seeds(data, given.get("until"))
    if found is not None:
        return more_seeds_lines(found, study_words(data.recipe, name))
    from tuner.api import check_folders
    from tuner.plan.stored import plan_confirm
    from tuner.storage_url import default_storage
    from tuner.study.confirm.stage import ConfirmStage

    plan = plan_confirm(data, storage or default_storage(), given)
    check_folders(plan)
    stage = ConfirmStage(plan, data)
    known = [] if stage.problem else list(filter(None, [stage.known()]))
    return [stage.problem or stage.summary(), *known, "Nothing was written: this was a dry run."]


def verdict_lines(data: StudyData) -> list[str]:
    """Return the result in the page's own words: in short, then how far to trust it. Nothing without a result."""
    from tuner.report.words.caution import caution
    from tuner.report.words.evidence import luck_sentences, reused_sentence, tied_sentence, verdict
    from tuner.report.words.in_short import in_short
    from tuner.report.words.reliability import reliability_sentence
    from tuner.report.words.sequential import basis_sentences

    if data.confirmation is None:
        return [*in_short(data, None), *filter(None, [caution(data)])]
    from tuner.report.numbers.evidence import evidence  # brings SciPy

    found = evidence(data)
    lines = in_short(data, found)
    if found is None:
        return lines
    if not found["comparisons"]:  # not yet, or for good
        lines += verdict(found)
    else:
        winner = next(row for row in found["contestants"] if row["key"] == found["winner"])
        lines += [*reliability_sentence(winner, found["until"]), *basis_sentences(found)]
    going = [] if found["stage"] == "done" else [f"tune confirm {study_words(data.recipe, data.name)} carries on."]
    return [*lines, *reused_sentence(found), *tied_sentence(found), *luck_sentences(found), *going]


def agent_lines(result: StudyResult) -> list[str]:
    """Return where the exported setting's agents are and how one is used; nothing while its verdict is under way."""
    confirmation = result.data.confirmation
    if confirmation is None and result.data.chosen is not None and result.ending == "done":
        name = one_line(study_words(result.data.recipe, result.name))
        return [f"Agents: none, as no finalist was trained again. tune confirm {name} does it, or says what it takes."]
    if confirmation is None or not confirmation.complete:
        return []
    if not result.agents:
        return [
            "Agents: none are there. The verdict's runs trained on other machines, by an earlier version, or with no "
            "room on the disk, or their models were removed; tune train trains one."
        ]
    from tuner.report.words.agents import agent_code

    code = agent_code(next(iter(result.agents.values())), result.data).replace("\n", "; ")
    return [f"Agents: {kept_text(result.agents)}", f"Use it: {code}"]


def kept_text(agents: Mapping[Place, KeptAgent]) -> str:
    """Return where kept agents lie and what they score, in a line."""
    return ", ".join(
        f"{agent.folder} (the {place} of {agent.runs}, score {decimal(agent.score)})" for place, agent in agents.items()
    )
