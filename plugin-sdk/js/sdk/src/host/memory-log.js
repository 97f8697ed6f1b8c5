// The log in tests: lines are kept for the test to look at.

export const lines = [];

export function write(level, text) {
  lines.push({ level, text });
}
