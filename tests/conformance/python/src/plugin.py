"""Does what its settings say: see ../README.md."""

from dataclasses import dataclass, field

from trackside_plugin import Message, Selector, Setup, SetupError, Verdict, export

from run import Run


@dataclass
class Settings:
    refuse: str | None = None
    paths: list[list[str]] = field(default_factory=list)
    check_routes: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    script: list[list[str]] = field(default_factory=list)


@export
class Conformance:
    def __init__(self, settings: Settings, setup: Setup) -> None:
        if settings.refuse is not None:
            raise SetupError(settings.refuse)
        self.selectors = [Selector(*paths) for paths in settings.paths]
        self.routes = setup.routes
        for name in settings.check_routes:
            if name not in self.routes:
                raise SetupError(f"no route {name}")
        self.files = [setup.read_file(path) for path in settings.files]
        self.script = settings.script
        self.count = 0

    def handle(self, message: Message) -> Verdict:
        self.count += 1
        return Run(self, message).verdict()
