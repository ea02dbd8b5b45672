import { access, constants, readFile, stat } from 'node:fs/promises';
import { delimiter, isAbsolute, resolve } from 'node:path';
import { codeOf, DeployError, parseEnvironmentLines } from '@deploy-actions/core';
import type { Release } from '@deploy-actions/release-engine';

/** A version on a Linux host: a folder and the command that serves from it. Plain JSON. */
export interface LinuxHostRelease extends Release {
  /** Absolute path; the working directory of the command. */
  directory: string;
  /** Program and arguments; `{port}` in an argument becomes the instance's port. There is no shell in between. */
  command: string[];
  /** Added to a minimal base (PATH, HOME, LANG, TZ, USER). Nothing else of the runner's environment is passed on. */
  environment: Record<string, string>;
  /**
   * Absolute path of a file of NAME=value lines, read whenever an instance is started: what is in it is in no record.
   * `environment` goes before it.
   */
  environmentFile?: string;
  /** At least 1. */
  instances: number;
  /** Path to GET until it answers 2xx or 3xx. Without it an instance is ready when its port accepts connections. */
  readinessPath?: string;
  /** Milliseconds that one readiness request may take; 2000 when not given. */
  readinessTimeout?: number;
  /** Milliseconds from SIGTERM to SIGKILL. */
  stopTimeout: number;
  /** First and last port that instances may listen on, on 127.0.0.1. */
  portRange: [number, number];
}

/** Names of environment variables that the platform itself gives to every instance. */
export const reservedVariables = [
  'PORT',
  'DEPLOY_ACTIONS_SLOT',
  'DEPLOY_ACTIONS_VERSION',
  'DEPLOY_ACTIONS_INSTANCE',
  'RUNNER_TRACKING_ID',
];

const inherited = ['PATH', 'HOME', 'LANG', 'TZ', 'USER'];

/** What every instance gets of the runner's environment. */
export function baseEnvironment(runner: NodeJS.ProcessEnv): Record<string, string> {
  const base: Record<string, string> = { PATH: '/usr/local/bin:/usr/bin:/bin' };
  for (const name of inherited) {
    const value = runner[name];
    if (value !== undefined) base[name] = value;
  }
  return base;
}

/** What the release adds to the base: its file, then its own. Throws `not_found`, `permission_denied`, `invalid_input`. */
export async function readEnvironment(release: LinuxHostRelease): Promise<Record<string, string>> {
  const file = release.environmentFile;
  if (file === undefined) return release.environment;
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    const missing = codeOf(cause) === 'ENOENT';
    throw new DeployError(
      missing ? 'not_found' : 'permission_denied',
      `The environment file ${file} ${missing ? 'does not exist on this host' : `cannot be read (${codeOf(cause)})`}.`,
      { remedy: 'Correct `env-file`, or make it readable for the user that the runner works as.', cause },
    );
  }
  const lines = parseEnvironmentLines(text);
  if ('problem' in lines) {
    throw new DeployError('invalid_input', `The environment file ${file}: ${lines.problem}.`);
  }
  const reserved = Object.keys(lines.values).find((name) => reservedVariables.includes(name));
  if (reserved !== undefined) {
    throw new DeployError(
      'invalid_input',
      `The environment file ${file}: ${reserved} is set by the platform itself.`,
    );
  }
  return { ...lines.values, ...release.environment };
}

/**
 * Checks what can be checked before anything is touched, all of it, and returns the absolute path of the program.
 * Throws `invalid_input`, `not_found` or `permission_denied`.
 */
export async function checkRelease(release: LinuxHostRelease, base: Record<string, string>): Promise<string> {
  const problems = problemsOf(release);
  if (problems.length > 0) {
    throw new DeployError('invalid_input', `The release cannot be deployed: ${problems.join('; ')}.`, {
      remedy: 'Correct the release. Nothing was touched.',
    });
  }
  await checkDirectory(release.directory);
  return findProgram(release, { ...base, ...(await readEnvironment(release)) });
}

