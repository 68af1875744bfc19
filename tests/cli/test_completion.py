"""``tune completion``: bash offers what the parser takes."""

import subprocess

import pytest
from cli_shell import tune

from tuner.cli.app import build_parser


def offered(line: str) -> list[str]:
    """Ask bash what it offers at the end of a line."""
    words = line.split(" ")
    listed = " ".join(f"'{word}'" for word in words)
    script = f"{tune('completion', 'bash').out}\nCOMP_WORDS=({listed}); COMP_CWORD={len(words) - 1}; _tune\n"
    done = subprocess.run(
        ["bash", "-c", script + 'printf "%s\\n" "${COMPREPLY[@]}"'], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("tune tra", ["train"]),
        ("tune --tri", ["--trials", "--trial-timeout"]),
        ("tune train --cont", ["--continue"]),
        ("tune --env CartPole-v1 --backend ", ["native", "sb3"]),
        ("tune show --j", ["--json"]),
        ("tune show stu", []),
    ],
)
def test_bash_completes_commands_flags_and_values(line, expected):
    assert sorted(offered(line)) == sorted(expected)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_every_command_and_flag_is_there_for_the_other_shells(shell):
    text = tune("completion", shell).out
    parser = build_parser()
    for name in parser.commands():
        assert name in text
        for flag in parser.flags_of(name):
            assert flag.lstrip("-") in text
