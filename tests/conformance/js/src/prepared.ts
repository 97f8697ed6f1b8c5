import { Selector, SetupError } from "trackside-plugin";
import type { Setup } from "trackside-plugin";

export interface Settings {
  refuse?: string;
  paths?: string[][];
  "check-routes"?: string[];
  files?: string[];
  script?: string[][];
}

/** What `configure` makes of the settings. */
export class Prepared {
  readonly selectors: Selector[];
  readonly routes: string[];
  readonly files: Uint8Array[];
  readonly script: string[][];

  constructor(settings: Settings, setup: Setup) {
    if (settings.refuse !== undefined) throw new SetupError(settings.refuse);
    this.selectors = (settings.paths ?? []).map((paths) => new Selector(paths));
    this.routes = setup.routes;
    const missing = (settings["check-routes"] ?? []).find((name) => !this.routes.includes(name));
    if (missing !== undefined) throw new SetupError(`no route ${missing}`);
    this.files = (settings.files ?? []).map((path) => setup.readFile(path));
    this.script = settings.script ?? [];
  }
}
