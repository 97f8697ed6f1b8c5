"""The log in tests: lines are kept for the test to look at."""

lines: list[tuple[str, str]] = []


def write(level: str, line: str) -> None:
    lines.append((level, line))
