"""One run of the script, on one message."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from trackside_plugin import (
    REMOVE,
    Drop,
    Fatal,
    Forward,
    HeaderError,
    Message,
    Part,
    PayloadError,
    Reject,
    Replacement,
    Retry,
    Route,
    Split,
    Value,
    Verdict,
    log,
)

if TYPE_CHECKING:
    from plugin import Conformance


class Run:
    def __init__(self, plugin: Conformance, message: Message) -> None:
        self.plugin = plugin
        self.message = message
        self.notes: list[str] = []
        self.parts: list[Part] = []

    def verdict(self) -> Verdict:
        for name, *words in self.plugin.script:
            verdict = self.step(name, words)
            if verdict is not None:
                return verdict
        return Forward()

    def step(self, name: str, words: list[str]) -> Verdict | None:
        """Takes a step; the last one gives the verdict."""
        message = self.message
        match name, words:
            case "note", [text]:
                self.notes.append(text)
            case ("subject" | "id" | "origin" | "timestamp" | "delivery"), []:
                self.notes.append(str(getattr(message, name)))
            case "payload-len", []:
                self.notes.append(str(message.payload_len))
            case "payload", []:
                self.notes.append(message.text())
            case "count", []:
                self.notes.append(str(self.plugin.count))
            case "routes", []:
                self.notes.append(" ".join(self.plugin.routes))
            case "file", [number]:
                self.notes.append(self.plugin.files[int(number)].decode())
            case "get-header", [header]:
                found = message.header(header)
                self.notes.append("none" if found is None else found)
            case "headers", []:
                self.notes.extend(f"{header}={value}" for header, value in message.headers)
            case "set-header", [header, value]:
                self.notes.append(attempt(lambda: message.set_header(header, value)))
            case "append-header", [header, value]:
                self.notes.append(attempt(lambda: message.append_header(header, value)))
            case "remove-header", [header]:
                message.remove_header(header)
            case "set-payload", [text]:
                message.set_payload(text)
            case "repeat-payload", [times]:
                message.set_payload(message.payload() * int(times))
            case "fill-payload", [times, text]:
                message.set_payload(text * int(times))
            case "select", [number]:
                self.select(int(number))
            case "replace", [number, *values]:
                self.notes.append(attempt(lambda: self.replace(int(number), replacements(values))))
            case "replace-all", [number, *values]:
                self.notes.append(attempt(lambda: self.replace_all(int(number), *replacements(values))))
            case "log", [level, line]:
                log.log(level, line)
            case "report", []:
                message.set_payload("\n".join(self.notes))
            case "part", [payload, route, *headers]:
                self.parts.append(Part(payload, list(pairs(headers)), route or None))
            case "split", []:
                return Split(self.parts)
            case "forward", []:
                return Forward()
            case "route", names:
                return Route(*names)
            case "drop", [reason]:
                return Drop(reason)
            case "reject", [reason]:
                return Reject(reason)
            case "retry", [reason, *after]:
                raise Retry(reason, *(timedelta(milliseconds=int(milliseconds)) for milliseconds in after))
            case "fatal", [reason]:
                raise Fatal(reason)
            case "trap", []:
                os.abort()
            case "loop", []:
                while True:
                    pass
            case "hog", []:
                hoard = []
                while True:
                    hoard.append(bytearray(b"1" * (1 << 20)))
            case _:
                raise Fatal(f"no step {name} with {len(words)} words")
        return None

    def select(self, number: int) -> None:
        try:
            for found in self.message.select(self.plugin.selectors[number]):
                self.notes.append(" ".join(spelt(found.path, found)))
        except PayloadError as error:
            self.notes.append(f"{error.kind}: {error.reason}")

    def replace(self, number: int, values: Iterable[Replacement]) -> None:
        self.message.replace(self.plugin.selectors[number], values)

    def replace_all(self, number: int, value: Replacement) -> None:
        self.replace(number, [value for _ in self.message.select(self.plugin.selectors[number])])


def attempt(act: Callable[[], None]) -> str:
    """Whether the host agreed, or its text."""
    try:
        act()
    except HeaderError as error:
        return f"error: {error}"
    except PayloadError as error:
        return f"{error.kind}: {error.reason}"
    return "ok"


def spelt(path: int, value: Value) -> list[str]:
    match value.value:
        case None:
            return [str(path), value.kind]
        case bool(truth):
            return [str(path), value.kind, "true" if truth else "false"]
        case text:
            return [str(path), value.kind, text]


def replacements(words: list[str]) -> Iterator[Replacement]:
    for kind, text in pairs(words):
        match kind:
            case "null":
                yield None
            case "boolean":
                yield text == "true"
            case "number" | "text" | "json":
                yield Value(kind, text)
            case "remove":
                yield REMOVE
            case _:
                raise Fatal(f"no kind {kind}")


def pairs(words: list[str]) -> Iterator[tuple[str, str]]:
    padded = [*words, ""]
    return ((padded[index], padded[index + 1]) for index in range(0, len(words), 2))
