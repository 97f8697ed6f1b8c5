"""The host: what a component imports, or one message and one set-up in memory."""

import sys

# Spelt out, so that type checkers see the branch that tests take.
if sys.platform == "wasi":
    from . import component as host
else:
    from . import memory as host

__all__ = ["host"]
