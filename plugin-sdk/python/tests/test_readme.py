import unittest

from trackside_plugin import Forward, Route, SetupError
from trackside_plugin.testing import configure

from .vip import Vip


class ReadmeTest(unittest.TestCase):
    def test_the_plugin_of_the_readme_does_what_it_says(self) -> None:
        vip = configure(Vip, {"to": "vip"}, routes=["default", "vip"])
        self.assertEqual(vip.handle('{"customer":{"tier":"gold"}}').verdict, Route("vip"))
        self.assertEqual(vip.handle('{"customer":{"tier":"none"}}').verdict, Forward())
        with self.assertRaises(SetupError):
            configure(Vip, {"to": "vips"}, routes=["vip"])
