"""The stage's `with` table, as the type that a plugin declares for it."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from .errors import SetupError


def read(wanted: Any, value: Any, key: str = "") -> Any:
    """The value as the wanted type, which is a data class, a type that JSON has, `list[…]`, `dict[str, …]`,
    `Literal[…]`, or several of these joined by `|`. Raises a `SetupError` that names the key and does not show the
    value: it may be a secret that the host has put in.
    """
    if wanted is Any:
        return value
    if isinstance(wanted, type) and is_dataclass(wanted):
        return _table(wanted, value, key)
    origin, options = get_origin(wanted), get_args(wanted)
    if origin in (Union, UnionType):
        return _any_of(options, value, key)
    if origin is Literal:
        if value in options:
            return value
        raise SetupError(f"has to be one of {', '.join(map(repr, options))}", key)
    plain = origin or wanted
    if not _is(plain, value):
        raise SetupError(f"of type {_name(type(value))}, and has to be of type {_name(plain)}", key)
    if origin is list:
        return [read(options[0], item, f"{key}[{index}]") for index, item in enumerate(value)]
    if origin is dict:
        return {name: read(options[1], item, _below(key, name)) for name, item in value.items()}
    return float(value) if wanted is float else value


def _is(wanted: type, value: Any) -> bool:
    # Python counts a bool as an int.
    if isinstance(value, bool):
        return wanted is bool
    return isinstance(value, (int, float) if wanted is float else wanted)


def _table(wanted: type, value: Any, key: str) -> Any:
    if not isinstance(value, dict):
        raise SetupError(f"of type {_name(type(value))}, and has to be a table", key)
    known = {_key(field): field for field in fields(wanted)}
    for name in value:
        if name not in known:
            raise SetupError(f"unknown; the keys are {', '.join(known)}", _below(key, name))
    hints = get_type_hints(wanted)
    read_in = {}
    for name, field in known.items():
        if name in value:
            read_in[field.name] = read(hints[field.name], value[name], _below(key, name))
        elif field.default is MISSING and field.default_factory is MISSING:
            raise SetupError(f"missing; it has to be of type {_name(hints[field.name])}", _below(key, name))
    return wanted(**read_in)


def _any_of(options: tuple[Any, ...], value: Any, key: str) -> Any:
    errors = []
    for option in options:
        try:
            return read(option, value, key)
        except SetupError as error:
            errors.append(error)
    # What was meant is more likely the option that went furthest, and never null.
    raise max(errors, key=lambda error: len(error.key))


def _key(field: Field[Any]) -> str:
    """Settings are spelt with hyphens, which Python's names cannot have."""
    return field.name.replace("_", "-")


def _below(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


_NAMES = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "table", NoneType: "null"}


def _name(wanted: Any) -> str:
    return _NAMES.get(get_origin(wanted) or wanted, getattr(wanted, "__name__", str(wanted)))
