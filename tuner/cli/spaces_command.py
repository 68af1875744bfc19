"""``tune spaces``: what can be searched, and what every hyperparameter means."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from tuner.cli.console import aligned, one_line, print_table, say, table
from tuner.cli.parser import add_command
from tuner.cli.range_text import range_text
from tuner.errors import InputError, nearest
from tuner.text import counted


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "spaces", command, "list the search spaces, show one, or explain the hyperparameters"
    )
    parser.add_argument("name", nargs="?", metavar="NAME|PATH", help="Show this space")
    parser.add_argument("--algo", metavar="ALGO", help="Whose spaces (default: all of them; of one space, dqn)")
    parser.add_argument("--env", metavar="ID", help="with NAME: show it as this environment gets it")
    parser.add_argument("--fields", action="store_true", help="Explain every hyperparameter: what --set takes")


def command(parsed: argparse.Namespace) -> int:
    """Print what was asked for."""
    from tuner.hyperparameters import ALGORITHMS, algorithm_class

    algorithm = parsed.algo or "dqn"
    algorithm_class(algorithm)
    if parsed.fields and (beside := parsed.name or (parsed.env and "--env")):
        raise InputError(f"--fields explains an algorithm's hyperparameters, not a space. Leave {beside} out.")
    if parsed.env and parsed.name is None:
        raise InputError(f"--env shows one space, and none is named. Say: tune spaces default --env {parsed.env}")
    if parsed.fields:
        _print_fields(algorithm)
    elif parsed.name is None:
        _print_list([parsed.algo] if parsed.algo else list(ALGORITHMS))
    else:
        _print_space(parsed.name, algorithm, parsed.env)
    return 0


def _print_list(algorithms: Sequence[str]) -> None:
    from tuner.space.catalog import list_spaces

    rows = table("algorithm", "space", "what it is", "file")
    for algorithm in algorithms:
        for listing in list_spaces(algorithm):
            rows.add_row(algorithm, listing.name, one_line(listing.description), str(listing.path))
    print_table(rows)


def _print_fields(algorithm: str) -> None:
    from tuner.hyperparameters import algorithm_class, field_infos

    rows = table("field", "default", "valid", "what it does", right=("default",))
    for info in field_infos(algorithm_class(algorithm)).values():
        unit = f" ({info.unit})" if info.unit else ""
        native = "" if info.sb3 else " [native only]"
        rows.add_row(info.name, info.default_text, info.valid_range, f"{info.help}{unit}{native}")
    print_table(rows)


def _print_space(name: str, algorithm: str, env: str | None) -> None:
    from tuner.hyperparameters import ALGORITHMS
    from tuner.space.catalog import load_by_name

    space = load_by_name(name, algorithm)
    listed = ", ".join(space.environments)
    if env is not None:
        hint = nearest(env, space.environments)
        space, found = space.for_environment(env)
        if not found:
            say(f"The search space '{name}' has no budget for {one_line(env)}: its own is shown.{hint}", stderr=True)
    space = space.clip_to_budget() if env is not None else space
    budget = space.budget
    where = f" on {env}" if env is not None else ""
    say(
        f"{name}{where}: {budget.n_timesteps:,} {ALGORITHMS[algorithm].clock}, "
        f"{counted(budget.evaluations, 'evaluation')} of {counted(budget.eval_episodes, 'episode')}"
    )
    rows = table("searched", "range", "meaning")
    for field, item in space.search.items():
        rows.add_row(field, range_text(item.to_mapping()), space.infos[field].help)
    print_table(rows)
    if space.fixed:
        say("\n".join(["fixed", *aligned(space.fixed)]))
    if space.derived:
        say("\n".join(["derived", *(f"  {n}: {range_text(rule.to_mapping())}" for n, rule in space.derived.items())]))
    if env is None and listed:
        say(f"own budgets or values for: {listed}")
