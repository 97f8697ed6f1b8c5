// What a plugin decides, in the shape in which the contract has it.

import { encode } from "#host";

/** Hands the message to the next stage; after the last one it takes the route `default`. */
export const forward = () => ({ tag: "forward" });

/** Publishes it to these of the rule's routes, and skips the stages that are left. */
export const route = (...names) => ({ tag: "route", val: names });

/** Puts these parts in its place; none at all drops it. */
export const split = (parts) => ({ tag: "split", val: parts.map(part) });

/** Acknowledges it and goes no further: why. */
export const drop = (reason) => ({ tag: "drop", val: reason });

/** Dead-letters it: it can never succeed, and the reason shows nothing of the payload. */
export const reject = (reason) => ({ tag: "reject", val: reason });

function part({ payload, headers = [], route = null }) {
  const list = headers.map(([name, value]) => ({ name, value }));
  return { payload: typeof payload === "string" ? encode(payload) : payload, headers: list, route };
}
