import unittest
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any, Callable, Literal

from trackside_plugin import (
    REMOVE,
    Drop,
    Fatal,
    Forward,
    Message,
    Part,
    Reject,
    Retry,
    Route,
    Selector,
    Setup,
    SetupError,
    Split,
    log,
)
from trackside_plugin.testing import Configured, configure

UNKNOWN = "test the rest by `trackside plugin test`"


def doing(act: Callable[[Message], Any]) -> Configured:
    """A plugin that does with a message what the test says."""

    class Doing:
        def __init__(self, settings: Any, setup: Setup) -> None:
            pass

        def handle(self, message: Message) -> Any:
            return act(message)

    return configure(Doing)


def replaced(payload: str, *paths: str, by: Callable[[Any], Any]) -> str:
    """The payload after the matches of these paths were replaced."""
    selector = Selector(*paths)

    def act(message: Message) -> Forward:
        message.replace(selector, [by(found) for found in message.select(selector)])
        return Forward()

    return doing(act).handle(payload).text


def selected(payload: str | bytes, *paths: str) -> Any:
    """What these paths match in the payload."""
    selector = Selector(*paths)
    matches: list[str] = []

    def act(message: Message) -> Forward:
        matches.extend(f"{found.path} {found.kind} {found.value}" for found in message.select(selector))
        return Forward()

    outcome = doing(act).handle(payload)
    return matches if outcome.verdict == Forward() else outcome.verdict


class SelectionTest(unittest.TestCase):
    def test_a_replacement_leaves_every_other_byte_as_it_was(self) -> None:
        payload = '{ "n": 1.50, "old": [1], "pin": 7,  "a": {"p\\u0069n": "x"} }'
        text = replaced(payload, "$..pin", "$.old", by=lambda found: REMOVE if found.path else "***")
        self.assertEqual(text, '{ "n": 1.50, "pin": "***",  "a": {"p\\u0069n": "***"} }')

    def test_places_are_removed_with_their_commas(self) -> None:
        def gone(payload: str, *paths: str) -> str:
            return replaced(payload, *paths, by=lambda _: REMOVE)

        self.assertEqual(gone('{"a":1,"b":2,"c":3}', "$.c"), '{"a":1,"b":2}')
        self.assertEqual(gone('{"a":1,"b":2,"c":3}', "$.b", "$.c"), '{"a":1}')
        self.assertEqual(gone("[1, 2, 3]", "$[0]", "$[-1]"), "[2]")
        self.assertEqual(gone("[1, 2, 3]", "$[*]"), "[]")

    def test_where_places_nest_the_outer_one_wins(self) -> None:
        self.assertEqual(replaced('{"a":{"b":{"b":1}}}', "$..b", by=lambda _: None), '{"a":{"b":null}}')

    def test_every_value_that_json_has_is_selected_and_put_back(self) -> None:
        payload = '{"a":[null,true,1.50,"\\u00e9",{ }]}'
        kinds = ["0 null None", "0 boolean True", "0 number 1.50", "0 text é", "0 json { }"]
        self.assertEqual(selected(payload, "$.a[*]"), kinds)
        self.assertEqual(replaced(payload, "$.a[*]", by=lambda found: found), '{"a":[null,true,1.50,"é",{ }]}')

    def test_what_python_has_is_spelt_as_json_has_it(self) -> None:
        for value, spelling in [(2, "2"), (1.5, "1.5"), (Decimal("1.50"), "1.50"), (False, "false"), ("ü", '"ü"')]:
            self.assertEqual(replaced("[0]", "$[0]", by=lambda _: value), f"[{spelling}]")
        for value in (float("nan"), [], object()):
            outcome = doing(lambda message: message.replace(Selector("$[0]"), [value])).handle("[0]")
            self.assertRegex(str(outcome.failure), r"^TypeError was raised in _lowered \(message\.py:\d+\)$")

    def test_paths_choose_names_indices_lists_and_descendants_in_document_order(self) -> None:
        payload = '{"a":{"b":[10,20]},"x y":3,"b":4}'
        matches = ["0 json [10,20]", "2 number 20", "1 number 3", "0 number 4"]
        self.assertEqual(selected(payload, "$..b", "$['x y']", "$.a.b[-1]"), matches)
        self.assertEqual(selected(payload, '$["b","x y"]'), ["0 number 3", "0 number 4"])
        self.assertEqual(selected(payload, "$.none", "$.a[0]", "$.a.b[-3]"), [])

    def test_a_path_that_the_message_in_memory_does_not_know_is_refused_with_what_to_do(self) -> None:
        for path in ["a", "$.a[?@.b]", "$a", "$.", "$.[0]", "$[0:1]"]:
            with self.assertRaisesRegex(SetupError, UNKNOWN, msg=path):
                Selector(path)

    def test_a_payload_that_is_not_json_rejects_the_message(self) -> None:
        for payload in ["", "{", '{"a":tru}', "[1,]", "1 2", '"\u0001"', "01", "{'a':1}", "[NaN]", '{"a', b'"\xff"']:
            verdict = selected(payload, "$.a")
            self.assertTrue(verdict.reason.startswith("the payload is not JSON: at byte "), payload)


