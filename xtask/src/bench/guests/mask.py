"""Hides what `mask` hides for the harness: an e-mail address, and all but the end of a telephone and a card number."""

from trackside_plugin import Forward, Message, Selector, Setup, Verdict, export

KEPT = [0, 2, 4]


@export
class Mask:
    def __init__(self, _settings: dict[str, object], _setup: Setup) -> None:
        self.selector = Selector("$.customer.email", "$.customer.phone", "$.payment.card")

    def handle(self, message: Message) -> Verdict:
        message.replace(self.selector, [hidden(found.value, KEPT[found.path]) for found in message.select(self.selector)])
        return Forward()


def hidden(text: str, kept: int) -> str:
    return "*" * (len(text) - kept) + text[-kept:] if kept else "***"
