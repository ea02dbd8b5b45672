/** How much of a stream is kept: enough for any error, never enough to fill the memory. */
const keptCharacters = 256 * 1024;
const lastLines = 15;

/** Text that grows at its end and is forgotten at its beginning. */
export function boundedText(limit = keptCharacters): { add: (chunk: string) => void; text: () => string } {
  let kept = '';
  return {
    add: (chunk) => {
      kept = (kept + chunk).slice(-limit);
    },
    text: () => kept,
  };
}

export function tail(text: string, lines = lastLines): string[] {
  return text.trimEnd().split('\n').slice(-lines).filter(Boolean);
}

/** Takes out known secrets and the passwords of URLs. */
export function redact(text: string, secrets: Iterable<string>): string {
  let clean = text.replaceAll(/(:\/\/[^\s:@/]*):[^\s@/]+@/g, '$1:***@');
  for (const secret of secrets) {
    if (secret !== '') clean = clean.replaceAll(secret, '***');
  }
  return clean;
}
