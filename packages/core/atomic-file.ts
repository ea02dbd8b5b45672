import { randomUUID } from 'node:crypto';
import { link, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { codeOf } from './errors.ts';

/**
 * Replaces the file: whoever reads it, also after a crash or a power cut at any moment, finds the whole old content
 * or the whole new one. When it returns, the new content is on the disk.
 */
export async function replaceFile(path: string, content: string, mode = 0o600): Promise<void> {
  await throughTemporary(path, content, mode, (temporary) => rename(temporary, path));
}

/** Creates the file, complete from its first moment. False, and nothing was changed, when it already exists. */
export async function createFile(path: string, content: string, mode = 0o600): Promise<boolean> {
  try {
    await throughTemporary(path, content, mode, (temporary) => link(temporary, path));
    return true;
  } catch (thrown) {
    if (codeOf(thrown) === 'EEXIST') return false;
    throw thrown;
  }
}

async function throughTemporary(
  path: string,
  content: string,
  mode: number,
  putInPlace: (temporary: string) => Promise<void>,
): Promise<void> {
  // In the same folder, because neither rename nor link crosses file systems.
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    const file = await open(temporary, 'wx', mode);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await putInPlace(temporary);
  } finally {
    await rm(temporary, { force: true });
  }
  await syncFolder(dirname(path));
}

/** A new name is on the disk only when the folder that holds it is. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
