"""From a class that a user wrote to what the contract asks of a plugin."""

from __future__ import annotations

import json
from inspect import signature
from typing import Any, Protocol, TypeVar, get_type_hints

from .errors import Fatal, HeaderError, PayloadError, Retry, SetupError
from .message import Message
from .settings import read
from .setup import Setup
from .verdict import Drop, Forward, Reject, Route, Split, Verdict


class Stage(Protocol):
    """A plugin: one value for each instance of it, configured once and then given messages one after another."""

    def __init__(self, settings: Any, setup: Setup) -> None:
        """Takes the stage's `with` table: as its annotation says, if that is a data class, and as JSON otherwise."""

    def handle(self, message: Message) -> Verdict:
        """Decides what becomes of one message."""
        ...


S = TypeVar("S", bound=type[Stage])

exported: list[type[Stage]] = []
"""The class that `export` was told, when there is one."""


def export(stage: S) -> S:
    """Makes this class the plugin that the project is; once in a project."""
    exported.append(stage)
    return stage


def configured(stage: type[Stage], config: str) -> Stage:
    """An instance of it, from the `with` table as JSON. Whatever is wrong is a `SetupError`."""
    settings = read(_settings_type(stage), json.loads(config))
    try:
        return stage(settings, Setup())
    except SetupError:
        raise
    except Exception as error:
        raise SetupError(f"{type(error).__name__}: {error}") from error


def decided(stage: Stage, message: Message) -> Verdict:
    """What it decides about the message. What it raises is a verdict, or raised as `Retry` or `Fatal`."""
    try:
        verdict = stage.handle(message)
    except (PayloadError, HeaderError) as error:
        # What cannot be read or carried now cannot be later either.
        return Reject(str(error))
    except (Retry, Fatal, MemoryError):
        # Without memory there is no going on: the host sees what was refused and says so.
        raise
    except BaseException as error:
        # Without its text, which may show something of the payload.
        raise Fatal(f"{type(error).__name__} was raised{_place(error)}") from error
    if not isinstance(verdict, (Forward, Route, Split, Drop, Reject)):
        # A plugin that forgets to decide must not let the message through.
        raise Fatal(f"`handle` returned {type(verdict).__name__}, which is no verdict")
    return verdict


def _settings_type(stage: type[Stage]) -> Any:
    # The first parameter after `self`, by whatever name.
    name = next(iter(list(signature(stage.__init__).parameters)[1:]), None)
    return get_type_hints(stage.__init__).get(name, Any) if name else Any


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    code = trace.tb_frame.f_code
    return f" in {code.co_name} ({code.co_filename.rpartition('/')[2]}:{trace.tb_lineno})"
