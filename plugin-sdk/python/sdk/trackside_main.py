"""The component: componentize-py looks here for what the contract's world exports."""

# mypy: ignore-errors
# The modules of the bindings are made by componentize-py, and are there in a component only.

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

import plugin  # noqa: F401  (the project's own module, which exports its class)
from componentize_py_types import Err
from trackside_plugin import Drop, Fatal, Forward, Message, Reject, Retry, Route, Split, SetupError, Verdict
from trackside_plugin.plugin import configured, decided, exported
from wit_world import exports
from wit_world.exports import stage as contract
from wit_world.imports.message import Header

if len(exported) != 1:
    raise ImportError(f"the module `plugin` has {len(exported)} classes marked by @export, and has to have one")

# Nobody would see the end of what is printed: there is no exit of the process that flushes it.
sys.stdout.reconfigure(line_buffering=True)

_LONGEST_WAIT_MS = (1 << 32) - 1

_message = Message()
_stage: Any = None
_random = sys.modules.get("random")


class Stage(exports.Stage):
    """The interface `stage` of the contract."""

    def configure(self, config: str) -> None:
        global _stage
        try:
            _stage = configured(exported[0], config)
        except SetupError as error:
            raise Err(str(error)) from None

    def handle(self) -> contract.Verdict:
        if _random is not None:
            # Its state would depend on what this instance was given before; the same message gives the same outcome.
            _random.seed(_message.id)
        try:
            return _lowered(decided(_stage, _message))
        except Retry as failure:
            raise Err(contract.Failure_Retry(contract.Retry(failure.reason, _milliseconds(failure.after)))) from None
        except Fatal as failure:
            raise Err(contract.Failure_Fatal(failure.reason)) from None


def _lowered(verdict: Verdict) -> contract.Verdict:
    match verdict:
        case Forward():
            return contract.Verdict_Forward()
        case Route(names):
            return contract.Verdict_Route(list(names))
        case Split(parts):
            return contract.Verdict_Split([_part(part.payload, part.headers, part.route) for part in parts])
        case Drop(reason):
            return contract.Verdict_Drop(reason)
        case Reject(reason):
            return contract.Verdict_Reject(reason)


def _milliseconds(wait: timedelta | None) -> int | None:
    return None if wait is None else min(max(wait // timedelta(milliseconds=1), 0), _LONGEST_WAIT_MS)


def _part(payload: bytes | str, headers: list[tuple[str, str]], route: str | None) -> contract.Part:
    payload = payload.encode() if isinstance(payload, str) else bytes(payload)
    return contract.Part(payload, [Header(name, value) for name, value in headers], route)