class PayloadTest(unittest.TestCase):
    def test_a_key_that_occurs_twice_is_ambiguous_however_it_is_spelt(self) -> None:
        read = doing(lambda message: Drop(str(message.json())))
        for payload in ['{"a":1,"a":1}', '[{"x":{"key":"a","\\u006bey":2}}]']:
            reason = "the payload is ambiguous: an object has the same key twice"
            self.assertEqual(read.handle(payload).verdict, Reject(reason))
        self.assertEqual(read.handle('[{"a":1},{"a":2}]').verdict, Drop("[{'a': 1}, {'a': 2}]"))

    def test_broken_payloads_are_rejected_without_showing_them(self) -> None:
        read = doing(lambda message: Drop(str(message.json())))
        for payload, kind in [("{4111", "not JSON"), ("[NaN]", "not JSON"), (b"\xff", "not UTF-8"), ("[" * 99999, "limit")]:
            verdict = read.handle(payload).verdict
            self.assertIsInstance(verdict, Reject)
            self.assertIn(kind, verdict.reason)
            self.assertNotIn("4111", verdict.reason)


class HeaderTest(unittest.TestCase):
    HEADERS = [("A", "1"), ("b", "2"), ("a", "3")]

    def test_headers_are_found_without_regard_to_case_and_keep_their_order(self) -> None:
        def change(message: Message) -> Route:
            message.append_header("C", "4")
            message.set_header("B", "5")
            return Route(str(message.header("a")), str(message.header("d")))

        outcome = doing(change).handle(headers=self.HEADERS)
        self.assertEqual(outcome.headers, [("A", "1"), ("B", "5"), ("a", "3"), ("C", "4")])
        self.assertEqual(outcome.verdict, Route("1", "None"))
        removal = doing(lambda message: message.remove_header("a") or Forward())
        self.assertEqual(removal.handle(headers=self.HEADERS).headers, [("b", "2")])

    def test_a_header_that_nats_cannot_carry_or_that_is_reserved_rejects_the_message(self) -> None:
        for name, value in [("", "x"), ("a b", "x"), ("a:", "x"), ("é", "x"), ("X", "a\r\nb"), ("nats-msg-id", "x")]:
            outcome = doing(lambda message: message.set_header(name, value)).handle()
            self.assertIsInstance(outcome.verdict, Reject, name)
            self.assertEqual(outcome.headers, [])


class FailureTest(unittest.TestCase):
    def test_what_a_plugin_raises_is_retried_fatal_or_fatal_without_its_message(self) -> None:
        def raised(error: BaseException) -> Any:
            def act(_: Message) -> Any:
                raise error

            return doing(act).handle().failure

        retry = raised(Retry("later", timedelta(milliseconds=5)))
        self.assertEqual((retry.reason, retry.after), ("later", timedelta(milliseconds=5)))
        self.assertEqual(raised(Fatal("gone")).reason, "gone")
        for error in (ValueError("4111 1111"), SystemExit("4111 1111")):
            reason = raised(error).reason
            self.assertRegex(reason, rf"^{type(error).__name__} was raised in act \(test_sdk\.py:\d+\)$")

    def test_a_plugin_that_decides_nothing_does_not_let_the_message_through(self) -> None:
        failure = doing(lambda _: None).handle().failure
        self.assertEqual(str(failure), "`handle` returned NoneType, which is no verdict")


