/** Names and values of `NAME=value` lines, or the first line that is none. Values are taken as they are. */
export type EnvironmentLines = { values: Record<string, string> } | { problem: string };

/**
 * Reads one `NAME=value` a line; blank lines and lines beginning with `#` are passed over. A problem names the line's
 * number alone: the line itself may hold a secret.
 */
export function parseEnvironmentLines(text: string): EnvironmentLines {
  const values = new Map<string, string>();
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const trimmed = line.trim();
    if (trimmed === '' || trimmed.startsWith('#')) continue;
    const equals = trimmed.indexOf('=');
    if (equals < 1) {
      return {
        problem: `line ${index + 1} is not of the form NAME=value; allowed is one NAME=value a line`,
      };
    }
    const name = trimmed.slice(0, equals).trim();
    if (!/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(name)) {
      return { problem: `line ${index + 1} has no allowed name; a name has letters, digits and _ . -` };
    }
    if (values.has(name)) {
      return { problem: `line ${index + 1} says ${name} again; allowed is each name once` };
    }
    values.set(name, trimmed.slice(equals + 1));
  }
  return { values: Object.fromEntries(values) };
}
