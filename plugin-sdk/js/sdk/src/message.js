// The message being handled.

import * as host from "#host";
import { PayloadError } from "./errors.js";
import { refuseTwins } from "./json.js";

/** In the place of a value given to `Message.replace`: takes the place out. */
export const remove = Symbol("remove");

/** A set of JSONPath (RFC 9535) expressions, compiled once, while the plugin is configured. */
export class Selector {
  constructor(paths) {
    this.compiled = host.compile(paths);
  }
}

/** The message being handled. It stays in the host: every member asks for, or changes, just what it names. */
export class Message {
  get subject() {
    return host.subject();
  }

  get id() {
    return host.id();
  }

  get origin() {
    return host.origin();
  }

  get timestamp() {
    return host.timestamp();
  }

  get delivery() {
    return host.delivery();
  }

  get payloadLength() {
    return host.payloadLength();
  }

  header(name) {
    return host.getHeader(name) ?? undefined;
  }

  headers() {
    return host.headers().map(({ name, value }) => [name, value]);
  }

  setHeader(name, value) {
    host.setHeader(name, value);
  }

  appendHeader(name, value) {
    host.appendHeader(name, value);
  }

  removeHeader(name) {
    host.removeHeader(name);
  }

  payload() {
    return host.payload();
  }

  text() {
    try {
      return host.decode(host.payload());
    } catch {
      throw new PayloadError("not-text", "it has bytes that are no character");
    }
  }

  json() {
    const text = this.text();
    let value;
    try {
      value = JSON.parse(text);
    } catch {
      // The engine's own text quotes what it could not read.
      throw new PayloadError("not-json", "it does not parse");
    }
    refuseTwins(text);
    return value;
  }

  setPayload(payload) {
    host.setPayload(typeof payload === "string" ? host.encode(payload) : payload);
  }

  select(selector) {
    return host.select(selector.compiled).map(({ path, value }) => ({ path, kind: value.tag, value: value.val ?? null }));
  }

  replace(selector, values) {
    host.replace(selector.compiled, values.map(lower));
  }
}

/** A value as the contract has it; null removes the place. */
function lower(value) {
  switch (typeof value) {
    case "string":
      return { tag: "text", val: value };
    case "boolean":
      return { tag: "boolean", val: value };
    case "number":
      // JSON has no spelling for the others.
      if (Number.isFinite(value)) return { tag: "number", val: String(value) };
      break;
    case "symbol":
      if (value === remove) return null;
      break;
    case "object":
      if (value === null || value.kind === "null") return { tag: "null" };
      if (typeof value.kind === "string") return { tag: value.kind, val: value.value };
  }
  throw new TypeError("a replacement is a string, boolean, finite number, null, `remove`, or an object with `kind` and `value`");
}
