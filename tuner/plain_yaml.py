"""YAML from outside, as plain data only: every file and word of a user's goes through :func:`parse`.

Beyond ``yaml.safe_load`` it refuses a key given twice, tags (sets and binary data too), numbers that YAML 1.1 alone
reads in another base (``010``, ``1:30``), and what is small to write and large to hold or to show: deep nesting,
aliases of aliases, numbers of thousands of digits. Two tags of Python's that RL Zoo writes into the folder of every
agent it trains are read as the plain data they stand for: ordered dictionaries as mappings, tuples as lists. Nothing is
called for them.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, NoReturn

import yaml

from tuner.errors import InputError
from tuner.named_pipes import refuse_named_pipe

#: Bytes of a file, levels of nesting, and values (texts by length) once aliases are written out: some times what the
#: largest known file has.
MAX_BYTES, MAX_DEPTH, MAX_VALUES = 1 << 16, 32, 20_000

#: Whole numbers lie within this: what a database and a float can hold.
MAX_INTEGER = 2**63 - 1


_DIGITS = r"\d+(?:_\d+)*"
_INTEGER = re.compile(rf"[+-]?{_DIGITS}")
_NUMBER = re.compile(rf"[+-]?(?:{_DIGITS}\.?(?:{_DIGITS})?|\.{_DIGITS})(?:[eE][+-]?\d+)?")
_OCTAL = re.compile(r"[+-]?0[0-7_]+")
#: Longer whole numbers stay text, which every rule for a number refuses.
MAX_DIGITS = 300


class _Loader(yaml.SafeLoader):
    depth = 0
    sizes: dict[int, int]

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.refuse(f"it nests deeper than {MAX_DEPTH} levels", self.peek_event().start_mark)  # type: ignore[no-untyped-call]
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_document(self, node: yaml.Node) -> Any:
        self.sizes = {}
        self.measure(node)
        return super().construct_document(node)

    def measure(self, node: yaml.Node) -> int:
        """Return how many values a node is once its aliases are written out; 0 marks one that is being measured."""
        known = self.sizes.get(id(node))
        if known == 0:
            self.refuse("it contains itself", node.start_mark)
        if known is None:
            self.sizes[id(node)] = 0
            parts = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
            known = 1 + (len(parts) // 100 if isinstance(parts, str) else sum(map(self.measure, parts)))
            if known > MAX_VALUES:
                self.refuse(f"it holds more than {MAX_VALUES:_} values", node.start_mark)
            self.sizes[id(node)] = known
        return known

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            if isinstance(key_node, yaml.ScalarNode) and key_node.tag != "tag:yaml.org,2002:merge":
                if key_node.value in seen:
                    self.refuse(f"the key '{key_node.value}' is there twice", key_node.start_mark)
                seen.add(key_node.value)
        return super().construct_mapping(node, deep)

    def construct_number(self, node: yaml.ScalarNode) -> int | float:
        whole = node.tag == "tag:yaml.org,2002:int"
        if len(node.value) > 400:
            self.refuse(f"a number has {len(node.value)} characters", node.start_mark)
        try:
            value = self.construct_yaml_int(node) if whole else self.construct_yaml_float(node)
        except (ValueError, OverflowError):
            self.refuse(f"'{node.value[:40]}' is no number", node.start_mark)
        base = 60 if ":" in node.value else 8 if whole and _OCTAL.fullmatch(node.value) else 10
        if base != 10:  # YAML 1.1 alone reads them so: its version 1.2, a flag of ours and whoever wrote it do not
            meant = "Quote it" if base == 60 else "Leave the first 0 out, or quote it"
            self.refuse(
                f"'{node.value[:40]}' would be {value!r:.40}, a number of base {base}. {meant}", node.start_mark
            )
        if whole and abs(value) > MAX_INTEGER:
            self.refuse("a whole number is beyond 64 bits", node.start_mark)
        return value

    def construct_ordered(self, node: yaml.Node) -> dict[Any, Any]:
        """Return an ordered dictionary as PyYAML writes one: a list that holds one list of pairs."""
        outer = node.value if isinstance(node, yaml.SequenceNode) else []
        inner = outer[0].value if len(outer) == 1 and isinstance(outer[0], yaml.SequenceNode) else None
        if inner is None or not all(isinstance(p, yaml.SequenceNode) and len(p.value) == 2 for p in inner):
            self.refuse("an ordered dictionary must be a list of one list of pairs", node.start_mark)
        pairs = [tuple(pair.value) for pair in inner]
        return self.construct_mapping(yaml.MappingNode("tag:yaml.org,2002:map", pairs, node.start_mark), deep=True)

    def construct_python_tuple(self, node: yaml.Node) -> list[Any]:
        if not isinstance(node, yaml.SequenceNode):
            self.refuse("a tuple must be a list", node.start_mark)
        return self.construct_sequence(node, deep=True)

    def construct_date(self, node: yaml.ScalarNode) -> NoReturn:
        self.refuse("a date must stand in quotes", node.start_mark)

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        text = super().construct_scalar(node)
        if isinstance(text, str) and any(c == "\0" or "\ud800" <= c <= "\udfff" for c in text):
            self.refuse("a text holds what no file and no database can", node.start_mark)
        return text

    def refuse(self, problem: str, mark: yaml.Mark) -> NoReturn:
        raise yaml.constructor.ConstructorError(None, None, problem, mark)


_PLAIN = ("null", "bool", "str", "seq", "map")
_Loader.yaml_constructors = {
    tag: make
    for tag, make in yaml.SafeLoader.yaml_constructors.items()
    if tag is None or tag.rpartition(":")[2] in _PLAIN
}
for _name in ("int", "float"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_name}", _Loader.construct_number)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", _Loader.construct_date)
_Loader.add_constructor("tag:yaml.org,2002:python/object/apply:collections.OrderedDict", _Loader.construct_ordered)
_Loader.add_constructor("tag:yaml.org,2002:python/tuple", _Loader.construct_python_tuple)


def file_state(path: Path) -> tuple[int, ...]:
    """Return what changes when a file does, for who keeps what it held; empty where it cannot be looked at."""
    try:
        state = path.stat()
    except OSError:
        return ()
    return state.st_dev, state.st_ino, state.st_mtime_ns, state.st_size


def load(path: Path | str) -> Any:
    """Return what a file holds.

    Raises:
        InputError: It cannot be read, or :func:`parse` refuses it; one line names the file.
    """
    try:
        refuse_named_pipe(path)
        with Path(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise InputError(
                f"{path}: is larger than {MAX_BYTES // 1024} KiB, as no YAML of tune's is. Check its name."
            )
        text = content.decode("utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text.") from error
    try:
        return parse(text)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def parse(text: str) -> Any:
    """Return the one document of a YAML text: None, booleans, numbers, text, lists and mappings.

    Raises:
        InputError: It is not YAML, not plain, or beyond a limit.
    """
    try:
        loader = _Loader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = "" if mark is None else f" (line {mark.line + 1}, column {mark.column + 1})"
        if "could not determine a constructor" in str(error.problem):
            raise InputError(f"only plain data is allowed, no tags: {error.problem}{place}.") from error
        raise InputError(f"is not valid YAML: {error.problem}{place}.") from error
    except (yaml.YAMLError, ValueError, TypeError, LookupError, RecursionError) as error:
        raise InputError(f"is not valid YAML: {next(iter(str(error).splitlines()), type(error).__name__)}") from error


def read_number(text: str) -> int | float | str:
    """Return the number that a word stands for (``1e-3`` and ``50_000`` too), or the word itself."""
    if _INTEGER.fullmatch(text) and len(text) <= MAX_DIGITS:
        return int(text)
    number = float(text) if _NUMBER.fullmatch(text) else math.nan
    return number if math.isfinite(number) else text
