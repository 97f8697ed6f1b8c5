"""The plugin that README.md shows."""

from dataclasses import dataclass
from trackside_plugin import Forward, Message, Route, Selector, Setup, Verdict, export

@dataclass
class Settings:
    to: str

@export
class Vip:
    def __init__(self, settings: Settings, setup: Setup) -> None:
        self.to = setup.check_route(settings.to, "to")
        self.tier = Selector("$.customer.tier")

    def handle(self, message: Message) -> Verdict:
        vip = any(found.value == "gold" for found in message.select(self.tier))
        return Route(self.to) if vip else Forward()
