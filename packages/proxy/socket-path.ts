import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { DeployError } from '@deploy-actions/core';

/** `sun_path` of unix(7) has 108 bytes, one of them the terminator. Node cuts a longer path off without a word. */
const longest = 107;

/**
 * A path by which this process can listen on or connect to the proxy's admin socket. Where the real one is too long
 * for the kernel, it leads through an open descriptor of the folder (Linux); `release` closes it and is called when the socket
 * is no longer used. Errors: `not_found` for a missing folder, `unsupported`.
 */
export function adminSocketPath(stateDirectory: string): { path: string; release(): void } {
  const path = join(stateDirectory, 'proxy.sock');
  if (Buffer.byteLength(path) <= longest) return { path, release: () => {} };
  if (process.platform !== 'linux') {
    throw new DeployError(
      'unsupported',
      `${path} is longer than the ${longest} bytes a socket path may have.`,
      {
        remedy: 'Choose a state directory with a shorter path.',
      },
    );
  }
  const folder = openSync(stateDirectory, 'r');
  return { path: `/proc/self/fd/${folder}/proxy.sock`, release: () => closeSync(folder) };
}
