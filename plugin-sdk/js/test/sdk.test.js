import assert from "node:assert/strict";
import { test } from "node:test";
import { Fatal, Retry, Selector, SetupError, drop, forward, log, plugin, reject, remove, route, split } from "../sdk/src/index.js";
import { random, seedBy } from "../sdk/src/host/random.js";
import { configure } from "../sdk/src/testing.js";

/** A plugin that does with a message what the test says. */
const doing = (act) => configure(plugin(() => act));

/** The payload after the matches of these paths were replaced. */
const replaced = (payload, paths, change) =>
  configure(
    plugin(() => {
      const selector = new Selector(paths);
      return (message) => {
        message.replace(selector, message.select(selector).map(change));
        return forward();
      };
    }),
  ).handle(payload);

/** What these paths match in the payload. */
function selected(payload, ...paths) {
  let found;
  const selector = new Selector(paths);
  const { verdict } = doing((message) => {
    found = message.select(selector).map(({ path, kind, value }) => `${path} ${kind} ${value}`);
    return forward();
  }).handle(payload);
  return verdict.tag === "forward" ? found : verdict.val;
}

test("a replacement leaves every other byte as it was", () => {
  const payload = '{ "n": 1.50, "old": [1], "pin": 7,  "a": {"p\\u0069n": "x"} }';
  const { text } = replaced(payload, ["$..pin", "$.old"], ({ path }) => (path === 0 ? "***" : remove));
  assert.equal(text, '{ "n": 1.50, "pin": "***",  "a": {"p\\u0069n": "***"} }');
});

test("places are removed with their commas", () => {
  const gone = (payload, ...paths) => replaced(payload, paths, () => remove).text;
  assert.equal(gone('{"a":1,"b":2,"c":3}', "$.c"), '{"a":1,"b":2}');
  assert.equal(gone('{"a":1,"b":2,"c":3}', "$.b", "$.c"), '{"a":1}');
  assert.equal(gone("[1, 2, 3]", "$[0]", "$[-1]"), "[2]");
  assert.equal(gone("[1, 2, 3]", "$[*]"), "[]");
});

test("where places nest, the outer one wins", () => {
  assert.equal(replaced('{"a":{"b":{"b":1}}}', ["$..b"], () => null).text, '{"a":{"b":null}}');
});

test("every value that JSON has is selected and put back", () => {
  const payload = '{"a":[null,true,1.50,"\\u00e9",{ }]}';
  const kinds = ["0 null null", "0 boolean true", "0 number 1.50", "0 text é", "0 json { }"];
  assert.deepEqual(selected(payload, "$.a[*]"), kinds);
  assert.equal(replaced(payload, ["$.a[*]"], (found) => found).text, '{"a":[null,true,1.50,"é",{ }]}');
});

test("paths choose names, indices, lists and descendants, in document order", () => {
  const payload = '{"a":{"b":[10,20]},"x y":3,"b":4}';
  assert.deepEqual(selected(payload, "$..b", "$['x y']", "$.a.b[-1]"), ["0 json [10,20]", "2 number 20", "1 number 3", "0 number 4"]);
  assert.deepEqual(selected(payload, '$["b","x y"]'), ["0 number 3", "0 number 4"]);
  assert.deepEqual(selected(payload, "$.none", "$.a[0]"), []);
});

test("a path that the message in memory does not know is refused with what to do", () => {
  for (const path of ["a", "$.a[?@.b]", "$a", "$.", "$.[0]", "$[0:1]"]) {
    assert.throws(() => new Selector([path]), { name: "SetupError", message: /test the rest by `trackside plugin test`/ }, path);
  }
});

test("a payload that is not JSON rejects the message", () => {
  for (const payload of ["", "{", '{"a":tru}', "[1,]", "1 2", '"\u0001"', "01", "{'a':1}", Uint8Array.of(0x22, 0xff, 0x22)]) {
    assert.match(String(selected(payload, "$.a")), /^the payload is not JSON: /, String(payload));
  }
});

test("a key that occurs twice is ambiguous however it is spelt", () => {
  const read = doing((message) => drop(JSON.stringify(message.json())));
  for (const payload of ['{"a":1,"a":1}', '[{"x":{"key":"a","\\u006bey":2}}]', '{"a:":[1],"a:":2}']) {
    assert.deepEqual(read.handle(payload).verdict, reject("the payload is ambiguous: an object has the same key twice"));
  }
  assert.deepEqual(read.handle('[{"a":"a"},{"a":"\\"a\\":"},"a","a"]').verdict, drop('[{"a":"a"},{"a":"\\"a\\":"},"a","a"]'));
  assert.match(read.handle("{").verdict.val, /is not JSON/);
  assert.match(read.handle(Uint8Array.of(0xff)).verdict.val, /is not UTF-8/);
});

test("headers are found without regard to case and keep their order", () => {
  const message = { headers: [["A", "1"], ["b", "2"], ["a", "3"]] };
  const change = doing((message) => {
    message.appendHeader("C", "4");
    message.setHeader("B", "5");
    return route(message.header("a"), String(message.header("d")));
  }).handle("", message);
  assert.deepEqual(change.headers, [["A", "1"], ["B", "5"], ["a", "3"], ["C", "4"]]);
  assert.deepEqual(change.verdict, route("1", "undefined"));
  const removal = doing((message) => {
    message.removeHeader("a");
    return forward();
  });
  assert.deepEqual(removal.handle("", message).headers, [["b", "2"]]);
});

