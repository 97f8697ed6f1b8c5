"""The tests of the SDK: `python3 -m unittest` in the folder above."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "sdk"))
