/* Shortening that leaves whole characters, and says by an ellipsis that it did. */

const ellipsis = '…';

/** At most `limit` UTF-16 code units, which is never less strict than a limit of characters. */
export function clip(text: string, limit: number): string {
  if (text.length <= limit) return text;
  return `${text.slice(0, limit - ellipsis.length).replace(/[\ud800-\udbff]$/, '')}${ellipsis}`;
}

/** At most `limit` bytes of UTF-8. */
export function clipBytes(text: string, limit: number): string {
  if (text.length * 3 <= limit) return text;
  const bytes = Buffer.from(text);
  if (bytes.length <= limit) return text;
  let end = limit - Buffer.byteLength(ellipsis);
  // A byte 10xxxxxx continues a character: go back to the first byte of one.
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end -= 1;
  return `${bytes.toString('utf8', 0, end)}${ellipsis}`;
}
