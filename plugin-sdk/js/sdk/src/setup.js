// What a plugin may ask for while it is configured.

import { readFile, routes } from "#host";
import { SetupError } from "./errors.js";

/** The host, as the function given to `plugin` sees it. It does not work any more once that function has returned. */
export class Setup {
  /** The names of the routes that the rule declares. */
  get routes() {
    return routes();
  }

  /** Returns the name, if the rule declares such a route; otherwise the error is one of this key of the settings. */
  checkRoute(name, key = "") {
    const declared = this.routes;
    if (declared.includes(name)) return name;
    const known = declared.length > 0 ? `it declares ${declared.join(", ")}` : "it declares none; add it under [rule.routes]";
    throw new SetupError(`the rule has no route \`${name}\`; ${known}`).at(key);
  }

  /** The bytes of a file of the configuration directory that the plugin's `files` setting allows it to read. */
  readFile(path) {
    return readFile(path);
  }

  /**
   * Returns the settings, if they have these keys and no others, each of its type as `typeof` has it, or `array`. The
   * key of a type that ends in `?` may be missing.
   */
  check(settings, types) {
    if (kindOf(settings) !== "object") throw new SetupError(`they are of type ${kindOf(settings)}, and have to be a table`);
    const known = Object.keys(types);
    for (const key of Object.keys(settings)) {
      if (!known.includes(key)) throw new SetupError(`unknown; the keys are ${known.join(", ")}`).at(key);
    }
    for (const [key, type] of Object.entries(types)) {
      const [, wanted, optional] = /^(\w+)(\??)$/.exec(type);
      if (settings[key] === undefined && optional) continue;
      const found = kindOf(settings[key]);
      if (found === "undefined") throw new SetupError(`missing; it has to be of type ${wanted}`).at(key);
      // The value is not shown: it may be a secret that the host has put in.
      if (found !== wanted) throw new SetupError(`of type ${found}, and has to be of type ${wanted}`).at(key);
    }
    return settings;
  }
}

const kindOf = (value) => (Array.isArray(value) ? "array" : value === null ? "null" : typeof value);
