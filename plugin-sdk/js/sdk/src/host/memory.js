// The host in tests: one message and one set-up in memory.

import { HeaderError, SetupError } from "../errors.js";
import { compilePaths, replaceIn, selectFrom } from "./json.js";

/** What the functions below are about. `testing.js` sets it. */
export const current = { message: undefined, setup: undefined };

/** Called when a message has come. Random numbers are Node's own. */
export const begin = () => {};

/** A number of 32 bits, as the host takes it. */
export const unsigned = (number) => number;

const message = () => {
  if (current.message === undefined) throw new Error("there is no message outside of `handle`");
  return current.message;
};

const setup = () => {
  if (current.setup === undefined) throw new Error("the set-up can be asked while the plugin is configured, and not later");
  return current.setup;
};

export const subject = () => message().subject;
export const id = () => message().id;
export const origin = () => message().origin;
export const timestamp = () => message().timestamp;
export const delivery = () => message().delivery;
export const payload = () => message().payload.slice();
export const payloadLength = () => message().payload.length;
export const headers = () => message().headers.map(([name, value]) => ({ name, value }));
export const routes = () => [...setup().routes];
export const compile = compilePaths;

export function setPayload(bytes) {
  message().payload = Uint8Array.from(bytes);
}

export function getHeader(name) {
  return message().headers.find(named(name))?.[1] ?? null;
}

export function setHeader(name, value) {
  checkHeader(name, value);
  // The place of the first one is kept, as a replacement in an ordered list would.
  const place = message().headers.findIndex(named(name));
  removeHeader(name);
  message().headers.splice(place < 0 ? message().headers.length : place, 0, [name, value]);
}

export function appendHeader(name, value) {
  checkHeader(name, value);
  message().headers.push([name, value]);
}

export function removeHeader(name) {
  const is = named(name);
  message().headers = message().headers.filter((header) => !is(header));
}

export function readFile(path) {
  const file = setup().files[path];
  if (file === undefined) throw new SetupError(`there is no file \`${path}\` in the configuration directory`);
  return typeof file === "string" ? encode(file) : Uint8Array.from(file);
}

export function select(paths) {
  return selectFrom(message().payload, paths).map(({ path, value }) => ({ path, value }));
}

export function replace(paths, values) {
  message().payload = replaceIn(message().payload, paths, values);
}

export const encode = (text) => new TextEncoder().encode(text);
export const decode = (bytes) => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);

const named = (wanted) => ([name]) => name.toLowerCase() === wanted.toLowerCase();

function checkHeader(name, value) {
  if (!/^[\x21-\x39\x3b-\x7e]+$/.test(name)) throw new HeaderError(`${JSON.stringify(name)} cannot be the name of a header`);
  if (/^(nats|trackside)-/i.test(name)) throw new HeaderError(`header \`${name}\` has a reserved prefix`);
  if (/\p{Cc}/u.test(value)) throw new HeaderError(`the value of header \`${name}\` has a control character`);
}
