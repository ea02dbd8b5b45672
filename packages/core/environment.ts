/** Names and values of `NAME=value` lines, or the first line that is none. Values are taken as they are. */
export type EnvironmentLines = { values: Record<string, string> } | { problem: string };

/** What a variable may be called. */
export const variableName = /^[A-Za-z_][A-Za-z0-9_.-]*$/;

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
    if (!variableName.test(name)) {
      return { problem: `line ${index + 1} has no allowed name; a name has letters, digits and _ . -` };
    }
    if (values.has(name)) {
      return { problem: `line ${index + 1} says ${name} again; allowed is each name once` };
    }
    values.set(name, trimmed.slice(equals + 1));
  }
  return { values: Object.fromEntries(values) };
}

/**
 * The secrets among the values: those of variables whose name says so, and passwords inside URLs. Longest first, so that
 * none is left half hidden when another is a part of it; one of under 4 letters would hide nothing.
 */
export function secretsOf(environment: Record<string, string>): string[] {
  const secrets = new Set<string>();
  for (const [name, value] of Object.entries(environment)) {
    if (/pass|secret|token|key|credential|auth|dsn|private|cookie|salt/i.test(name)) secrets.add(value);
    const password = /^[a-z][a-z0-9+.-]*:\/\/[^/\s:@]*:([^/\s@]+)@/i.exec(value)?.[1];
    if (password !== undefined)
      for (const secret of [value, password, decoded(password)]) secrets.add(secret);
  }
  return [...secrets]
    .filter((secret) => secret.length >= 4 && !/^(?:true|false|none|null)$/i.test(secret))
    .toSorted((a, b) => b.length - a.length);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
