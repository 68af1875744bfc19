"""Texts that people see: what would steer a terminal is replaced, what they can read stays."""

import unicodedata

from tuner.text import printable

#: Classes of control, format, surrogate, private and unassigned characters, and of separators.
OTHERS = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs")


def test_only_characters_that_steer_or_hide_are_replaced():
    for c in map(chr, range(0x10000)):
        kept = c in " \n\t\u00a0\u202f" or unicodedata.category(c) not in OTHERS
        assert printable(f"a{c}b") == f"a{c if kept else chr(0xFFFD)}b", hex(ord(c))