@dataclass
class Inner:
    path: str


@dataclass
class Settings:
    to: str
    limit: float = 1
    log_level: Literal["a", "b"] | None = None
    fields: list[Inner] = field(default_factory=list)
    names: dict[str, int] = field(default_factory=dict)


class SetupTest(unittest.TestCase):
    def configured(self, settings: Any, **host: Any) -> Any:
        class Stage:
            def __init__(self, settings: Settings, setup: Setup) -> None:
                self.settings = settings
                setup.check_route(settings.to, "to")
                self.file = setup.read_file("a.txt")

            def handle(self, message: Message) -> Forward:
                return Forward()

        return configure(Stage, settings, **host).stage

    def refused(self, settings: Any, message: str, **host: Any) -> None:
        with self.assertRaises(SetupError) as refused:
            self.configured(settings, **host)
        self.assertEqual(str(refused.exception), message)

    def test_settings_become_what_the_plugin_declares(self) -> None:
        settings = {"to": "x", "limit": 2, "log-level": "b", "fields": [{"path": "$"}], "names": {"a": 1}}
        stage = self.configured(settings, routes=["x"], files={"a.txt": "abc"})
        self.assertEqual(stage.settings, Settings("x", 2.0, "b", [Inner("$")], {"a": 1}))
        self.assertEqual(stage.file, b"abc")

    def test_a_misfit_of_the_settings_names_its_key_and_does_not_show_the_value(self) -> None:
        self.refused({}, "to: missing; it has to be of type string")
        self.refused({"to": 7}, "to: of type integer, and has to be of type string")
        self.refused({"to": "x", "limit": "hunter2"}, "limit: of type string, and has to be of type number")
        self.refused({"to": "x", "limit": True}, "limit: of type boolean, and has to be of type number")
        self.refused({"to": "x", "lmit": 1}, "lmit: unknown; the keys are to, limit, log-level, fields, names")
        self.refused({"to": "x", "fields": [{"path": "$"}, {}]}, "fields[1].path: missing; it has to be of type string")
        self.refused({"to": "x", "names": {"a": "b"}}, "names.a: of type string, and has to be of type integer")
        self.refused({"to": "x", "log-level": "c"}, "log-level: has to be one of 'a', 'b'")
        self.refused("x", "of type string, and has to be a table")

    def test_an_error_of_the_set_up_names_the_key_it_was_given(self) -> None:
        self.refused({"to": "x"}, "to: the rule has no route `x`; it declares none; add it under [rule.routes]")
        self.refused({"to": "x"}, "to: the rule has no route `x`; it declares a, b", routes=["a", "b"])
        self.refused({"to": "x"}, "there is no file `a.txt` in the configuration directory", routes=["x"])
        self.assertEqual(str(SetupError("wrong").at("path").at("[0]").at("fields")), "fields[0].path: wrong")


class MessageTest(unittest.TestCase):
    def test_a_message_has_what_the_test_gave_it_and_log_lines_are_kept_for_each(self) -> None:
        def show(message: Message) -> Split:
            shown = [message.subject, message.id, message.origin, message.timestamp, message.delivery, message.payload_len]
            log.info(" ".join(map(str, shown)))
            message.set_payload("é")
            return Split([Part(message.payload(), route="r"), Part("b", [("X", "1")])])

        shower = doing(show)
        outcome = shower.handle(b"abc", subject="a.b", id="s:1", origin="core", timestamp=9, delivery=3)
        self.assertEqual(outcome.log, [("info", "a.b s:1 core 9 3 3")])
        self.assertEqual(outcome.text, "é")
        self.assertEqual(outcome.verdict, Split([Part(b"\xc3\xa9", route="r"), Part("b", [("X", "1")])]))
        self.assertEqual(shower.handle().log, [("info", "test 1 jetstream 0 1 0")])
