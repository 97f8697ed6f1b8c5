import { Fatal, HeaderError, PayloadError, Retry, drop, forward, log, reject, remove, route, split, utf8 } from "trackside-plugin";
import type { Header, Message, Part, Replacement, Selector, Verdict } from "trackside-plugin";
import type { Prepared } from "./prepared.js";

/** One run of the script, on one message. */
export class Run {
  private readonly notes: string[] = [];
  private readonly parts: Part[] = [];

  constructor(
    private readonly prepared: Prepared,
    private readonly message: Message,
    private readonly count: number,
  ) {}

  verdict(): Verdict {
    for (const [name = "", ...words] of this.prepared.script) {
      const verdict = this.step(name, words);
      if (verdict) return verdict;
    }
    return forward();
  }

  /** Takes a step; the last one gives the verdict. */
  private step(name: string, words: string[]): Verdict | void {
    const { message } = this;
    const [first = "", second = ""] = words;
    switch (name) {
      case "note":
        return this.note(first);
      case "subject":
      case "id":
      case "origin":
      case "timestamp":
      case "delivery":
        return this.note(String(message[name]));
      case "payload-len":
        return this.note(String(message.payloadLength));
      case "payload":
        return this.note(message.text());
      case "count":
        return this.note(String(this.count));
      case "routes":
        return this.note(this.prepared.routes.join(" "));
      case "file":
        return this.note(utf8.decode(this.prepared.files[Number(first)]!));
      case "get-header":
        return this.note(message.header(first) ?? "none");
      case "headers":
        return message.headers().forEach(([name, value]) => this.note(`${name}=${value}`));
      case "set-header":
        return this.attempt(() => message.setHeader(first, second));
      case "append-header":
        return this.attempt(() => message.appendHeader(first, second));
      case "remove-header":
        return message.removeHeader(first);
      case "set-payload":
        return message.setPayload(first);
      case "repeat-payload":
        return message.setPayload(repeated(message.payload(), Number(first)));
      case "fill-payload":
        return message.setPayload(second.repeat(Number(first)));
      case "select":
        return this.select(this.selector(first));
      case "replace":
        return this.attempt(() => message.replace(this.selector(first), replacements(words.slice(1))));
      case "replace-all":
        return this.attempt(() => {
          const [value = null] = replacements(words.slice(1));
          message.replace(this.selector(first), message.select(this.selector(first)).map(() => value));
        });
      case "log":
        return log[first as "info"](second);
      case "report":
        return message.setPayload(this.notes.join("\n"));
      case "part":
        this.parts.push({ payload: first, route: second || undefined, headers: pairs(words.slice(2)) });
        return;
      case "split":
        return split(this.parts);
      case "forward":
        return forward();
      case "route":
        return route(...words);
      case "drop":
        return drop(first);
      case "reject":
        return reject(first);
      case "retry":
        throw new Retry(first, second ? { after: Number(second) } : {});
      case "fatal":
        throw new Fatal(first);
      case "trap":
        return this.step(name, words);
      case "loop":
        for (;;);
      case "hog":
        for (const hoard: Uint8Array[] = []; ; ) hoard.push(new Uint8Array(1 << 20).fill(1));
      default:
        throw new Fatal(`no step ${name}`);
    }
  }

  private note(text: string): void {
    this.notes.push(text);
  }

  private selector(number: string): Selector {
    return this.prepared.selectors[Number(number)]!;
  }

  private select(selector: Selector): void {
    try {
      for (const { path, kind, value } of this.message.select(selector)) {
        this.note(kind === "null" ? `${path} null` : `${path} ${kind} ${value}`);
      }
    } catch (error) {
      this.note(refusal(error));
    }
  }

  private attempt(act: () => void): void {
    try {
      act();
      this.note("ok");
    } catch (error) {
      this.note(refusal(error));
    }
  }
}

/** The host's refusal as a note; other errors are not for the script. */
function refusal(error: unknown): string {
  if (error instanceof HeaderError) return `error: ${error.message}`;
  if (error instanceof PayloadError) return `${error.kind}: ${error.reason}`;
  throw error;
}

function replacements(words: string[]): Replacement[] {
  return pairs(words).map(([kind, value]) => {
    switch (kind) {
      case "null":
        return null;
      case "boolean":
        return value === "true";
      case "number":
      case "text":
      case "json":
        return { kind, value };
      case "remove":
        return remove;
      default:
        throw new Fatal(`no kind ${kind}`);
    }
  });
}

function pairs(words: string[]): Header[] {
  const starts = words.flatMap((_, index) => (index % 2 === 0 ? [index] : []));
  return starts.map((index) => [words[index] ?? "", words[index + 1] ?? ""]);
}

function repeated(bytes: Uint8Array, times: number): Uint8Array {
  const all = new Uint8Array(bytes.length * times);
  for (let index = 0; index < times; index += 1) all.set(bytes, index * bytes.length);
  return all;
}
