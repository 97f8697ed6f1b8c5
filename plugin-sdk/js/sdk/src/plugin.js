// From a function that a user wrote to the interface `stage` of the contract.

import { begin, unsigned } from "#host";
import { Fatal, HeaderError, PayloadError, Retry, SetupError } from "./errors.js";
import { Message } from "./message.js";
import { Setup } from "./setup.js";
import { reject } from "./verdict.js";

/** Under this name a plugin has what tests start instances of it by, each of which stands for itself. */
export const start = Symbol("start");

const message = new Message();

/** Makes the interface `stage` of the contract, to be exported by that name. */
export function plugin(configure) {
  const instance = (config) => {
    const handle = configure(JSON.parse(config), new Setup());
    if (typeof handle !== "function") throw new SetupError("the function given to `plugin` has to return one that handles messages");
    return () => verdictOf(handle);
  };
  let handle;
  return {
    configure(config) {
      try {
        handle = instance(config);
      } catch (error) {
        // The contract has a text here, and the rule's author is the one who reads it.
        throw error instanceof SetupError ? error.message : String(error);
      }
    },
    handle: () => handle(),
    [start]: instance,
  };
}

function verdictOf(handle) {
  begin();
  try {
    const verdict = handle(message);
    if (typeof verdict?.tag === "string") return verdict;
  } catch (error) {
    return settled(error);
  }
  // A plugin that forgets to decide must not let the message through.
  throw { tag: "fatal", val: "the plugin returned no verdict, which forward(), route(…), split(…), drop(…) and reject(…) make" };
}

/** The verdict that an error amounts to, or throws the failure that it is, as the contract has it. */
function settled(error) {
  // What cannot be read or carried now cannot be later either.
  if (error instanceof PayloadError || error instanceof HeaderError) return reject(error.message);
  if (error instanceof Retry) throw { tag: "retry", val: { reason: error.message, after: milliseconds(error.after) } };
  if (error instanceof Fatal) throw { tag: "fatal", val: error.message };
  // Out of memory: there is no going on, and the host sees what was refused and says so.
  if (error?.name === "InternalError") throw error;
  throw { tag: "fatal", val: `${error?.name ?? typeof error} was thrown${place(error)}` };
}

function milliseconds(wait) {
  return wait === undefined ? null : unsigned(Math.min(Math.max(Math.round(wait), 0), LONGEST_WAIT));
}

const LONGEST_WAIT = 2 ** 32 - 1;

/** Where it was thrown. Its message is left out, because it may show something of the payload. */
function place(error) {
  const line = error?.stack?.split("\n").find((line) => /^\s*at .*:\d+/.test(line));
  return line === undefined ? "" : ` ${line.trim()}`;
}
