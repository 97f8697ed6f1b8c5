// The host's log. A plugin that uses it imports `trackside:plugin/log`, which its configuration has to grant.

import { write } from "#log";

export const trace = (line) => write("trace", String(line));
export const debug = (line) => write("debug", String(line));
export const info = (line) => write("info", String(line));
export const warn = (line) => write("warn", String(line));
export const error = (line) => write("error", String(line));
