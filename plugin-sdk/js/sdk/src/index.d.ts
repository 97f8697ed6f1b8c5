/** A plugin: the interface `stage` of the contract, to be exported under the name `stage`. */
export interface Stage {
  configure(config: string): void;
  handle(): Verdict;
}

/**
 * Makes a plugin of a function that takes the stage's settings and returns one that decides about a message.
 *
 * The outer function runs once for each instance: compile selectors and check the settings there, so that a mistake in
 * them is found before any message is. What it throws is shown to the rule's author.
 *
 * The inner one runs once for each message. A `PayloadError` or `HeaderError` that it does not catch rejects the
 * message; `Retry` and `Fatal` are what they say; anything else that it throws counts as `Fatal`.
 */
export function plugin<Settings = any>(configure: (settings: Settings, setup: Setup) => (message: Message) => Verdict): Stage;

/** What a plugin may ask for while it is configured. */
export interface Setup {
  /** The names of the routes that the rule declares. */
  readonly routes: string[];
  /** Returns the name, or throws a `SetupError` at this key of the settings if the rule declares no such route. */
  checkRoute(name: string, key?: string): string;
  /**
   * The bytes of a file of the configuration directory, by its path from there. Only folders that the plugin's `files`
   * setting allows can be read, `schemas/` unless it says otherwise.
   */
  readFile(path: string): Uint8Array;
  /**
   * Returns the settings, if they have these keys and no others, each of its type; throws a `SetupError` otherwise. The
   * key of a type that ends in `?` may be missing.
   */
  check<Settings>(settings: Settings, types: { [key in keyof Settings]-?: SettingType }): Settings;
}

/** The type of a setting, as `typeof` has it. */
export type SettingType = Kind | `${Kind}?`;
type Kind = "string" | "number" | "boolean" | "object" | "array";

/** The message being handled. It stays in the host: every member asks for, or changes, just what it names. */
export interface Message {
  /** The subject it was published to, for example `orders.eu.created`. */
  readonly subject: string;
  /** Its identity, stable across redeliveries and replays. */
  readonly id: string;
  /** Which kind of source it came from. */
  readonly origin: Origin;
  /** Its own time, in milliseconds since the Unix epoch. */
  readonly timestamp: number;
  /** 1 on the first delivery, one more on each that follows. */
  readonly delivery: number;
  /** The payload's length in bytes, without a copy. */
  readonly payloadLength: number;

  /** The first value of this header, without regard to the name's case. */
  header(name: string): string | undefined;
  /** All headers; the values of one name are in wire order. */
  headers(): Header[];
  /** Replaces every header of this name. Throws a `HeaderError` for what NATS cannot carry and for reserved names. */
  setHeader(name: string, value: string): void;
  /** Adds a header and keeps those of the same name. Throws as `setHeader` does. */
  appendHeader(name: string, value: string): void;
  /** Removes every header of this name, without regard to case; none is fine. */
  removeHeader(name: string): void;

  /** The payload. Copies it into the sandbox: prefer `select`. */
  payload(): Uint8Array;
  /** The payload as text. Throws a `PayloadError` if it is not UTF-8. */
  text(): string;
  /**
   * The whole payload as JSON. Throws a `PayloadError` if it is none, or if an object in it has the same key twice. As
   * everywhere in JavaScript, numbers are rounded to 64-bit floats; `select` gives them as they are spelt.
   */
  json(): any;
  /** Replaces the whole payload. */
  setPayload(payload: Uint8Array | string): void;

  /** Every place that the selector matches, in document order, duplicates of a key included. */
  select(selector: Selector): Match[];
  /**
   * Replaces the places that the selector matches now: one value each, in the order of `select`. Where places nest,
   * the outer one wins. Bytes outside stay as they are.
   */
  replace(selector: Selector, values: Replacement[]): void;
}

export type Origin = "jetstream" | "core" | "sidecar" | "trial";

/** A name and a value. */
export type Header = [name: string, value: string];

/** A JSON value: numbers as they are spelt, objects and arrays as JSON text. */
export type Value =
  | { kind: "null"; value: null }
  | { kind: "boolean"; value: boolean }
  | { kind: "number" | "text" | "json"; value: string };

/** One place that a selector matched: what is there, and the index of the path that matched. */
export type Match = Value & { path: number };

/** What takes the place of a match. A string becomes a JSON string, `null` JSON's null; `remove` takes the place out. */
export type Replacement = string | number | boolean | null | Value | typeof remove;

/** In the place of a value given to `Message.replace`: takes the place out. */
export const remove: unique symbol;

/** A set of JSONPath (RFC 9535) expressions, compiled once, while the plugin is configured. */
export class Selector {
  /** Compiles at most 256 expressions of at most 4 KiB each. Throws a `SetupError` that names the wrong one. */
  constructor(paths: string[]);
  private readonly compiled: unknown;
}

/** What becomes of a message. Made by `forward`, `route`, `split`, `drop` and `reject`. */
export type Verdict =
  | { tag: "forward" }
  | { tag: "route"; val: string[] }
  | { tag: "split"; val: { payload: Uint8Array; headers: { name: string; value: string }[]; route: string | null }[] }
  | { tag: "drop"; val: string }
  | { tag: "reject"; val: string };

/** One part of a message that is split. */
export interface Part {
  payload: Uint8Array | string;
  /** In place of the message's. `traceparent` and `tracestate` are carried over unless set here. */
  headers?: Header[];
  /** A route of the rule; without one the part goes to the next stage. */
  route?: string;
}

/** Hands the message to the next stage; after the last one it takes the route `default`. */
export function forward(): Verdict;
/** Publishes it to these of the rule's routes, and skips the stages that are left. */
export function route(...names: string[]): Verdict;
/** Puts these parts in its place; none at all drops it. */
export function split(parts: Part[]): Verdict;
/** Acknowledges it and goes no further: why. */
export function drop(reason: string): Verdict;
/** Dead-letters it: it can never succeed. The reason is logged and kept, so it must show nothing of the payload. */
export function reject(reason: string): Verdict;

/** Why a stage cannot be configured. The host points its caret at the key. */
export class SetupError extends Error {
  constructor(reason: string);
  /** The path to the key, empty when the error is about the settings as a whole. */
  readonly key: string;
  /** What is wrong, without the key. */
  readonly reason: string;
  /** The same error, found at or below this key: `at("path")` and then `at("fields[0]")` give `fields[0].path`. */
  at(key: string): this;
}

/** Why a payload could not be read or edited. */
export class PayloadError extends Error {
  private constructor();
  readonly kind: "not-json" | "not-text" | "ambiguous" | "limit";
  /** The host's text. */
  readonly reason: string;
}

/** Why a header was refused. */
export class HeaderError extends Error {
  private constructor();
}

/** Thrown by a plugin for which the message may succeed later, after so many milliseconds or as the rule says. */
export class Retry extends Error {
  constructor(reason: string, options?: { after?: number });
  readonly after: number | undefined;
}

/** Thrown by a plugin that cannot go on: its instance is thrown away. */
export class Fatal extends Error {}

/** The host's log. A plugin that uses it needs `grants = ["log"]` in its configuration. */
export namespace log {
  function trace(line: string): void;
  function debug(line: string): void;
  function info(line: string): void;
  function warn(line: string): void;
  function error(line: string): void;
}

/** Bytes and text. There is no TextEncoder and TextDecoder in a component. */
export namespace utf8 {
  function encode(text: string): Uint8Array;
  /** Throws if the bytes are not UTF-8. */
  function decode(bytes: Uint8Array): string;
}
