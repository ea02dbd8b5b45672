import { open, rename } from 'node:fs/promises';
import { orUndefinedIfMissing, secretsOf } from '@deploy-actions/core';

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

/** Hides the secrets of an environment from text that an application wrote. */
export function redactor(environment: Record<string, string>): (text: string) => string {
  const secrets = secretsOf(environment);
  return (text) => secrets.reduce((result, secret) => result.replaceAll(secret, '***'), text);
}
