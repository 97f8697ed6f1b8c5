// Selecting and replacing in tests, on the bytes as the host does it: what is not selected stays as it was.

import { PayloadError, SetupError } from "../errors.js";

// The parts of JSONPath (RFC 9535) that are known here: names, indices, wildcards, lists of these, and descendants.
const STEP = /(\.\.|\.)?(?:(\*)|([\p{L}_][\p{L}\p{N}_]*)|\[((?:[^"'\]]|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')*)\])/uy;
const CHOICE = /\s*(?:(\*)|(-?\d+)|"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')\s*(,|$)/y;

/** Compiles the paths, each to steps: whether the step descends, and which children it chooses. */
export function compilePaths(paths) {
  return paths.map((path, index) => {
    const refuse = () => new SetupError(`path ${index} (\`${path}\`): ${UNKNOWN}`);
    if (!path.startsWith("$")) throw refuse();
    const steps = [];
    for (let at = 1; at < path.length; at = STEP.lastIndex) {
      STEP.lastIndex = at;
      const [, dots, wild, name, list] = STEP.exec(path) ?? [];
      // A name or a star follows a dot; a bracket does not follow a single one.
      if ((list === undefined) === (dots === undefined) || (list !== undefined && dots === ".")) throw refuse();
      const choices = list === undefined ? [wild ? {} : { name }] : choicesOf(list, refuse);
      steps.push({ descends: dots === "..", choices });
    }
    return steps;
  });
}

const UNKNOWN =
  "the message in memory knows names, indices, wildcards, lists of these and `..`; test the rest by `trackside plugin test`";

function choicesOf(list, refuse) {
  const choices = [];
  let comma = ",";
  for (let at = 0; comma === ","; at = CHOICE.lastIndex) {
    CHOICE.lastIndex = at;
    const match = CHOICE.exec(list);
    if (match === null) throw refuse();
    const [, wild, index, double, single] = match;
    comma = match[5];
    if (wild) choices.push({});
    else if (index !== undefined) choices.push({ index: Number(index) });
    else choices.push({ name: JSON.parse(`"${double ?? single.replaceAll("\\'", "'").replaceAll('"', '\\"')}"`) });
  }
  return choices;
}

/** Every match, in document order: the path's index, the value as the contract has it, and the node. */
export function selectFrom(payload, paths) {
  const text = read(payload);
  const root = scan(text);
  const matches = paths.flatMap((steps, path) => walk([root], steps).map((node) => ({ path, node, value: lift(text, node) })));
  // Of places that begin at the same byte, the outer one comes first.
  return matches.sort((a, b) => a.node.start - b.node.start || b.node.end - a.node.end || a.path - b.path);
}

/** The payload with these values in the places of the matches; null removes the place. */
export function replaceIn(payload, paths, values) {
  const text = read(payload);
  const matches = selectFrom(payload, paths);
  if (matches.length !== values.length) {
    throw new PayloadError("not-json", `${values.length} values for ${matches.length} matches`);
  }
  const edits = [];
  const gone = new Set(matches.filter((_, index) => values[index] === null).map(({ node }) => node));
  matches.forEach(({ node }, index) => {
    const value = values[index];
    edits.push(value === null ? { ...extent(node, gone), spelling: "" } : { start: node.start, end: node.end, spelling: spell(value) });
  });
  let result = "";
  let done = 0;
  for (const { start, end, spelling } of edits.sort((a, b) => a.start - b.start || b.end - a.end)) {
    // What lies inside of something that was replaced before is replaced with it.
    if (end <= done) continue;
    result += text.slice(done, Math.max(start, done)) + spelling;
    done = end;
  }
  return new TextEncoder().encode(result + text.slice(done));
}

function read(payload) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(payload);
  } catch {
    throw new PayloadError("not-json", "not UTF-8");
  }
}

function walk(nodes, steps) {
  for (const { descends, choices } of steps) {
    const parents = descends ? nodes.flatMap(descendants) : nodes;
    nodes = parents.flatMap((node) => choices.flatMap((choice) => node.children.filter(chosen(node, choice))));
  }
  return [...new Set(nodes)];
}

const descendants = (node) => [node, ...node.children.flatMap(descendants)];

const chosen = (parent, { name, index }) => (child, place) => {
  if (name !== undefined) return child.name === name;
  if (index !== undefined) return parent.kind === "array" && place === (index < 0 ? parent.children.length + index : index);
  return true;
};

/** What goes with a node that is removed: the comma after it, or before it if it is the last that is left. */
function extent(node, gone) {
  const siblings = node.parent?.children;
  if (siblings === undefined) throw new PayloadError("not-json", "the whole payload cannot be removed");
  const place = siblings.indexOf(node);
  if (place + 1 < siblings.length) return { start: node.from, end: siblings[place + 1].from };
  const left = siblings.findLast((sibling) => !gone.has(sibling));
  return { start: left?.end ?? node.from, end: node.end };
}

function lift(text, { kind, start, end }) {
  const spelling = text.slice(start, end);
  switch (kind) {
    case "null":
      return { tag: "null" };
    case "boolean":
      return { tag: "boolean", val: spelling === "true" };
    case "text":
      return { tag: "text", val: JSON.parse(spelling) };
    case "number":
      return { tag: "number", val: spelling };
    default:
      return { tag: "json", val: spelling };
  }
}

function spell({ tag, val }) {
  const spelling = tag === "null" ? "null" : tag === "text" ? JSON.stringify(val) : String(val);
  if (tag === "number" || tag === "json") scan(spelling);
  return spelling;
}

const SPACE = /[ \t\n\r]*/y;
const SCALAR = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

/** The tree of a document: of each node its kind, where it starts and ends, and from where it goes as a member. */
function scan(text) {
  let at = 0;
  const space = () => {
    SPACE.lastIndex = at;
    SPACE.exec(text);
    at = SPACE.lastIndex;
  };
  const refuse = (what) => new PayloadError("not-json", `at byte ${new TextEncoder().encode(text.slice(0, at)).length}: expected ${what}`);
  const expect = (mark) => {
    if (text[at] !== mark) throw refuse(`\`${mark}\``);
    at += 1;
    space();
  };
  const scalar = (what, only) => {
    SCALAR.lastIndex = at;
    const found = SCALAR.exec(text)?.[0];
    if (found === undefined || (only && !found.startsWith(only))) throw refuse(what);
    at = SCALAR.lastIndex;
    return found;
  };
  const value = (parent, name, from) => {
    const node = { parent, name, from: from ?? at, start: at, children: [], kind: KINDS[text[at]] ?? "number" };
    const close = { array: "]", object: "}" }[node.kind];
    if (close === undefined) scalar("a value");
    else {
      expect(text[at]);
      while (text[at] !== close) {
        if (node.children.length > 0) expect(",");
        const from = at;
        const key = node.kind === "object" ? JSON.parse(scalar("a key", '"')) : undefined;
        if (key !== undefined) {
          space();
          expect(":");
        }
        node.children.push(value(node, key, from));
        space();
      }
      at += 1;
    }
    node.end = at;
    return node;
  };
  space();
  const root = value();
  space();
  if (at < text.length) throw refuse("the end");
  return root;
}

const KINDS = { "{": "object", "[": "array", '"': "text", t: "boolean", f: "boolean", n: "null" };
