"""``tune publish DIR|STUDY``: an agent as a folder for the Hugging Face Hub; ``--push`` sends it."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner.cli.confirm_command import verdict_lines
from tuner.cli.console import say
from tuner.cli.parser import add_command, add_storage, add_wrapper, whole_number
from tuner.durable import check_writable
from tuner.envs.spec import bare_module
from tuner.envs.wrapper_names import canonicals
from tuner.errors import InputError
from tuner.plan.naming import file_name
from tuner.text import counted

if TYPE_CHECKING:
    from tuner.publish.folder import StudyFacts
    from tuner.result.study import StudyData

_HELP = (
    "write an agent as a folder for the Hugging Face Hub: zip or weights, settings, film, model card; --push sends it"
)

#: Folder where nobody names one, in the agent's or the report's.
FOLDER = "hub"


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = add_command(commands, "publish", command, _HELP)
    parser.add_argument(
        "source", metavar="DIR|STUDY", help="Folder of an agent, or the name of a study that has kept agents"
    )
    add_storage(parser)
    parser.add_argument("-o", "--output", metavar="FOLDER", help="Where to (default: DIR/hub or reports/STUDY/hub)")
    parser.add_argument("--agent", choices=("best", "median"), help="of a study: which seed's (default: best)")
    parser.add_argument("--best", action="store_true", help="of a DIR: the agent of the best evaluation, not the last")
    parser.add_argument("--episodes", metavar="N", default="100", help="Episodes that it is scored by (default: 100)")
    parser.add_argument("--seed", metavar="N", default="0", help="Seed of the first episode (default: 0)")
    parser.add_argument("--env-module", metavar="FILE|NAME", help="File or module that registers the environment")
    add_wrapper(parser, "Wrappers of DIR that you trust, where no known package holds them")
    parser.add_argument("--push", metavar="USER/NAME", help="Send it to the hub that HF_ENDPOINT names (extra hub)")
    parser.add_argument("--private", action="store_true", help="with --push: a new repository is private")


def command(parsed: argparse.Namespace) -> int:
    """Write, and perhaps send."""
    episodes = whole_number(parsed.episodes, "--episodes", 1, 1_000_000)
    seed = whole_number(parsed.seed, "--seed", 0, 2**31 - 1)
    if parsed.private and parsed.push is None:
        raise InputError("--private is for a new repository on the hub. Say --push USER/NAME, too, or leave it out.")
    if parsed.push is not None:
        from tuner.publish.push import check_pushable

        check_pushable(parsed.push)
    source, facts, module, wrapper = _source(parsed)
    target = Path(parsed.output) if parsed.output is not None else source.parent.parent / FOLDER
    if facts is None and parsed.output is None:
        target = source / FOLDER
    check_writable(target, f"-o {target}")
    from tuner.publish.folder import write_folder

    made = write_folder(
        source,
        target,
        repository=parsed.push,
        episodes=episodes,
        seed=seed,
        study=facts,
        env_module=module,
        wrapper=wrapper,
        best=parsed.best,
    )
    for line in made.notes:
        say(line, stderr=True)
    say(f"{made.folder}: mean return {made.result} over {counted(episodes, 'episode')}")
    if parsed.push is not None:
        from tuner.publish.push import push

        say(push(made.folder, parsed.push, private=parsed.private))
    return 0


def _source(parsed: argparse.Namespace) -> tuple[Path, StudyFacts | None, str | None, tuple[str, ...]]:
    """Return the agent's folder, what is known of its study, its environment's module, and wrappers to trust."""
    named = canonicals(parsed.wrapper)
    given = Path(parsed.source)
    if (given / "model.json").is_file() or (given / "best_model.json").is_file():
        if parsed.agent is not None or parsed.storage is not None:
            raise InputError("--agent and --storage belong to a study; DIR names the agent itself (--best: its best).")
        return given, None, parsed.env_module, named
    if given.is_dir():
        raise InputError(
            f"{given} holds no agent. tune train -o DIR leaves one, and tune publish STUDY takes a study's."
        )
    if parsed.best:
        raise InputError("--best belongs to a folder of tune train; of a study say --agent best or --agent median.")
    from tuner.study.reading.study import load
    from tuner.study.upkeep.keep_agents import kept_agents

    try:
        data = load(parsed.source, parsed.storage)
    except InputError:
        if not given.is_file():
            raise
        folder = given.parent
        whole = (folder / "model.json").is_file() or (folder / "best_model.json").is_file()
        way_out = f"tune publish {shlex.quote(str(folder))}" if whole else "the folder that tune train -o DIR left"
        raise InputError(
            f"{given} is a file, and tune publish takes an agent's folder or the name of a study. Say {way_out}."
        ) from None
    report = Path(str(data.recipe.get("report_dir", "reports"))) / file_name(data.name)
    agents = kept_agents(data.confirmation, report)
    if (place := parsed.agent or "best") not in agents:
        raise InputError(
            f"The study '{data.name}' has no agent in {report}: a verdict leaves them there. Say tune confirm "
            f"{data.name}, or tune train --config BEST.yaml and tune publish DIR."
        )
    facts = _facts(data, f"the {place} of the {counted(agents[place].runs, 'run')} of the first setting")
    return agents[place].folder, facts, parsed.env_module, named


def _facts(data: StudyData, place: str = "") -> StudyFacts:
    from tuner.plan.command_lines import recipe_command
    from tuner.plan.recipe import from_mapping
    from tuner.publish.folder import StudyFacts
    from tuner.report.numbers.evidence import evidence
    from tuner.storage_url import DEFAULT_STORAGE

    # Where its database, its reports and its files lie on this machine is nobody's business.
    mine = {"storage": None, "report_dir": "reports", "tensorboard": None}
    told = {name: _bare(value) for name, value in data.recipe.items()}
    repeated = recipe_command(from_mapping({**told, **mine}), data.name, DEFAULT_STORAGE)
    return StudyFacts(verdict_lines(data), evidence(data), repeated, place)


def _bare(value: Any) -> Any:
    """Return a setting with the names of files for their places."""
    if isinstance(value, list | tuple):
        return [_bare(each) for each in value]
    return bare_module(value) if isinstance(value, str) and Path(value).is_absolute() else value
