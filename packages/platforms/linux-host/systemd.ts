import { execFile } from 'node:child_process';
import { chmod, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { DeployError, messageOf, orUndefinedIfMissing } from '@deploy-actions/core';
import { rotateLog } from './logs.ts';
import { readProcess } from './processes.ts';
import type { Launch, Supervisor } from './supervisor.ts';

/**
 * Instances as systemd services, one unit file each; they come back after a crash and after a reboot. The text of
 * the units is checked with `systemd-analyze verify`; running them under a live systemd is not covered by the tests.
 * Sources: systemd.service(5), systemd.exec(5), systemd.kill(5), systemd.syntax(7).
 */
export function createSystemdSupervisor(
  stateDirectory: string,
  stateId: string,
  isRoot: boolean,
): Supervisor {
  const units = isRoot ? '/etc/systemd/system' : join(homedir(), '.config/systemd/user');
  const target = isRoot ? 'multi-user.target' : 'default.target';
  const prefix = `deploy-actions-${stateId}`;
  const environmentFile = (unit: string) => join(stateDirectory, 'systemd', `${unit}.env`);
  const unitOf = (slot: string, id: number) => `${prefix}-${slot}-${id}.service`;
  const systemctl = (...words: string[]) => run('systemctl', isRoot ? words : ['--user', ...words]);

  return {
    name: 'systemd',

    async start(launch) {
      const unit = unitOf(launch.slot, launch.id);
      await rotateLog(launch.logFile);
      await mkdir(join(stateDirectory, 'systemd'), { recursive: true, mode: 0o700 });
      await mkdir(units, { recursive: true });
      await writeFile(environmentFile(unit), environmentFileText(launch.environment), { mode: 0o600 });
      // The mode given to writeFile is not applied to a file that exists.
      await chmod(environmentFile(unit), 0o600);
      await writeFile(join(units, unit), unitText(launch, environmentFile(unit), target), { mode: 0o644 });
      await systemctl('daemon-reload');
      await systemctl('enable', '--now', unit);
      const pid = Number((await systemctl('show', '--property=MainPID', '--value', unit)).trim());
      const main = pid > 0 ? readProcess(pid) : undefined;
      return main === undefined ? null : { pid, birth: main.birth };
    },

    async leftovers(slot, keep) {
      const kept = new Set([...keep].map((id) => unitOf(slot, id)));
      const names = (await orUndefinedIfMissing(readdir(units))) ?? [];
      const ours = new RegExp(`^${prefix}-${slot}-\\d+\\.service$`);
      return names.filter((name) => ours.test(name) && !kept.has(name));
    },

    async remove(unit) {
      await systemctl('disable', '--now', unit);
      await rm(environmentFile(unit), { force: true });
      await rm(join(units, unit), { force: true });
      await systemctl('daemon-reload');
      // A unit that failed is remembered until it is told not to be; that there was nothing to forget is no error.
      await systemctl('reset-failed', unit).catch(() => {});
    },

    async ending(slot, id) {
      const text = await systemctl(
        'show',
        '--property=Result,ExecMainCode,ExecMainStatus',
        unitOf(slot, id),
      ).catch(() => undefined);
      return text?.trim().split('\n').join(', ');
    },
  };
}

/**
 * The text of an instance's service unit. Main process first, then the rest (`KillMode=mixed`), as the process
 * supervisor does it. Secrets are in the environment file, never in the unit, which every user may read. Throws
 * `unsupported` for a path that a unit cannot name.
 */
export function unitText(launch: Launch, environmentFile: string, target: string): string {
  return `[Unit]
Description=deploy-actions ${launch.slot} ${launch.id}: ${launch.version.replace(/[^\w.+@:/-]+/g, ' ')}
After=network.target

[Service]
Type=exec
ExecStart=${[quoted(launch.program), ...launch.arguments.map((text) => quoted(text.replaceAll('$', '$$$$')))].join(' ')}
WorkingDirectory=${plainPath(launch.directory)}
EnvironmentFile=${plainPath(environmentFile)}
StandardOutput=append:${plainPath(launch.logFile)}
StandardError=inherit
KillMode=mixed
TimeoutStopSec=${Math.max(1, Math.ceil(launch.stopTimeout))}ms
Restart=on-failure
RestartSec=1s

[Install]
WantedBy=${target}
`;
}

/** `NAME="value"` lines with what a shell, and systemd, would take as special inside double quotes escaped. */
export function environmentFileText(environment: Record<string, string>): string {
  return Object.entries(environment)
    .map(([name, value]) => `${name}="${value.replace(/["\\`$]/g, '\\$&')}"\n`)
    .join('');
}

function specifiers(text: string): string {
  return text.replaceAll('%', '%%');
}

/** A word of a command line: in double quotes, with ASCII control characters as C escapes, and with `%` doubled. */
function quoted(word: string): string {
  const escaped = word
    .replace(/["\\]/g, '\\$&')
    .replace(
      /[^\P{Cc}\x80-\x9f]/gu,
      (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
    );
  return `"${specifiers(escaped)}"`;
}

/** A path that stands alone after `=`: there is no quoting there, so it must not need any. */
function plainPath(path: string): string {
  if (/\p{Cc}|[\s\\]$/u.test(path)) {
    throw new DeployError('unsupported', `A systemd unit cannot name the path ${JSON.stringify(path)}.`, {
      remedy: 'Use a path without control characters that does not end in a space or a backslash.',
    });
  }
  return specifiers(path);
}

async function run(program: string, words: string[]): Promise<string> {
  try {
    return (await promisify(execFile)(program, words, { timeout: 600_000, maxBuffer: 1_048_576 })).stdout;
  } catch (thrown) {
    throw new DeployError('command_failed', `${program} ${words.join(' ')} failed: ${messageOf(thrown)}`, {
      remedy:
        'Look at `journalctl -xe`. For a service of a user, lingering must be enabled (loginctl enable-linger).',
      cause: thrown,
    });
  }
}
