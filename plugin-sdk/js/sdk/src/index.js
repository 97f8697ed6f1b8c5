// Write Trackside plugins in JavaScript or TypeScript: see README.md.

export { Fatal, HeaderError, PayloadError, Retry, SetupError } from "./errors.js";
export * as log from "./log.js";
export { Selector, remove } from "./message.js";
export { plugin } from "./plugin.js";
export { drop, forward, reject, route, split } from "./verdict.js";
export * as utf8 from "./utf8.js";
