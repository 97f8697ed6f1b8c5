"""The host in tests: one message and one set-up in memory."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from ..errors import HeaderError, SetupError
from .json import compile_paths as compile_paths
from .json import replace_in, select_from


@dataclass
class Message:
    """A message to hand to a plugin."""

    payload: bytes = b""
    subject: str = "test"
    id: str = "1"
    origin: Literal["jetstream", "core", "sidecar", "trial"] = "jetstream"
    timestamp: int = 0
    delivery: int = 1
    headers: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Setup:
    """What the rule and the configuration directory offer."""

    routes: list[str]
    files: dict[str, bytes]


current_message: Message | None = None
current_setup: Setup | None = None


def _message() -> Message:
    if current_message is None:
        raise RuntimeError("there is no message outside of `handle`")
    return current_message


def _setup() -> Setup:
    if current_setup is None:
        raise RuntimeError("the set-up can be asked in `__init__`, and not later")
    return current_setup


def subject() -> str:
    return _message().subject


def id() -> str:
    return _message().id


def origin() -> Literal["jetstream", "core", "sidecar", "trial"]:
    return _message().origin


def timestamp() -> int:
    return _message().timestamp


def delivery() -> int:
    return _message().delivery


def get_header(name: str) -> str | None:
    return next((value for other, value in headers() if _same(other, name)), None)


def headers() -> list[tuple[str, str]]:
    return list(_message().headers)


def set_header(name: str, value: str) -> None:
    _check_header(name, value)
    # The place of the first one is kept, as a replacement in an ordered list would.
    place = next((index for index, (other, _) in enumerate(headers()) if _same(other, name)), len(headers()))
    remove_header(name)
    _message().headers.insert(place, (name, value))


def append_header(name: str, value: str) -> None:
    _check_header(name, value)
    _message().headers.append((name, value))


def remove_header(name: str) -> None:
    _message().headers = [header for header in headers() if not _same(header[0], name)]


def payload() -> bytes:
    return _message().payload


def payload_len() -> int:
    return len(_message().payload)


def set_payload(payload: bytes) -> None:
    _message().payload = payload


def select(paths: Any) -> list[tuple[int, Any, Any]]:
    return [(path, kind, value) for path, _, kind, value in select_from(payload(), paths)]


def replace(paths: Any, values: list[tuple[str, Any] | None]) -> None:
    _message().payload = replace_in(payload(), paths, values)


def routes() -> list[str]:
    return list(_setup().routes)


def read_file(path: str) -> bytes:
    content = _setup().files.get(path)
    if content is None:
        raise SetupError(f"there is no file `{path}` in the configuration directory")
    return content


def _same(one: str, other: str) -> bool:
    return one.lower() == other.lower()


def _check_header(name: str, value: str) -> None:
    if not re.fullmatch(r"[\x21-\x39\x3b-\x7e]+", name):
        raise HeaderError(f"{name!r} cannot be the name of a header")
    if name.lower().startswith(("nats-", "trackside-")):
        raise HeaderError(f"header `{name}` has a reserved prefix")
    if re.search(r"[\x00-\x1f\x7f-\x9f]", value):
        raise HeaderError(f"the value of header `{name}` has a control character")
