// Runs a plugin in a test, against a message in memory and without Trackside.

import { current, decode, encode } from "./host/memory.js";
import { lines } from "./host/memory-log.js";
import { start } from "./plugin.js";

/** Configures a plugin as a rule with these routes, and a configuration directory with these files, would. */
export function configure(plugin, settings = {}, { routes = [], files = {} } = {}) {
  current.setup = { routes, files };
  try {
    const instance = plugin[start](JSON.stringify(settings));
    return { handle: (payload, message) => handle(instance, payload, message) };
  } finally {
    current.setup = undefined;
  }
}

/** Hands a message to an instance, and tells what it decided and what it made of the message. */
function handle(instance, payload = "", { headers = [], ...rest } = {}) {
  const message = { subject: "test", id: "1", origin: "jetstream", timestamp: 0, delivery: 1, ...rest };
  message.headers = headers.map(([name, value]) => [name, value]);
  message.payload = typeof payload === "string" ? encode(payload) : Uint8Array.from(payload);
  current.message = message;
  lines.length = 0;
  const decision = { verdict: undefined, failure: undefined };
  try {
    decision.verdict = instance();
  } catch (failure) {
    decision.failure = failure;
  } finally {
    current.message = undefined;
  }
  return {
    ...decision,
    headers: message.headers,
    payload: message.payload,
    log: [...lines],
    get text() {
      return decode(message.payload);
    },
    get json() {
      return JSON.parse(decode(message.payload));
    },
  };
}
