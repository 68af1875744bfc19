"""``tune``: from arguments to one command, and from its errors to one line and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import cast

from tuner import __version__
from tuner.cli import (
    apart,
    compare_command,
    completion_command,
    confirm_command,
    copy_command,
    dashboard,
    delete_command,
    doctor,
    paper_command,
    play_commands,
    recipe_flags,
    replay_command,
    run_command,
    settings_commands,
    spaces_command,
    studies_commands,
    train_commands,
)
from tuner.cli.console import INTERRUPTED, fail_line, say
from tuner.cli.discreet import given_arguments
from tuner.cli.parser import OneLineParser
from tuner.errors import InputError, TunerError, nearest
from tuner.plan.recipe import flag
from tuner.surroundings import Surroundings

DESCRIPTION = "Find good hyperparameters for Deep Q-learning on a Gymnasium environment with discrete actions."

#: What ``tune`` alone says.
FIRST_WORDS = """\
tune finds good hyperparameters for Deep Q-learning on a Gymnasium environment, and says how far to trust them.

  tune --env CartPole-v1 --within 10m    search, verdict and report in ten minutes; the same command carries on
  tune list                              the studies that are there; tune show STUDY for one
  tune train --env CartPole-v1           train one agent; --config FILE.yaml with settings of RL Zoo or a study
  tune sweep --env CartPole-v1 --vary learning_rate=1e-4,1e-3     what one knob does
  tune doctor                            what is installed and what is missing

tune --help has every command and flag, tune COMMAND --help one command's. Nothing has been done (exit code 2)."""

USAGE = "tune --env ID --trials N [flags]\n       tune COMMAND ..."

EPILOG = """\
examples:
  tune --env CartPole-v1 --trials 100           search, report, export; the same command again carries on
  tune --env CartPole-v1 --trials 9 --dry-run   what would be done
  tune show STUDY                               what a study has found
  tune confirm STUDY                            train its finalists again on fresh seeds
  tune train --env CartPole-v1 --config reports/STUDY/best.yaml

`tune COMMAND --help` explains a command, `tune spaces --fields` every hyperparameter.
Exit codes: 0 done, 2 bad input, 3 every trial failed, 4 storage lost, 130 interrupted."""


def build_parser() -> OneLineParser:
    """Return the parser of all commands. Fast: nothing heavy is imported before a command runs."""
    parser = OneLineParser(prog="tune", usage=USAGE, description=DESCRIPTION, epilog=EPILOG)
    parser.add_argument("--version", action="version", version=f"tune {__version__}")
    recipe_flags.add_to(parser)
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", title="other commands", parser_class=OneLineParser, prog="tune"
    )
    groups = (
        studies_commands,
        confirm_command,
        replay_command,
        copy_command,
        delete_command,
        train_commands,
        play_commands,
        compare_command,
        settings_commands,
        paper_command,
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
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


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
        here = f"'{parsed.command}'" if parsed.command else "a search"
        hint = nearest(unknown[0].partition("=")[0], parser.flags_of(parsed.command))
        raise InputError(f"{here} takes no argument '{unknown[0]}'.{hint}")
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
    """Refuse a flag that no command knows before its value is taken for a command."""
    known = parser.all_flags()
    before = arguments[: arguments.index("--")] if "--" in arguments else arguments
    for word in before:
        name = word.partition("=")[0]
        if name.startswith("--") and name not in known:
            raise InputError(f"there is no flag '{name}'.{nearest(name, known)}")
