/** What ARG says: `NAME`, or `NAME=value`; several may stand in one instruction. */
export function argumentsIn(argument: string): { name: string; value: string | undefined }[] {
  return Array.from(
    argument.matchAll(/(?:^|\s)([A-Za-z_]\w*)(?:=("(?:[^"\\]|\\.)*"|'[^']*'|\S*))?/g),
    ([, name = '', value]) => ({ name, value: value === undefined ? undefined : unquoted(value) }),
  );
}

function unquoted(value: string): string {
  const inner = /^(["'])(.*)\1$/s.exec(value);
  return inner === null ? value : (inner[2] ?? '').replace(/\\(["\\$])/g, '$1');
}

/**
 * A text with its variables filled in: `$A`, `${A}`, `${A:-b}`, `${A-b}`, `${A:+b}`, `${A+b}`. Undefined where a variable has no
 * value, and for what only the builder can say.
 */
export function fillIn(text: string, values: ReadonlyMap<string, string>): string | undefined {
  let known = true;
  const filled = text.replace(
    /\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:(:?[-+])([^{}]*))?\})/g,
    (_whole, plain?: string, braced?: string, operator?: string, word = '') => {
      const value = values.get(plain ?? braced ?? '');
      const has = operator?.startsWith(':') === true ? (value ?? '') !== '' : value !== undefined;
      if (operator?.endsWith('-') === true) return has ? (value ?? '') : String(word);
      if (operator?.endsWith('+') === true) return has ? String(word) : '';
      if (value === undefined) known = false;
      return value ?? '';
    },
  );
  return known && !filled.includes('$') ? filled : undefined;
}