function problemsOf(release: LinuxHostRelease): string[] {
  const problems: string[] = [];
  const [from, to] = release.portRange;
  if (release.version === '') problems.push('version is empty');
  if (!isAbsolute(release.directory))
    problems.push(`directory "${release.directory}" is not an absolute path`);
  if (release.command.length === 0 || release.command[0] === '') problems.push('command is empty');
  const texts = [
    release.version,
    release.directory,
    ...release.command,
    ...Object.values(release.environment),
  ];
  if (texts.some((text) => text.includes('\0'))) problems.push('a text holds a NUL character');
  for (const name of Object.keys(release.environment)) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      problems.push(`environment: "${name}" is not a name (letters, digits and underscores)`);
    } else if (reservedVariables.includes(name)) {
      problems.push(`environment: ${name} is set by the platform itself`);
    }
  }
  if (release.environmentFile !== undefined && !isAbsolute(release.environmentFile)) {
    problems.push(`environmentFile "${release.environmentFile}" is not an absolute path`);
  }
  if (!Number.isInteger(release.instances) || release.instances < 1) {
    problems.push(`instances is ${release.instances}, allowed are integers from 1`);
  }
  if (release.readinessPath !== undefined && !/^\/[\x21-\x7e]*$/.test(release.readinessPath)) {
    problems.push(`readinessPath "${release.readinessPath}" is not a path such as /health/`);
  }
  if (release.readinessTimeout !== undefined && !(release.readinessTimeout > 0)) {
    problems.push(`readinessTimeout is ${release.readinessTimeout}, allowed are milliseconds above 0`);
  }
  if (!Number.isFinite(release.stopTimeout) || release.stopTimeout < 0) {
    problems.push(`stopTimeout is ${release.stopTimeout}, allowed are milliseconds from 0`);
  }
  if (![from, to].every((port) => Number.isInteger(port) && port >= 1 && port <= 65_535) || from > to) {
    problems.push(`portRange is ${from} to ${to}, allowed are two ports from 1 to 65535, the lower first`);
  }
  return problems;
}

async function checkDirectory(directory: string): Promise<void> {
  try {
    if (!(await stat(directory)).isDirectory()) {
      throw new DeployError('invalid_input', `The release directory ${directory} is not a directory.`, {
        remedy: 'Name the folder that the release was unpacked to.',
      });
    }
    await access(directory, constants.R_OK | constants.X_OK);
  } catch (thrown) {
    const code = codeOf(thrown);
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw new DeployError('not_found', `The release directory ${directory} does not exist on this host.`, {
        remedy: 'Unpack the release there first, or correct the path. Nothing was touched.',
        cause: thrown,
      });
    }
    if (code === 'EACCES' || code === 'EPERM') {
      throw new DeployError('permission_denied', `The release directory ${directory} cannot be entered.`, {
        remedy: 'Give the user that the runner works as the right to read it. Nothing was touched.',
        cause: thrown,
      });
    }
    throw thrown;
  }
}

/** As execvp(3) finds it, but with relative names seen from the release directory. */
async function findProgram(release: LinuxHostRelease, environment: Record<string, string>): Promise<string> {
  const name = release.command[0] ?? '';
  const path = environment['PATH'] ?? '';
  const folders = name.includes('/') ? [''] : path.split(delimiter).map((folder) => `${folder || '.'}/`);
  let forbidden: string | undefined;
  for (const folder of folders) {
    const file = resolve(release.directory, `${folder}${name}`);
    try {
      if (!(await stat(file)).isFile()) continue;
      await access(file, constants.X_OK);
      return file;
    } catch (thrown) {
      if (codeOf(thrown) === 'EACCES') forbidden ??= file;
    }
  }
  if (forbidden !== undefined) {
    throw new DeployError('permission_denied', `The program ${forbidden} cannot be executed.`, {
      remedy: 'Make it executable (chmod +x) for the user that the runner works as. Nothing was touched.',
    });
  }
  const where = name.includes('/') ? `at ${resolve(release.directory, name)}` : `on PATH (${path})`;
  throw new DeployError('not_found', `There is no program "${name}" ${where}.`, {
    remedy:
      'Install it, or give its path; relative paths start at the release directory. Nothing was touched.',
  });
}
