"""``tune``: from arguments to one command, and from its errors to one line and an exit code."""

from __future__ import annotations

import errno
import functools
import os
import re
from collections.abc import Callable, Sequence
from typing import cast

from tuner import __version__
from tuner.cli import (
    apart,
    board_command,
    compare_command,
    completion_command,
    confirm_command,
    copy_command,
    dashboard,
    delete_command,
    doctor,
    library_commands,
    paper_command,
    play_commands,
    publish_command,
    recipe_flags,
    replay_command,
    run_command,
    settings_commands,
    spaces_command,
    studies_commands,
    train_commands,
    verify_command,
)
from tuner.cli.console import INTERRUPTED, answers, fail_line, say
from tuner.cli.discreet import given_arguments
from tuner.cli.parser import OneLineParser, as_environment
from tuner.cli.values import read_pairs
from tuner.errors import InputError, TunerError, meant, nearest
from tuner.execution.interrupts import own_process
from tuner.hyperparameters import ALGORITHMS, field_infos
from tuner.plan.recipe import flag
from tuner.surroundings import Surroundings

DESCRIPTION = (
    "Find good hyperparameters for Deep Q-learning on a Gymnasium environment with discrete or continuous actions."
)

#: What the system says where nothing can be written: a full disk or quota, one for reading alone.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)

#: What it says of a file that nothing can be: its name too long, links in a circle, or in a folder closed to the user.
NO_FILE = (errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES, errno.EPERM)

#: What ``tune`` alone says.
FIRST_WORDS = """\
tune finds good hyperparameters for Deep Q-learning on a Gymnasium environment, and says how far to trust them.

  tune --env CartPole-v1 --within 10m    search, verdict and report in ten minutes; the same command carries on
  tune list                              the studies that are there; tune show STUDY for one
  tune settings                          tuned settings that are there already, each with its verdict
  tune train --env CartPole-v1           train one agent; --config FILE.yaml with settings of RL Zoo or a study
  tune sweep --env CartPole-v1 --vary learning_rate=1e-4,1e-3     what one knob does
  tune doctor                            what is installed and what is missing

tune --help has every command and flag, tune COMMAND --help one command's. Nothing has been done (exit code 2)."""

USAGE = "tune --env ID --trials N [flags]\n       tune COMMAND ..."

#: What ``--objective`` takes, in words; the formulas stand in ``tuner/contract/objective.py``.
SCORES = {
    "late": "mean over the last third: how good the policy is, robust to one dip (default)",
    "final": "the last one: what the last policy does",
    "best": "the highest one: the best policy seen, flattered by luck",
    "auc": "area under the learning curve, divided by its steps: how fast it learns",
    "worst": "as late; the confirm stage then chooses by the worst quarter of its seeds",
}

SCORE_LINES = "\n".join(f"  {name:<6} {what}" for name, what in SCORES.items())

EPILOG = f"""\
examples:
  tune --env CartPole-v1 --trials 100           search, report, export; the same command again carries on
  tune --env CartPole-v1 --trials 9 --dry-run   what would be done
  tune show STUDY                               what a study has found
  tune confirm STUDY                            train its finalists again on fresh seeds
  tune train --env CartPole-v1 --config reports/STUDY/best.yaml

scores (--objective), from the mean returns of a run's evaluations:
{SCORE_LINES}

`tune COMMAND --help` explains a command, `tune spaces --fields` every hyperparameter.
Exit codes: 0 done, 2 bad input, 3 every trial failed, 4 storage lost, 130 interrupted."""

#: A flag of one dash; a number is none.
ONE_DASH = re.compile(r"-[A-Za-z]")

#: Flags that take ``key=value``.
PAIRS = ("--set", "--env-arg")


