"""The host's log, apart from the rest: a component whose plugin does not use it does not import it."""

# mypy: ignore-errors
# The modules of the bindings are made by componentize-py, and are there in a component only.

from wit_world.imports import log


def write(level: str, line: str) -> None:
    log.log(log.Level[level.upper()], line)
