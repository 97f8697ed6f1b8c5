"""Write Trackside plugins in Python: see README.md of the SDK."""

from .errors import Fatal, HeaderError, PayloadError, Retry, SetupError
from .message import REMOVE, Match, Message, Replacement, Selector, Value
from .plugin import export
from .setup import Setup
from .verdict import Drop, Forward, Part, Reject, Route, Split, Verdict

__all__ = [
    "REMOVE",
    "Drop",
    "Fatal",
    "Forward",
    "HeaderError",
    "Match",
    "Message",
    "Part",
    "PayloadError",
    "Reject",
    "Replacement",
    "Retry",
    "Route",
    "Selector",
    "Setup",
    "SetupError",
    "Split",
    "Value",
    "Verdict",
    "export",
]
