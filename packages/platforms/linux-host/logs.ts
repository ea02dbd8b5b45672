import { open, rename } from 'node:fs/promises';
import { orUndefinedIfMissing } from '@deploy-actions/core';

const tailBytes = 16_384;

/** Puts the log of the run before aside (`1.log.1`); that one's own predecessor is dropped. */
export async function rotateLog(file: string): Promise<void> {
  await orUndefinedIfMissing(rename(file, `${file}.1`));
}

/** The last lines of a log, reading no more than its last 16 KiB. Empty when there is none. */
export async function tailOf(file: string, lines = 20): Promise<string[]> {
  const handle = await orUndefinedIfMissing(open(file, 'r'));
  if (handle === undefined) return [];
  try {
    const { size } = await handle.stat();
    const start = Math.max(0, size - tailBytes);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(size - start), 0, size - start, start);
    const found = buffer.toString('utf8', 0, bytesRead).split('\n');
    // The first line was cut where reading began in the middle of the file.
    if (start > 0) found.shift();
    return found.filter((line) => line.trim() !== '').slice(-lines);
  } finally {
    await handle.close();
  }
}

/**
 * Hides the values of an environment's secrets from text that an application wrote: those of variables with a name
 * that says so, and passwords inside URLs.
 */
export function redactor(environment: Record<string, string>): (text: string) => string {
  const secrets: string[] = [];
  for (const [name, value] of Object.entries(environment)) {
    if (/pass|secret|token|key|credential|auth|dsn|private|cookie|salt/i.test(name)) secrets.push(value);
    const password = /^[a-z][a-z0-9+.-]*:\/\/[^/\s:@]*:([^/\s@]+)@/i.exec(value)?.[1];
    if (password !== undefined) secrets.push(value, password, decoded(password));
  }
  // Longest first, so that no secret is left half when another is a part of it. One of under 4 letters hides nothing.
  const sorted = secrets.filter((secret) => secret.length >= 4).toSorted((a, b) => b.length - a.length);
  return (text) => sorted.reduce((result, secret) => result.replaceAll(secret, '***'), text);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
