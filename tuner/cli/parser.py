"""argparse with errors as exceptions of ours, help that keeps its line breaks, and shared flags."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from tuner.cli.console import answers
from tuner.errors import InputError, nearest
from tuner.storage_url import DEFAULT_STORAGE, STORAGE_VARIABLE

#: An id of Gymnasium's, with its version.
ENVIRONMENT = re.compile(r"[\w:./]+(-[\w.]+)*-v[0-9]+")

Handler = Callable[[argparse.Namespace], int]


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Wide enough for most flags to have their help on the same line."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=34)


class OneLineParser(argparse.ArgumentParser):
    """Raises instead of printing usage and exiting, so that every error becomes the same single line."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", _Formatter)
        super().__init__(**kwargs, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Raise the error.

        Raises:
            InputError: Always.
        """
        raise InputError(f"{message.rstrip('.')}. See {self.prog} --help.")

    def _print_message(self, message: str, file: Any = None) -> None:
        super()._print_message(message, answers() if file in (None, sys.stdout) else file)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if isinstance(action, argparse._SubParsersAction) and value not in action.choices:
            known = list(action.choices)
            hint = as_environment(str(value), self.flags_of(None)) or nearest(str(value), known)
            raise InputError(f"there is no command '{value}'.{hint} Known: {', '.join(known)}.")
        super()._check_value(action, value)

    def flags_of(self, command: str | None) -> list[str]:
        """Return the flags that a command takes; of a search when it is None."""
        parser = self if command is None else self.commands()[command]
        return [flag for action in parser._actions for flag in action.option_strings]

    def all_flags(self) -> list[str]:
        """Return the flags of all commands."""
        return [flag for command in (None, *self.commands()) for flag in self.flags_of(command)]

    def commands(self) -> dict[str, argparse.ArgumentParser]:
        """Return the parsers of the sub-commands by name."""
        return {
            name: parser
            for action in self._actions
            if isinstance(action, argparse._SubParsersAction)
            for name, parser in action.choices.items()
        }


def add_command(commands: Any, name: str, handler: Handler, help: str, **kwargs: Any) -> OneLineParser:
    """Add a sub-command and return its parser."""
    parser: OneLineParser = commands.add_parser(name, help=help, description=f"{help[0].upper()}{help[1:]}.", **kwargs)
    parser.set_defaults(handler=handler)
    return parser


def as_environment(word: str, flags: Iterable[str]) -> str:
    """Return how an environment's id is given where ``flags`` have one and a word is like one; else an empty string."""
    return f" An environment is named by --env {word}." if ENVIRONMENT.fullmatch(word) and "--env" in flags else ""


def add_storage(parser: argparse.ArgumentParser) -> None:
    """Add ``--storage`` to a command that reads studies."""
    parser.add_argument(
        "--storage", metavar="URL", help=f"Database of the study (default: ${STORAGE_VARIABLE}, else {DEFAULT_STORAGE})"
    )


def add_wrapper(parser: argparse.ArgumentParser, help: str) -> None:
    """Add ``--wrapper`` to a command that plays what a file or a database names."""
    parser.add_argument("--wrapper", metavar="NAME", action="extend", nargs="+", default=[], help=help)


def whole_number(text: str, flag: str, low: int, high: int | None = None) -> int:
    """Return an integer from the command line.

    Raises:
        InputError: Not an integer, or outside ``[low, high]``.
    """
    try:
        number = int(text)
    except ValueError:
        number = low - 1
    if number < low or (high is not None and number > high):
        top = "" if high is None else f" and at most {high}"
        raise InputError(f"{flag} must be an integer of at least {low}{top}, got '{text}'.")
    return number
