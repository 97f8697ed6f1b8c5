// Random numbers that the same message gives again. Those of the engine would go on from one message to the next, so that
// they depended on what an instance was given before.

let seed = () => 0;
let state;

/** From here on numbers are those of the message whose id this function gives. */
export function seedBy(id) {
  seed = () => hash(id());
  state = undefined;
}

/** A number from 0 to below 1: SplitMix with 32 bits. */
export function random() {
  // Most messages draw none, and have no id asked for.
  state ??= seed();
  state = (state + 0x9e3779b9) | 0;
  let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
  return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
}

/** FNV-1a. */
function hash(text) {
  let sum = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) sum = Math.imul(sum ^ text.charCodeAt(index), 0x01000193);
  return sum;
}
