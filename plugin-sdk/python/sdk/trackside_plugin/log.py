"""The host's log. A plugin that imports this module needs `grants = ["log"]` in its configuration."""

import sys

if sys.platform == "wasi":
    from ._host.component_log import write
else:
    from ._host.memory_log import write


def log(level: str, line: str) -> None:
    """Logs at the level of this name: `trace`, `debug`, `info`, `warn` or `error`."""
    write(level, line)


def trace(line: str) -> None:
    """Logs every step."""
    write("trace", line)


def debug(line: str) -> None:
    """Logs for whoever is looking for a fault."""
    write("debug", line)


def info(line: str) -> None:
    """Logs what an operator wants to know."""
    write("info", line)


def warn(line: str) -> None:
    """Logs that something is odd, and was dealt with."""
    write("warn", line)


def error(line: str) -> None:
    """Logs that something failed."""
    write("error", line)
