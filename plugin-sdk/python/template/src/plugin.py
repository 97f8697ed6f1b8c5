"""Sends large orders to a route of their own, and takes the coupon out of all of them."""

from dataclasses import dataclass

from trackside_plugin import REMOVE, Forward, Message, Reject, Route, Selector, Setup, Verdict, export


@dataclass
class Settings:
    """The stage's `with` table."""

    limit: float
    to: str


@export
class Large:
    """The plugin, with its settings."""

    def __init__(self, settings: Settings, setup: Setup) -> None:
        # A misspelt route is found now, before any message is.
        self.to = setup.check_route(settings.to, "to")
        self.limit = settings.limit
        self.selector = Selector("$.amount", "$.coupon")

    def handle(self, message: Message) -> Verdict:
        matches = message.select(self.selector)
        amount = next((found for found in matches if found.path == 0), None)
        if amount is None or amount.kind != "number":
            return Reject("`$.amount` is not a number")
        # One value for each match, in the same order; `REMOVE` takes the member out.
        message.replace(self.selector, [found if found.path == 0 else REMOVE for found in matches])
        return Route(self.to) if float(str(amount.value)) >= self.limit else Forward()
