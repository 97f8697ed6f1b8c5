"""Why something could not be set up, read, changed or decided."""

from __future__ import annotations

from datetime import timedelta


class SetupError(Exception):
    """Why a stage cannot be configured. The host points its caret at the key."""

    def __init__(self, reason: str, key: str = "") -> None:
        super().__init__(f"{key}: {reason}" if key else reason)
        self.reason = reason
        self.key = key

    def at(self, key: str) -> SetupError:
        """The same error below this key: `at("path")` and then `at("fields[0]")` give `fields[0].path`."""
        joint = "" if not self.key or self.key.startswith("[") else "."
        return SetupError(self.reason, f"{key}{joint}{self.key}")


class PayloadError(Exception):
    """Why a payload could not be read or edited. Not caught, it rejects the message.

    Its kind is `not-json`, `not-text`, `ambiguous` or `limit`.
    """

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(f"the payload {_SENTENCES[kind]}: {reason}")
        self.kind = kind
        self.reason = reason


_SENTENCES = {
    "not-json": "is not JSON",
    "not-text": "is not UTF-8",
    "ambiguous": "is ambiguous",
    "limit": "is beyond a limit",
}


class HeaderError(Exception):
    """Why a header was refused. Not caught, it rejects the message."""


class Retry(Exception):
    """Raised by a plugin for which the message may succeed later, after this time or as the rule says."""

    def __init__(self, reason: str, after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = after


class Fatal(Exception):
    """Raised by a plugin that cannot go on: its instance is thrown away."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
