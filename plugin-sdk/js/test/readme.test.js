import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { forward, route } from "../sdk/src/index.js";
import { configure } from "../sdk/src/testing.js";

test("the plugin of the README does what it says", async () => {
  const source = await readFile(new URL("../readme/vip.js", import.meta.url), "utf8");
  // In a project the SDK is found by its name; here it is a folder.
  const here = source.replace('"trackside-plugin"', JSON.stringify(import.meta.resolve("../sdk/src/index.js")));
  const { stage } = await import(`data:text/javascript,${encodeURIComponent(here)}`);
  const vip = configure(stage, { to: "vip" }, { routes: ["default", "vip"] });
  assert.deepEqual(vip.handle('{"customer":{"tier":"gold"}}').verdict, route("vip"));
  assert.deepEqual(vip.handle('{"customer":{"tier":"none"}}').verdict, forward());
  assert.throws(() => configure(stage, { to: "vips" }, { routes: ["vip"] }), { key: "to" });
});
