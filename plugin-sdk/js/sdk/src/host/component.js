// The host, as a component imports it; chosen by the condition `trackside` of package.json.

import * as message from "trackside:plugin/message@0.1.0";
import * as setup from "trackside:plugin/setup@0.1.0";
import { HeaderError, PayloadError, SetupError } from "../errors.js";
import { random, seedBy } from "./random.js";

Math.random = random;

/** Called when a message has come. */
export const begin = () => seedBy(message.id);

export const { subject, id, origin, timestamp, getHeader, headers, removeHeader, payload, setPayload } = message;
export const { routes } = setup;

// componentize-qjs has unsigned numbers as signed ones of the same bits.
export const delivery = () => message.delivery() >>> 0;
export const payloadLength = () => message.payloadLen() >>> 0;
export const unsigned = (number) => number | 0;

export const compile = (paths) => refusable(SetupError, () => message.Selector.compile(paths));
export const readFile = (path) => refusable(SetupError, () => setup.readFile(path));
export const setHeader = (name, value) => refusable(HeaderError, () => message.setHeader(name, value));
export const appendHeader = (name, value) => refusable(HeaderError, () => message.appendHeader(name, value));
export const select = (selector) => readable(() => message.select(selector));
export const replace = (selector, values) => readable(() => message.replace(selector, values));

// QuickJS has no TextEncoder and TextDecoder. These functions are native there, and ten times as fast as a loop.

export const encode = (text) => Uint8Array.fromBase64(btoa(unescape(encodeURIComponent(text.toWellFormed()))));
export const decode = (bytes) => decodeURIComponent(escape(atob(bytes.toBase64())));

// An error of the contract is thrown as an object that carries it as `payload`; what carries none is a mistake in the
// call, such as a number in the place of a text.

function refusable(Refusal, call) {
  try {
    return call();
  } catch (error) {
    throw typeof error?.payload === "string" ? new Refusal(error.payload) : error;
  }
}

function readable(call) {
  try {
    return call();
  } catch (error) {
    throw typeof error?.payload?.tag === "string" ? new PayloadError(error.payload.tag, error.payload.val) : error;
  }
}