@functools.cache
def build_parser() -> OneLineParser:
    """Return the parser of all commands, built once. Fast: nothing heavy is imported before a command runs."""
    parser = OneLineParser(prog="tune", usage=USAGE, description=DESCRIPTION, epilog=EPILOG)
    parser.add_argument("--version", action="version", version=f"tune {__version__}")
    recipe_flags.add_to(parser)
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", title="other commands", parser_class=OneLineParser, prog="tune"
    )
    groups = (
        studies_commands,
        board_command,
        confirm_command,
        replay_command,
        copy_command,
        delete_command,
        train_commands,
        play_commands,
        compare_command,
        settings_commands,
        library_commands,
        verify_command,
        paper_command,
        publish_command,
        spaces_command,
        dashboard,
        doctor,
    )
    for group in groups:
        group.add_to(commands)
    completion_command.add_to(commands, build_parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments without the program's name; None takes the process's own.

    Returns:
        The exit code. Errors of the user are one line on stderr, never a traceback.
    """
    if argv is not None:
        return _answered(list(argv))
    arguments = given_arguments()
    if os.name == "posix" and arguments[:1] and arguments[0] in apart.COMMANDS:
        return apart.run_apart(lambda: _answered(arguments))
    own_process(INTERRUPTED)
    code = _answered(arguments)
    apart.leave_threads(code)
    return code


def _answered(arguments: list[str]) -> int:
    own = Surroundings.of_this_process()
    try:
        try:
            return _run(arguments)
        finally:
            own.restore()  # or nobody might see the line that follows
    except TunerError as error:
        say(fail_line(str(error), arguments), stderr=True)
        return error.exit_code
    except KeyboardInterrupt:
        say("tune: interrupted", stderr=True)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (`| head`) has gone; point stdout elsewhere so that the flush at exit does not fail too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), answers().fileno())
        return 0
    except OSError as error:  # wherever it may be that nothing can be written any more, or a name is looked at
        if error.errno in NO_ROOM:
            then = "Make room, and say the same again."
        elif error.errno in NO_FILE and error.filename:
            then = "Name another."
        elif error.errno == errno.EMFILE:
            then = "Raise their limit (ulimit -n), and say the same again."
        elif Surroundings.of_this_process().folder is None:
            then = "The folder that tune is run in has been removed. Run it in one that is there."
        else:
            raise
        where = f" ({error.filename})" if error.filename else ""
        say(fail_line(f"{error.strerror}{where}. {then}", arguments), stderr=True)
        return 2


def _run(arguments: list[str]) -> int:
    parser = build_parser()
    if not arguments:
        say(FIRST_WORDS, stderr=True)
        return 2
    _check_flags(parser, arguments)
    try:
        parsed, unknown = parser.parse_known_args(arguments)
    except SystemExit as done:  # --help and --version
        return int(done.code or 0)
    if unknown:
        raise InputError(_not_taken(parser, parsed.command, unknown[0]))
    if parsed.command is None:
        return run_command.run(parsed)
    misplaced = next(iter(recipe_flags.given(parsed)), None)
    if misplaced is not None:
        raise InputError(
            f"{flag(misplaced)} belongs to a search and cannot stand before '{parsed.command}'. "
            f"Put the flags of '{parsed.command}' after it: tune {parsed.command} --help."
        )
    handler = cast("Callable[..., int]", parsed.handler)
    return handler(parsed)


def _check_flags(parser: OneLineParser, arguments: list[str]) -> None:
    """Refuse a flag that nobody knows, or that a search does not, before its value is taken for a command."""
    known, searched = parser.all_flags(), parser.flags_of(None)
    before = arguments[: arguments.index("--")] if "--" in arguments else arguments
    commands = parser.commands()
    for place, word in enumerate(before):
        name = word.partition("=")[0]
        if ONE_DASH.match(name) and name[:2] not in known:
            raise InputError(f"there is no flag '{name}'.{nearest(name, known)}")
        if not name.startswith("--"):
            continue
        if name in PAIRS and name == word and place + 1 < len(before) and not before[place + 1].startswith("-"):
            read_pairs(name, [before[place + 1]])
        if name not in known:
            raise InputError(f"there is no flag '{name}'.{_as_hyperparameter(name) or nearest(name, known)}")
        if name not in searched and not commands.keys() & set(before[:place]):
            raise InputError(_not_taken(parser, None, word))


def _not_taken(parser: OneLineParser, command: str | None, word: str) -> str:
    """Return that a command, or a search, does not take an argument; who does; and what may have been meant."""
    name, here = word.partition("=")[0], f"'{command}'" if command else "a search"
    takers = [other for other in parser.commands() if name in parser.flags_of(other)]
    hint = as_environment(word, parser.flags_of(command)) or nearest(name, parser.flags_of(command))
    if "--set" in parser.flags_of(command) and (instead := _as_hyperparameter(name)):
        return f"{here} takes no argument '{word}'.{instead}"
    if command is not None and name in parser.flags_of(None):
        hint = f" It belongs to a search: tune --env ID {name} ..."
    elif name.startswith("--") and takers:
        hint = f" It belongs to tune {' and '.join(takers[:3])}.{hint}"
    return f"{here} takes no argument '{word}'.{hint}"


def _as_hyperparameter(name: str) -> str:
    """Return how a hyperparameter is given that was written as a flag; empty where it is none."""
    known = {each for cls in ALGORITHMS.values() for each in field_infos(cls)}
    field = next((each for each in meant(name) if each in known), None)
    return f" It is a hyperparameter: --set {field}=VALUE." if field is not None else ""
