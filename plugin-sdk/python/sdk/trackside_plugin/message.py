"""The message being handled."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from math import isfinite
from typing import Any, Final, Literal, Union

from ._host import host
from .errors import PayloadError


class _Remove(Enum):
    REMOVE = "remove"


REMOVE: Final = _Remove.REMOVE
"""In the place of a value given to `Message.replace`: takes the place out."""


@dataclass
class Value:
    """A JSON value: numbers as they are spelt, objects and arrays as JSON text."""

    kind: Literal["null", "boolean", "number", "text", "json"]
    value: None | bool | str = None


@dataclass
class Match(Value):
    """One place that a selector matched: what is there, and the index of the path that matched."""

    path: int = 0


Replacement = Union[str, int, float, bool, Decimal, None, Value, _Remove]
"""What takes the place of a match. A string becomes a JSON string, `None` JSON's null; `REMOVE` takes the place out."""


class Selector:
    """A set of JSONPath (RFC 9535) expressions, compiled once, while the plugin is configured."""

    def __init__(self, *paths: str) -> None:
        """Compiles at most 256 expressions of at most 4 KiB each. Raises a `SetupError` that names the wrong one."""
        self._compiled = host.compile_paths(list(paths))


class Message:
    """The message being handled. It stays in the host: every member asks for, or changes, just what it names."""

    @property
    def subject(self) -> str:
        """The subject it was published to, for example `orders.eu.created`."""
        return host.subject()

    @property
    def id(self) -> str:
        """Its identity, stable across redeliveries and replays."""
        return host.id()

    @property
    def origin(self) -> Literal["jetstream", "core", "sidecar", "trial"]:
        """Which kind of source it came from."""
        return host.origin()

    @property
    def timestamp(self) -> int:
        """Its own time, in milliseconds since the Unix epoch."""
        return host.timestamp()

    @property
    def delivery(self) -> int:
        """1 on the first delivery, one more on each that follows."""
        return host.delivery()

    def header(self, name: str) -> str | None:
        """The first value of this header, without regard to the name's case."""
        return host.get_header(name)

    @property
    def headers(self) -> list[tuple[str, str]]:
        """All headers, as names and values; the values of one name are in wire order."""
        return host.headers()

    def set_header(self, name: str, value: str) -> None:
        """Replaces every header of this name. Raises a `HeaderError` for what NATS cannot carry and reserved names."""
        host.set_header(name, value)

    def append_header(self, name: str, value: str) -> None:
        """Adds a header and keeps those of the same name. Raises as `set_header` does."""
        host.append_header(name, value)

    def remove_header(self, name: str) -> None:
        """Removes every header of this name, without regard to case; none is fine."""
        host.remove_header(name)

    @property
    def payload_len(self) -> int:
        """The payload's length in bytes, without a copy."""
        return host.payload_len()

    def payload(self) -> bytes:
        """The payload. Copies it into the sandbox: prefer `select`."""
        return host.payload()

    def text(self) -> str:
        """The payload as text. Raises a `PayloadError` if it is not UTF-8."""
        try:
            return host.payload().decode()
        except UnicodeDecodeError as error:
            raise PayloadError("not-text", f"at byte {error.start}") from None

    def json(self) -> Any:
        """The whole payload as JSON.

        Raises a `PayloadError` if it is none, or if an object in it has the same key twice.
        """
        try:
            return json.loads(self.text(), object_pairs_hook=_object, parse_constant=_no_constant)
        except json.JSONDecodeError as error:
            # Without its `doc`, which is the payload.
            raise PayloadError("not-json", f"{error.msg} at character {error.pos}") from None
        except RecursionError:
            raise PayloadError("limit", "it is nested too deeply") from None

    def set_payload(self, payload: bytes | str) -> None:
        """Replaces the whole payload."""
        host.set_payload(payload.encode() if isinstance(payload, str) else bytes(payload))

    def select(self, selector: Selector) -> list[Match]:
        """Every place that the selector matches, in document order, duplicates of a key included."""
        return [Match(kind, value, path) for path, kind, value in host.select(selector._compiled)]

    def replace(self, selector: Selector, values: Iterable[Replacement]) -> None:
        """Replaces the places that the selector matches now: one value each, in the order of `select`.

        Where places nest, the outer one wins. Bytes outside stay as they are.
        """
        host.replace(selector._compiled, [_lowered(value) for value in values])


def _lowered(value: Replacement) -> tuple[str, Any] | None:
    """Kind and value as the contract has them; `None` removes the place."""
    if value is REMOVE:
        return None
    if isinstance(value, Value):
        return value.kind, value.value
    if isinstance(value, str):
        return "text", value
    if value is None:
        return "null", None
    if isinstance(value, bool):
        return "boolean", value
    # JSON has no spelling for the others.
    if isinstance(value, (int, float, Decimal)) and isfinite(value):
        return "number", str(value)
    raise TypeError("a replacement is a str, bool, finite number, None, REMOVE, or a Value")


def _object(members: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(members)
    if len(value) < len(members):
        raise PayloadError("ambiguous", "an object has the same key twice")
    return value


def _no_constant(_: str) -> None:
    """Python reads NaN and infinities, which JSON has not."""
    raise PayloadError("not-json", "it has a number that JSON has not")
