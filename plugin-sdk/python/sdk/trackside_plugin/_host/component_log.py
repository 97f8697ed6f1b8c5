"""The host's log, apart from the rest: a component whose plugin does not use it does not import it."""

from wit_world.imports import log


def write(level: str, line: str) -> None:
    log.log(log.Level[level.upper()], line)
