"""What a plugin decides."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Union


@dataclass(frozen=True)
class Forward:
    """Hands the message to the next stage; after the last one it takes the route `default`."""


@dataclass(frozen=True, init=False)
class Route:
    """Publishes it to these of the rule's routes, and skips the stages that are left."""

    names: tuple[str, ...]

    def __init__(self, *names: str) -> None:
        object.__setattr__(self, "names", names)


@dataclass(frozen=True)
class Part:
    """One part of a message that is split."""

    payload: bytes | str
    """As bytes, or as text that becomes UTF-8."""
    headers: list[tuple[str, str]] = field(default_factory=list)
    """In place of the message's. `traceparent` and `tracestate` are carried over unless set here."""
    route: str | None = None
    """A route of the rule; without one the part goes to the next stage."""


@dataclass(frozen=True)
class Split:
    """Puts these parts in its place; none at all drops it."""

    parts: list[Part]


@dataclass(frozen=True)
class Drop:
    """Acknowledges it and goes no further: why."""

    reason: str


@dataclass(frozen=True)
class Reject:
    """Dead-letters it: it can never succeed. The reason is kept, so it must show nothing of the payload."""

    reason: str


Verdict = Union[Forward, Route, Split, Drop, Reject]
