// Why something could not be set up, read, changed or decided.

/** Why a stage cannot be configured. The host points its caret at the key. */
export class SetupError extends Error {
  name = "SetupError";
  key = "";

  constructor(reason) {
    super(reason);
    this.reason = reason;
  }

  /** The same error, found at or below this key: `at("path")` and then `at("fields[0]")` give `fields[0].path`. */
  at(key) {
    if (key === "") return this;
    const joint = this.key === "" || this.key.startsWith("[") ? "" : ".";
    this.key = `${key}${joint}${this.key}`;
    this.message = `${this.key}: ${this.reason}`;
    return this;
  }
}

/** Why a payload could not be read or edited. Not caught, it rejects the message. */
export class PayloadError extends Error {
  name = "PayloadError";

  constructor(kind, reason) {
    super(`the payload ${SENTENCES[kind]}: ${reason}`);
    this.kind = kind;
    this.reason = reason;
  }
}

const SENTENCES = {
  "not-json": "is not JSON",
  "not-text": "is not UTF-8",
  ambiguous: "is ambiguous",
  limit: "is beyond a limit",
};

/** Why a header was refused. Not caught, it rejects the message. */
export class HeaderError extends Error {
  name = "HeaderError";
}

/** Thrown by a plugin for which the message may succeed later. */
export class Retry extends Error {
  name = "Retry";

  constructor(reason, { after } = {}) {
    super(reason);
    this.after = after;
  }
}

/** Thrown by a plugin that cannot go on: its instance is thrown away. */
export class Fatal extends Error {
  name = "Fatal";
}
