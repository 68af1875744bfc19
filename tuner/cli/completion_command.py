"""``tune completion``: what a shell needs to complete commands, flags and the values that a flag may have."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping
from typing import Any

from tuner.cli.console import say
from tuner.cli.parser import OneLineParser, add_command

#: A flag's metavar where it lists all its values.
_VALUES = re.compile(r"[a-z0-9_]+(\|[a-z0-9_]+)+")

_BASH = """\
_tune() {{
    local cur="${{COMP_WORDS[COMP_CWORD]}}" prev="${{COMP_WORDS[COMP_CWORD-1]}}" words
    case "$prev" in
{values}
        *) case "${{COMP_WORDS[1]}}" in
{commands}
            *) words="{search}" ;;
        esac ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
}}
complete -o default -F _tune tune tune-dqn
"""


def add_to(commands: Any, whole: Callable[[], OneLineParser]) -> None:
    """Add the command; ``whole`` returns the parser of all."""
    parser = add_command(
        commands,
        "completion",
        lambda parsed: _print(parsed, whole()),
        "print what makes a shell complete commands and flags",
        epilog='bash: eval "$(tune completion bash)" in ~/.bashrc; zsh likewise in ~/.zshrc; fish: '
        "tune completion fish > ~/.config/fish/completions/tune.fish",
    )
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="bash, zsh or fish")


def _print(parsed: argparse.Namespace, parser: OneLineParser) -> int:
    say(fish(parser) if parsed.shell == "fish" else bash(parser, zsh=parsed.shell == "zsh"), end="")
    return 0


def bash(parser: OneLineParser, *, zsh: bool) -> str:
    """Return a function of bash; zsh runs it through its own layer for that."""
    search = " ".join([*parser.commands(), *parser.flags_of(None)])
    values = [f'        {flag}) words="{" ".join(known)}" ;;' for flag, known in _values(parser).items()]
    commands = [f'            {name}) words="{" ".join(parser.flags_of(name))}" ;;' for name in parser.commands()]
    script = _BASH.format(values="\n".join(values), commands="\n".join(commands), search=search)
    return f"autoload -U +X bashcompinit && bashcompinit\n{script}" if zsh else script


def fish(parser: OneLineParser) -> str:
    """Return lines of fish, with each command's and flag's help."""
    lines = []
    for name, command in (("", parser), *parser.commands().items()):
        seen = f"__fish_seen_subcommand_from {name}" if name else "__fish_use_subcommand"
        if name:
            lines.append(f"complete -c tune -n __fish_use_subcommand -a {name} -d {_quoted(command.description)}")
        for action in command._actions:
            named = [f"-{'l' if flag.startswith('--') else 's'} {flag.lstrip('-')}" for flag in action.option_strings]
            if not named:
                continue
            known = f" -xa {_quoted(' '.join(_known(action)))}" if _known(action) else ""
            text = _quoted((action.help or "").replace("%%", "%"))
            lines.append(f"complete -c tune -n {_quoted(seen)} {' '.join(named)}{known} -d {text}")
    return "\n".join(lines) + "\n"


def _values(parser: OneLineParser) -> Mapping[str, list[str]]:
    """Return the values that flags may have, by flag, where they are all named."""
    actions = [action for command in (parser, *parser.commands().values()) for action in command._actions]
    return {flag: _known(action) for action in actions for flag in action.option_strings if _known(action)}


def _known(action: argparse.Action) -> list[str]:
    metavar = action.metavar if isinstance(action.metavar, str) else ""
    return metavar.split("|") if _VALUES.fullmatch(metavar) else []


def _quoted(text: str | None) -> str:
    escaped = (text or "").replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
