import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { nativePlatform } from './builder.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'builder-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** Asked of a stand-in for docker that says this; undefined: there is none. */
async function platform(said: string | undefined, signal = new AbortController().signal) {
  if (said !== undefined) {
    await writeFile(join(folder, 'docker'), `#!/bin/sh\n${said}\n`);
    await chmod(join(folder, 'docker'), 0o755);
  }
  const environment = { PATH: said === undefined ? folder : `${folder}:/usr/bin:/bin` };
  return nativePlatform(undefined, { environment, signal, directory: folder }, 'x64');
}

describe('what a builder builds for that is told no platform', () => {
  it.each<[string, string, string | undefined]>([
    ['its first', 'linux/arm64', 'echo "Platforms: linux/arm64, linux/amd64, linux/arm/v7"'],
    ['its first node', 'linux/arm64', 'printf "Platforms: linux/arm64\\nPlatforms: linux/amd64\\n"'],
    ['its own, where others were set', 'linux/amd64', 'echo "Platforms: linux/arm64*, linux/amd64"'],
    ['one elsewhere, where others were set', 'linux/s390x', 'echo "Platforms: linux/s390x*, linux/arm64"'],
    ['that of the machine, before it is started', 'linux/amd64', 'echo "Platforms:"'],
    ['that of the machine, where it does not answer', 'linux/amd64', 'exit 1'],
    ['that of the machine, without docker', 'linux/amd64', undefined],
  ])('is %s', async (_what, expected, said) => {
    expect(await platform(said)).toBe(expected);
  });

  it('is not told when the run is cancelled', async () => {
    await expect(platform('exit 0', AbortSignal.abort())).rejects.toMatchObject({ reasonCode: 'cancelled' });
  });
});
