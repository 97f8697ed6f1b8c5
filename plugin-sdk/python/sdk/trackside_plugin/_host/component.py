"""The host, as a component imports it. The module `wit_world` is what componentize-py makes of the contract."""

# mypy: ignore-errors
# The modules of the bindings are made by componentize-py, and are there in a component only.

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from componentize_py_types import Err
from wit_world.imports import message, setup
from wit_world.imports.message import (
    OriginKind,
    PayloadError_NotJson,
    Value_Boolean,
    Value_Json,
    Value_Null,
    Value_Number,
    Value_Text,
)

from ..errors import HeaderError, PayloadError, SetupError

subject = message.subject
id = message.id
timestamp = message.timestamp
delivery = message.delivery
get_header = message.get_header
remove_header = message.remove_header
payload = message.payload
payload_len = message.payload_len
set_payload = message.set_payload
routes = setup.routes

T = TypeVar("T")

_ORIGINS = {kind: kind.name.lower() for kind in OriginKind}
_KINDS = {Value_Boolean: "boolean", Value_Number: "number", Value_Text: "text", Value_Json: "json"}
_VALUES = {kind: value for value, kind in _KINDS.items()}


def origin() -> Any:
    return _ORIGINS[message.origin()]


def headers() -> list[tuple[str, str]]:
    return [(header.name, header.value) for header in message.headers()]


def set_header(name: str, value: str) -> None:
    _refusable(HeaderError, message.set_header, name, value)


def append_header(name: str, value: str) -> None:
    _refusable(HeaderError, message.append_header, name, value)


def compile_paths(paths: list[str]) -> Any:
    return _refusable(SetupError, message.Selector.compile, paths)


def read_file(path: str) -> bytes:
    return _refusable(SetupError, setup.read_file, path)


def select(selector: Any) -> list[tuple[int, Any, Any]]:
    return [(found.path, *_lifted(found.value)) for found in _readable(message.select, selector)]


def replace(selector: Any, values: list[tuple[str, Any] | None]) -> None:
    _readable(message.replace, selector, [value and _lowered(*value) for value in values])


def _lifted(value: Any) -> tuple[str, Any]:
    kind = _KINDS.get(type(value))
    return ("null", None) if kind is None else (kind, value.value)


def _lowered(kind: str, value: Any) -> Any:
    return Value_Null() if kind == "null" else _VALUES[kind](value)


def _refusable(refusal: Callable[[str], Exception], call: Callable[..., T], *arguments: Any) -> T:
    try:
        return call(*arguments)
    except Err as error:
        raise refusal(error.value) from None


def _readable(call: Callable[..., T], *arguments: Any) -> T:
    try:
        return call(*arguments)
    except Err as error:
        kind = "not-json" if isinstance(error.value, PayloadError_NotJson) else "limit"
        raise PayloadError(kind, error.value.value) from None
