"""The plugin against a message in memory, without Trackside: `python3 -m unittest`."""

import unittest

from plugin import Large
from trackside_plugin import Forward, Reject, Route, SetupError
from trackside_plugin.testing import Configured, configure


def large() -> Configured:
    return configure(Large, {"limit": 1000, "to": "review"}, routes=["default", "review"])


class LargeTest(unittest.TestCase):
    def test_a_large_order_takes_the_route_and_loses_its_coupon(self) -> None:
        outcome = large().handle('{ "amount": 2500.00, "coupon": "XMAS" }')
        self.assertEqual(outcome.verdict, Route("review"))
        self.assertEqual(outcome.text, '{ "amount": 2500.00 }')

    def test_a_small_order_goes_on(self) -> None:
        self.assertEqual(large().handle('{"amount":999.99}').verdict, Forward())

    def test_an_order_without_an_amount_is_rejected(self) -> None:
        outcome = large().handle('{"amount":"1000"}')
        self.assertEqual(outcome.verdict, Reject("`$.amount` is not a number"))

    def test_a_route_that_the_rule_does_not_have_is_an_error_of_the_settings(self) -> None:
        with self.assertRaises(SetupError) as refused:
            configure(Large, {"limit": 1000, "to": "reviews"}, routes=["default", "review"])
        self.assertEqual(refused.exception.key, "to")
