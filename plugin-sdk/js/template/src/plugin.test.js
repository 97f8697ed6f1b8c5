// The plugin against a message in memory, without Trackside: `npm test`.

import assert from "node:assert/strict";
import { test } from "node:test";
import { forward, reject, route } from "trackside-plugin";
import { configure } from "trackside-plugin/testing";
import { stage } from "./plugin.js";

const large = () => configure(stage, { limit: 1000, to: "review" }, { routes: ["default", "review"] });

test("a large order takes the route and loses its coupon", () => {
  const outcome = large().handle('{ "amount": 2500.00, "coupon": "XMAS" }');
  assert.deepEqual(outcome.verdict, route("review"));
  assert.equal(outcome.text, '{ "amount": 2500.00 }');
});

test("a small order goes on", () => {
  assert.deepEqual(large().handle('{"amount":999.99}').verdict, forward());
});

test("an order without an amount is rejected", () => {
  assert.deepEqual(large().handle('{"amount":"1000"}').verdict, reject("`$.amount` is not a number"));
});

test("a route that the rule does not have is an error of the settings", () => {
  assert.throws(() => configure(stage, { limit: 1000, to: "reviews" }, { routes: ["review"] }), { key: "to" });
});
