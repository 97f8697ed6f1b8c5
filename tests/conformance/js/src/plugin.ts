// Does what its settings say: see ../README.md.

import { plugin } from "trackside-plugin";
import type { Setup } from "trackside-plugin";
import { Run } from "./run.js";
import { Prepared } from "./prepared.js";
import type { Settings } from "./prepared.js";

export const stage = plugin((settings: Settings, setup: Setup) => {
  const prepared = new Prepared(settings, setup);
  let count = 0;
  return (message) => {
    count += 1;
    return new Run(prepared, message, count).verdict();
  };
});
