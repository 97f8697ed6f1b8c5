// The host's log, apart from the rest: a bundle that does not use it does not import it, and needs no grant for it.

export { log as write } from "trackside:plugin/log@0.1.0";
