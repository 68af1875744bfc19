"""docs/faults.md is whole, and every test it names exists."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TABLE = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| ([FBSL]\d+) \| (.*)$", TABLE, re.M))

SECURITY = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
ATTACKS = dict(re.findall(r"^\| (A\d+) \| (.*)$", TABLE, re.M))


def test_every_fault_has_its_row():
    wanted = {f"F{n}" for n in range(1, 38)} | {f"B{n}" for n in range(1, 7)} | {"S1", "S2", "S3", "L1", "L2", "L4"}
    assert set(ROWS) == wanted


def test_every_row_names_tests_that_exist():
    there = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.M)
    }
    for fault, row in {**ROWS, **ATTACKS, "SECURITY.md": SECURITY}.items():
        named = re.findall(r"`(test_\w+)`", row)
        assert named, fault
        for name in named:
            assert name in there, f"{fault} names {name}"


def test_the_attacks_that_were_found_keep_their_rows():
    assert set(ATTACKS) == {f"A{n}" for n in range(1, 28)} - {"A13"}
