// What JSON.parse does not tell: whether an object has the same key twice, of which it keeps the last.

import { PayloadError } from "./errors.js";

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\]:,]/gs;

/** Refuses a text, which has to be well-formed JSON, with an object that has one key twice, however it is spelt. */
export function refuseTwins(text) {
  const open = [];
  let keys;
  let before = "";
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === "{" || token === "[") {
      open.push(keys);
      keys = token === "{" ? new Set() : undefined;
    } else if (token === "}" || token === "]") {
      keys = open.pop();
    } else if (keys !== undefined && token.startsWith('"') && before !== ":") {
      const key = token.includes("\\") ? JSON.parse(token) : token.slice(1, -1);
      if (keys.has(key)) throw new PayloadError("ambiguous", "an object has the same key twice");
      keys.add(key);
    }
    before = token;
  }
}
