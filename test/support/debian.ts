import { spawnSync } from 'node:child_process';

/** What a program says its version is (`pattern`'s first group), or undefined when there is none. */
export function versionOf(program: string, argument: string, pattern: RegExp): string | undefined {
  const { status, stdout, stderr } = spawnSync(program, [argument], { encoding: 'utf8' });
  return status === 0 ? pattern.exec(stdout + stderr)?.[1] : undefined;
}

/** The version of a program; as root, its package of Debian is installed first. Throws with what is missing where that cannot be done. */
export function requireProgram(
  program: string,
  packageName: string,
  version: () => string | undefined,
): string {
  const installed = version();
  if (installed !== undefined) return installed;
  if (process.getuid?.() !== 0)
    throw new Error(`${program} is missing: \`apt-get install ${packageName}\` installs it`);
  // The package must not start its own service.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  for (const args of [
    ['update', '-q'],
    ['install', '-qy', '--no-install-recommends', packageName],
  ]) {
    const { status, stderr } = spawnSync('apt-get', args, { env, encoding: 'utf8' });
    if (status !== 0)
      throw new Error(`${program} is missing, and apt-get ${args.join(' ')} failed: ${stderr}`);
  }
  const now = version();
  if (now === undefined) throw new Error(`${packageName} was installed, but ${program} does not run`);
  return now;
}
