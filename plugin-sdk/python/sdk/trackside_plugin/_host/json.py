"""Selecting and replacing in tests, on the text as the host does it: what is not selected stays as it was."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

from ..errors import PayloadError, SetupError

# The parts of JSONPath (RFC 9535) that are known here: names, indices, wildcards, lists of these, and descendants.
_STEP = re.compile(r"""(\.\.|\.)?(?:(\*)|([^\W\d]\w*)|\[((?:[^"'\]]|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')*)\])""")
_CHOICE = re.compile(r"""\s*(?:(\*)|(-?\d+)|"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')\s*(,|$)""")
_UNKNOWN = (
    "the message in memory knows names, indices, wildcards, lists of these and `..`; "
    "test the rest by `trackside plugin test`"
)

Choice = Any
"""A name, an index, or `None` for all children."""


@dataclass(eq=False)
class Node:
    """A value of a document: where it starts and ends, and from where it goes as a member."""

    parent: Node | None
    name: str | None
    begin: int
    start: int
    end: int = 0
    children: list[Node] = field(default_factory=list)
    is_array: bool = False


def compile_paths(paths: list[str]) -> list[list[tuple[bool, list[Choice]]]]:
    """Compiles the paths, each to steps: whether the step descends, and which children it chooses."""
    return [_steps(path, SetupError(f"path {index} (`{path}`): {_UNKNOWN}")) for index, path in enumerate(paths)]


def select_from(payload: bytes, paths: Any) -> list[tuple[int, Node, str, Any]]:
    """Every match, in document order: the path's index, the place, and kind and value as the contract has them."""
    text = _read(payload)
    root = _scan(text)
    matches = [(path, node) for path, steps in enumerate(paths) for node in _walk(root, steps)]
    # Of places that begin at the same byte, the outer one comes first.
    matches.sort(key=lambda match: (match[1].start, -match[1].end, match[0]))
    return [(path, node, *_lifted(text[node.start : node.end])) for path, node in matches]


def replace_in(payload: bytes, paths: Any, values: list[tuple[str, Any] | None]) -> bytes:
    """The payload with these values in the places of the matches; `None` removes the place."""
    text = _read(payload)
    places = [node for _, node, _, _ in select_from(payload, paths)]
    if len(places) != len(values):
        raise PayloadError("not-json", f"{len(values)} values for {len(places)} matches")
    gone = {place for place, value in zip(places, values) if value is None}
    edits = [
        (*_extent(place, gone), "") if value is None else (place.start, place.end, _spelt(*value))
        for place, value in zip(places, values)
    ]
    result, done = [], 0
    for start, end, spelling in sorted(edits, key=lambda edit: (edit[0], -edit[1])):
        # What lies inside of something that was replaced before is replaced with it.
        if end > done:
            result += [text[done : max(start, done)], spelling]
            done = end
    return "".join([*result, text[done:]]).encode()


def _read(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError as error:
        raise PayloadError("not-json", f"at byte {error.start}: not UTF-8") from None


def _steps(path: str, refusal: SetupError) -> list[tuple[bool, list[Choice]]]:
    if not path.startswith("$"):
        raise refusal
    steps, at = [], 1
    while at < len(path):
        match = _STEP.match(path, at)
        dots, wild, name, choices = match.groups() if match else (None, None, None, None)
        # A name or a star follows a dot; a bracket does not follow a single one.
        if match is None or (choices is None) == (dots is None) or (choices is not None and dots == "."):
            raise refusal
        chosen = [None if wild else name] if choices is None else list(_choices(choices, refusal))
        steps.append((dots == "..", chosen))
        at = match.end()
    return steps


def _choices(text: str, refusal: SetupError) -> Iterator[Choice]:
    at, comma = 0, ","
    while comma == ",":
        match = _CHOICE.match(text, at)
        if match is None:
            raise refusal
        wild, index, double, single, comma = match.groups()
        at = match.end()
        if double is None and single is not None:
            double = single.replace("\\'", "'").replace('"', '\\"')
        yield None if wild else int(index) if index else json.loads(f'"{double}"')


def _walk(root: Node, steps: list[tuple[bool, list[Choice]]]) -> list[Node]:
    nodes = [root]
    for descends, choices in steps:
        parents = [below for node in nodes for below in _descendants(node)] if descends else nodes
        nodes = [child for parent in parents for choice in choices for child in _chosen(parent, choice)]
    return list(dict.fromkeys(nodes))


def _descendants(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from _descendants(child)


def _chosen(parent: Node, choice: Choice) -> list[Node]:
    if choice is None:
        return parent.children
    if isinstance(choice, str):
        return [child for child in parent.children if child.name == choice]
    place = choice + len(parent.children) if choice < 0 else choice
    return parent.children[place : place + 1] if parent.is_array and place >= 0 else []


def _extent(node: Node, gone: set[Node]) -> tuple[int, int]:
    """What goes with a node that is removed: the comma after it, or before it if it is the last that is left."""
    if node.parent is None:
        raise PayloadError("not-json", "the whole payload cannot be removed")
    siblings = node.parent.children
    place = siblings.index(node)
    if place + 1 < len(siblings):
        return node.begin, siblings[place + 1].begin
    left = next((sibling.end for sibling in reversed(siblings) if sibling not in gone), node.begin)
    return left, node.end


def _lifted(spelling: str) -> tuple[str, Any]:
    if spelling[0] in "{[":
        return "json", spelling
    if spelling[0] in '"tfn':
        value = json.loads(spelling)
        return {str: "text", bool: "boolean"}.get(type(value), "null"), value
    return "number", spelling


def _spelt(kind: str, value: Any) -> str:
    if kind in ("number", "json"):
        _scan(value)
        return str(value)
    return json.dumps(value, ensure_ascii=False)


_SPACE = re.compile(r"[ \t\n\r]*")
_WORD = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null", re.ASCII)


def _scan(text: str) -> Node:
    """The tree of a document."""
    root = _value(text, _space(text, 0), None, None, None)
    at = _space(text, root.end)
    if at < len(text):
        raise _expected(text, at, "the end")
    return root


def _value(text: str, at: int, parent: Node | None, name: str | None, begin: int | None) -> Node:
    node = Node(parent, name, at if begin is None else begin, at)
    mark = text[at : at + 1]
    if mark == '"':
        node.end = _string(text, at, "a value")[1]
    elif mark in ("{", "["):
        node.is_array = mark == "["
        node.end = _members(text, at, node, "]" if node.is_array else "}")
    elif (word := _WORD.match(text, at)) is not None:
        node.end = word.end()
    else:
        raise _expected(text, at, "a value")
    return node


def _members(text: str, at: int, node: Node, close: str) -> int:
    at = _space(text, at + 1)
    while text[at : at + 1] != close:
        if node.children:
            at = _mark(text, at, ",")
        begin, name = at, None
        if not node.is_array:
            name, at = _string(text, at, "a key")
            at = _mark(text, _space(text, at), ":")
        child = _value(text, at, node, name, begin)
        node.children.append(child)
        at = _space(text, child.end)
    return at + 1


def _space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _mark(text: str, at: int, mark: str) -> int:
    if text[at : at + 1] != mark:
        raise _expected(text, at, f"`{mark}`")
    return _space(text, at + 1)


def _string(text: str, at: int, what: str) -> tuple[str, int]:
    if text[at : at + 1] != '"':
        raise _expected(text, at, what)
    try:
        string, end = scanstring(text, at + 1, True)
    except json.JSONDecodeError as error:
        raise _expected(text, error.pos, "the rest of a string") from None
    return string, end


def _expected(text: str, at: int, what: str) -> PayloadError:
    return PayloadError("not-json", f"at byte {len(text[:at].encode())}: expected {what}")
