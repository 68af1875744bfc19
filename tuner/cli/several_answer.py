"""What is said and written of one setting for several environments: the page, the export, the agents' zips."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner.cli.confirm_command import kept_text
from tuner.cli.console import aligned, say
from tuner.cli.progress import progress_view
from tuner.durable import replace_file, said_of
from tuner.plan.naming import safe_name
from tuner.result.agents import KeptAgent, Place
from tuner.text import plain

if TYPE_CHECKING:
    from tuner.plan.resolve import StudyPlan
    from tuner.plan.several import SeveralPlan
    from tuner.report.numbers.several import Runs
    from tuner.result.confirmation import Contestant


def several_document(
    plan: SeveralPlan,
    winner: Contestant,
    judged: Runs,
    against: Sequence[tuple[StudyPlan, Sequence[Contestant]]],
    objective: str,
) -> dict[str, Any]:
    """Return what the page shows of a setting that has been judged, as plain data.

    Args:
        plan: All environments.
        winner: The setting.
        judged: The verdict's runs.
        against: Who was judged in each environment, the setting first.
        objective: The score that decides.
    """
    from tuner.report.numbers.several import OURS, environment_row
    from tuner.report.pages.several import SCHEMA_VERSION
    from tuner.study.search.provenance import provenance

    rows = []
    for one, members in against:
        groups = {OURS: judged[one.env.id][winner.key]}
        groups |= {c.role: judged[one.env.id][c.key] for c in members[1:]}
        held_out = plan.holdout is not None and one is plan.holdout
        rows.append(environment_row(one.env.id, one.grid[-1], groups, objective, held_out=held_out))
    return {
        "schema_version": SCHEMA_VERSION,
        "written": datetime.now(UTC),
        "name": plan.name,
        "studies": {one.env.id: one.name for one in plan.members},
        "algorithm": plan.space.algorithm,
        "objective": objective,
        "setting": winner.name,
        "hyperparameters": dict(winner.hyperparameters),
        "environments": rows,
        "provenance": provenance(numeric_path=plan.members[0].numeric_path),
    }


def say_and_write(
    plan: SeveralPlan,
    winner: Contestant,
    folder: Path,
    document: dict[str, Any] | None,
    agents: Mapping[str, Mapping[Place, KeptAgent]],
) -> None:
    """Write the export and, where there is a verdict, the page and the agents' zips; say what was found."""
    from tuner.report.pages.several import write_several
    from tuner.report.words.several import several_sentences
    from tuner.study.upkeep.agent_zips import zips_written

    progress = progress_view(quiet=plan.recipe.quiet)
    document = None if document is None else plain(document)
    with said_of(folder, "Its runs are kept: the same command goes on."), contextlib.ExitStack() as written:
        folder.mkdir(parents=True, exist_ok=True)
        for one in plan.everywhere:
            written.enter_context(zips_written(one, agents.get(one.env.id, {}), progress))
        exports = write_exports(plan, winner, folder)
        page = None if document is None else write_several(document, folder)
    if document is not None:
        say("\n".join(several_sentences(document)))
    say("\n".join([f"Values of {winner.name}:", *aligned(dict(winner.hyperparameters))]))
    for env, kept in agents.items():
        if kept:
            say(f"Agents for {env}: {kept_text(kept)}")
    if page is not None:
        say(f"Report: {page}")
    say("\n".join(f"Export: {path}" for path in exports))


def write_exports(plan: SeveralPlan, winner: Contestant, folder: Path) -> list[Path]:
    """Write one YAML with an entry for each environment; where RL Zoo cannot express it, one of ours for each."""
    from tuner.hyperparameters import from_mapping
    from tuner.zoo.write import setting_yaml

    setting = from_mapping(plan.space.algorithm, winner.hyperparameters)
    texts = {
        one.env.id: setting_yaml(
            one.env.id, one.grid[-1], setting, plan.recipe.env_arg, dict(one.facts.preprocessing or {})
        )
        for one in plan.everywhere
    }
    if all(zoo for _, zoo, _ in texts.values()):
        files = {folder / "best.yaml": "".join(text for text, *_ in texts.values())}
    else:
        files = {folder / f"best-{safe_name(env)}.yaml": text for env, (text, *_) in texts.items()}
    for path, text in files.items():
        replace_file(path, text.encode())
    return list(files)
