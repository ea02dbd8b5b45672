import { access, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  codeOf,
  DeployError,
  digestOf,
  lastLines,
  orUndefinedIfMissing,
  runProcess,
} from '@deploy-actions/core';
import type { InstallOptions } from './install.ts';

/** A program that is a package of Python. */
export interface PythonTool {
  /** For messages: `pip-audit`. */
  name: string;
  /** Run with `python -m`: `pip_audit`. */
  module: string;
  version: string;
  /** Lines of a requirements file: the tool and all that it needs, each pinned and with the SHA-256 of every wheel that is allowed. */
  requirements: string;
}

/**
 * The command that runs the tool, installed in a virtual environment of its own when it is not there yet. pip takes only wheels whose
 * SHA-256 is listed, and nothing that is not: no code of a package runs while it is installed. The environment has its name only when
 * it is whole. Throws `tool_rejected` when a wheel is not the one that is listed, `unreachable` when they cannot be had, `not_found`
 * without Python.
 */
export async function installPythonTool(
  tool: PythonTool,
  options: Pick<InstallOptions, 'cache' | 'log' | 'signal' | 'environment'>,
): Promise<string[]> {
  const folder = join(options.cache, tool.name);
  const environment = join(folder, digestOf(tool.requirements).slice('sha256:'.length, 23));
  const command = [join(environment, 'bin', 'python'), '-m', tool.module];
  if ((await orUndefinedIfMissing(access(environment).then(() => true))) === true) return command;
  await mkdir(folder, { recursive: true });
  const work = await mkdtemp(join(folder, 'install-'));
  try {
    options.log.info(`Installing ${tool.name} ${tool.version} in ${environment}.`);
    const made = join(work, 'environment');
    const run = (program: string, ...args: string[]) =>
      runProcess({
        command: [program, ...args],
        env: options.environment,
        signal: options.signal,
        timeout: 300_000,
      });
    const venv = await run('python3', '-m', 'venv', made);
    if (venv.code !== 0) {
      throw new DeployError('not_found', `Python cannot make a virtual environment for ${tool.name}.`, {
        remedy:
          'Python 3.10 or later with venv is needed (`actions/setup-python`, or python3-venv of Debian).',
        details: lastLines(`${venv.stdout}${venv.stderr}`, 10),
      });
    }
    const listed = join(work, 'requirements.txt');
    await writeFile(listed, `${tool.requirements}\n`);
    const pip = await run(
      join(made, 'bin', 'python'),
      ...['-m', 'pip', 'install', '--require-hashes', '--no-deps', '--only-binary', ':all:'],
      ...['--disable-pip-version-check', '--no-input', '--quiet', '-r', listed],
    );
    if (pip.code !== 0) throw notInstalled(tool, pip.stderr);
    await rename(made, environment).catch((thrown: unknown) => {
      // Another step was faster; what it installed is the same.
      if (!['EEXIST', 'ENOTEMPTY'].includes(codeOf(thrown) ?? '')) throw thrown;
    });
    return command;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

function notInstalled({ name, version }: PythonTool, stderr: string): DeployError {
  const details = lastLines(stderr, 20);
  return /do not match the hashes|THESE PACKAGES DO NOT MATCH/i.test(stderr)
    ? new DeployError(
        'tool_rejected',
        `${name} ${version} is not used: a wheel is not the one that is listed.`,
        {
          remedy: 'See which index pip uses, and who can write there.',
          details,
        },
      )
    : new DeployError('unreachable', `${name} ${version} could not be installed.`, {
        remedy: `Install ${name} on the runner, or give pip an index that the runner reaches (PIP_INDEX_URL). It needs CPython 3.10 to 3.14.`,
        details,
      });
}
