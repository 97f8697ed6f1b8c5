"""Runs a plugin in a test, against a message in memory and without Trackside."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ._host import memory, memory_log
from .errors import Fatal, Retry
from .message import Message
from .plugin import Stage, configured, decided
from .verdict import Verdict


def configure(
    stage: type[Any], settings: Any = None, *, routes: Iterable[str] = (), files: Mapping[str, bytes | str] = {}
) -> Configured:
    """Configures a plugin as a rule with these routes, and a configuration directory with these files, would.

    Raises a `SetupError` with what the rule's author would be shown.
    """
    memory.current_setup = memory.Setup(list(routes), {path: _bytes(content) for path, content in files.items()})
    try:
        return Configured(configured(stage, json.dumps({} if settings is None else settings)))
    finally:
        memory.current_setup = None


@dataclass
class Configured:
    """A plugin that was configured."""

    stage: Stage
    """The plugin itself."""

    def handle(self, payload: bytes | str = b"", **message: Any) -> Outcome:
        """Hands it a message.

        It comes from JetStream, on subject `test`, at the time 0, delivered once, unless said otherwise by the
        arguments `subject`, `id`, `origin`, `timestamp`, `delivery` and `headers`, a list of names and values.
        """
        given = memory.Message(_bytes(payload), **message)
        given.headers = list(given.headers)
        memory.current_message = given
        memory_log.lines.clear()
        verdict: Verdict | None = None
        failure: Retry | Fatal | None = None
        try:
            verdict = decided(self.stage, Message())
        except (Retry, Fatal) as error:
            failure = error
        finally:
            memory.current_message = None
        return Outcome(verdict, failure, given.payload, given.headers, list(memory_log.lines))


@dataclass
class Outcome:
    """What a plugin did with a message."""

    verdict: Verdict | None
    """What it decided, unless it failed."""
    failure: Retry | Fatal | None
    """Why it did not decide. The cause of a `Fatal` is what the plugin raised."""
    payload: bytes
    """The payload as the plugin left it."""
    headers: list[tuple[str, str]]
    """The headers as the plugin left them."""
    log: list[tuple[str, str]]
    """What it logged: level and line."""

    @property
    def text(self) -> str:
        """The payload as text."""
        return self.payload.decode()

    @property
    def json(self) -> Any:
        """The payload as JSON."""
        return json.loads(self.payload)


def _bytes(content: bytes | str) -> bytes:
    return content.encode() if isinstance(content, str) else bytes(content)
