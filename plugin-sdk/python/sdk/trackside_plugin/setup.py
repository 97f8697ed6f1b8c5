"""What a plugin may ask for while it is configured."""

from ._host import host
from .errors import SetupError


class Setup:
    """The host, as a plugin's `__init__` sees it. It does not work any more once that has returned."""

    @property
    def routes(self) -> list[str]:
        """The names of the routes that the rule declares."""
        return host.routes()

    def check_route(self, name: str, key: str = "") -> str:
        """Returns the name, or raises a `SetupError` at this key of the settings if there is no such route."""
        declared = self.routes
        if name in declared:
            return name
        known = f"it declares {', '.join(declared)}" if declared else "it declares none; add it under [rule.routes]"
        raise SetupError(f"the rule has no route `{name}`; {known}", key)

    def read_file(self, path: str) -> bytes:
        """Reads a file of the configuration directory, by its path from there.

        Only folders that the plugin's `files` setting allows can be read, `schemas/` unless it says otherwise.
        """
        return host.read_file(path)
