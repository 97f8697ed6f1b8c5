"""The host: what a component imports, or one message and one set-up in memory."""

import sys

on_wasi = sys.platform == "wasi"

if on_wasi:
    from . import component as host
else:
    from . import memory as host

__all__ = ["host", "on_wasi"]
