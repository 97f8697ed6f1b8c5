import type { Header, Origin, Stage, Verdict } from "./index.js";

/**
 * Configures a plugin as a rule with these routes, and a configuration directory with these files, would. Throws a
 * `SetupError` with what the rule's author would be shown.
 */
export function configure(
  stage: Stage,
  settings?: unknown,
  host?: { routes?: string[]; files?: Record<string, Uint8Array | string> },
): Configured;

export interface Configured {
  /** Hands it a message: from JetStream, on subject `test`, at the time 0, delivered once, unless said otherwise. */
  handle(payload?: Uint8Array | string, message?: TestMessage): Outcome;
}

export interface TestMessage {
  subject?: string;
  id?: string;
  origin?: Origin;
  timestamp?: number;
  delivery?: number;
  headers?: Header[];
}

/** What a plugin did with a message. */
export interface Outcome {
  /** What it decided, unless it failed. */
  verdict: Verdict | undefined;
  /** Why it did not decide. */
  failure: { tag: "retry"; val: { reason: string; after: number | null } } | { tag: "fatal"; val: string } | undefined;
  /** The message as the plugin left it. */
  headers: Header[];
  payload: Uint8Array;
  readonly text: string;
  readonly json: any;
  /** What it logged. */
  log: { level: "trace" | "debug" | "info" | "warn" | "error"; text: string }[];
}