test("a header that NATS cannot carry or that is reserved rejects the message", () => {
  for (const [name, value] of [["", "x"], ["a b", "x"], ["a:", "x"], ["é", "x"], ["X", "a\r\nb"], ["nats-msg-id", "x"], ["Trackside-Rule", "x"]]) {
    const { verdict, headers } = doing((message) => {
      message.setHeader(name, value);
      return forward();
    }).handle();
    assert.equal(verdict.tag, "reject", name);
    assert.deepEqual(headers, []);
  }
});

test("what a plugin throws is retried, fatal, or fatal without its message", () => {
  const thrown = (error) => {
    const { failure } = doing(() => {
      throw error;
    }).handle();
    return failure;
  };
  assert.deepEqual(thrown(new Retry("later", { after: 5 })), { tag: "retry", val: { reason: "later", after: 5 } });
  assert.deepEqual(thrown(new Retry("later")), { tag: "retry", val: { reason: "later", after: null } });
  assert.deepEqual(thrown(new Fatal("gone")), { tag: "fatal", val: "gone" });
  const { val } = thrown(new TypeError("4111 1111"));
  assert.match(val, /^TypeError was thrown at .*sdk\.test\.js:\d+/);
  assert.doesNotMatch(val, /4111/);
});

test("a plugin that decides nothing does not let the message through", () => {
  assert.equal(doing(() => undefined).handle().failure.tag, "fatal");
});

test("an error of the set-up names the key and keeps instances apart", () => {
  const stage = plugin((settings, setup) => {
    try {
      setup.checkRoute(settings.to);
    } catch (error) {
      throw error.at("[0]").at("to");
    }
    const file = setup.readFile("a.txt");
    return () => drop(`${settings.to} ${file.length}`);
  });
  const refused = (settings, host, message) => assert.throws(() => configure(stage, settings, host), { name: "SetupError", message });
  refused({ to: "x" }, {}, "to[0]: the rule has no route `x`; it declares none; add it under [rule.routes]");
  refused({ to: "x" }, { routes: ["a", "b"] }, "to[0]: the rule has no route `x`; it declares a, b");
  refused({ to: "x" }, { routes: ["x"] }, "there is no file `a.txt` in the configuration directory");
  const [one, other] = ["x", "y"].map((to) => configure(stage, { to }, { routes: ["x", "y"], files: { "a.txt": "abc" } }));
  assert.deepEqual([one.handle().verdict, other.handle().verdict], [drop("x 3"), drop("y 3")]);
  assert.throws(() => configure(plugin(() => {})), SetupError);
});

test("settings have the keys that a plugin knows, each of its type", () => {
  const types = { limit: "number", to: "string", list: "array?" };
  const stage = plugin((settings, setup) => {
    setup.check(settings, types);
    return () => forward();
  });
  const refused = (settings, message) => assert.throws(() => configure(stage, settings), { name: "SetupError", message });
  refused({ limit: 1, to: "x", lmit: 2 }, "lmit: unknown; the keys are limit, to, list");
  refused({ limit: "hunter2", to: "x" }, "limit: of type string, and has to be of type number");
  refused({ limit: 1 }, "to: missing; it has to be of type string");
  refused({ limit: 1, to: "x", list: null }, "list: of type null, and has to be of type array");
  refused([], "they are of type array, and have to be a table");
  assert.deepEqual(configure(stage, { limit: 1, to: "x" }).handle().verdict, forward());
});

test("a message has what the test gave it, and log lines are kept for each", () => {
  const show = doing((message) => {
    const { subject, id, origin, timestamp, delivery, payloadLength } = message;
    log.info([subject, id, origin, timestamp, delivery, payloadLength].join(" "));
    message.setPayload("é");
    return split([{ payload: message.payload(), route: "r" }, { payload: "b", headers: [["X", "1"]] }]);
  });
  const outcome = show.handle("abc", { subject: "a.b", id: "s:1", origin: "core", timestamp: 9, delivery: 3 });
  assert.deepEqual(outcome.log, [{ level: "info", text: "a.b s:1 core 9 3 3" }]);
  assert.equal(outcome.text, "é");
  assert.deepEqual(outcome.verdict, split([{ payload: Uint8Array.of(0xc3, 0xa9), route: "r" }, { payload: "b", headers: [["X", "1"]] }]));
  assert.deepEqual(show.handle().log, [{ level: "info", text: "test 1 jetstream 0 1 0" }]);
});

test("random numbers are those of the message, whatever was drawn before", () => {
  const drawn = (id, count) => {
    seedBy(() => id);
    return Array.from({ length: count }, random);
  };
  const first = drawn("s:1", 1000);
  assert.notDeepEqual(drawn("s:2", 3), first.slice(0, 3));
  assert.deepEqual(drawn("s:1", 3), first.slice(0, 3));
  assert.ok(first.every((number) => number >= 0 && number < 1));
  assert.ok(Math.abs(first.reduce((sum, number) => sum + number) / first.length - 0.5) < 0.05);
});
