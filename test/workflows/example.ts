// A user's repository made from one of the examples: the workflows as they are, deploy.yml with what a user fills in, and
// static-server.ts as the application. Each commit is a version.

import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isRecord, type Json, parseYaml } from '@deploy-actions/core';
import { freePorts } from '../support/ports.ts';
import { createRepository, type Repository } from './repository.ts';

const root = join(import.meta.dirname, '../..');
export const examples = join(root, 'workflows-examples');

export type Settings = { [key: string]: Json };

export interface Example extends Pick<Repository, 'run' | 'end' | 'github' | 'folder' | 'directory'> {
  /** The URL that users reach. */
  url: string;
  /** Commits a version that behaves as `env` says (see static-server.ts), with `settings` in its deploy.yml. Returns its SHA. */
  commit(version: string, env?: Record<string, string>, settings?: Settings): Promise<string>;
  /** The versions that answer 20 requests. */
  serving(): Promise<string[]>;
}

/** `own` in the place of, and beside, what is in `base`, at every depth. */
function merge(base: Settings, own: Settings): Settings {
  const merged = { ...base };
  for (const [key, value] of Object.entries(own)) {
    const before = merged[key];
    merged[key] = isRecord(before) && isRecord(value) ? merge(before, value) : value;
  }
  return merged;
}

/** Writes the deploy.yml of an example with what a user fills in. */
export async function fillIn(name: string, directory: string, filledIn: Settings): Promise<void> {
  const file = join('.github', 'deploy.yml');
  const copied = (await parseYaml(await readFile(join(examples, name, file), 'utf8'))) as Settings;
  // JSON is YAML.
  await writeFile(join(directory, file), `${JSON.stringify(merge(copied, filledIn), null, 2)}\n`);
}

export async function createExample(name: string, filledIn: Settings): Promise<Example> {
  const repository = await createRepository();
  const { folder, directory } = repository;
  await cp(join(examples, name, '.github'), join(directory, '.github'), { recursive: true });
  await cp(join(root, 'test/support/static-server.ts'), join(directory, 'server.ts'));
  await writeFile(join(folder, 'production.env'), '# What is secret in production.\n');

  const ports = await freePorts(9);
  const listen = `127.0.0.1:${ports.from}`;
  const ofThisMachine: Settings = {
    router: { listen },
    health: { url: `http://${listen}/health/` },
    'state-directory': join(folder, 'state'),
    'linux-host': {
      command: [process.execPath, '--disable-warning=ExperimentalWarning', 'server.ts'],
      'port-range': `${ports.from + 1}-${ports.to}`,
      supervisor: 'process',
    },
    environments: { production: { 'linux-host': { 'env-file': join(folder, 'production.env') } } },
  };
  const settings = merge(ofThisMachine, filledIn);

  return {
    folder,
    directory,
    github: repository.github,
    run: repository.run,
    end: repository.end,
    url: `http://${listen}/`,
    async commit(version, env = {}, own = {}) {
      const released = merge(merge(settings, { 'linux-host': { env: { VERSION: version, ...env } } }), own);
      await fillIn(name, directory, released);
      return repository.commit(`Release ${version}`);
    },
    async serving() {
      const seen = new Set<string>();
      for (let count = 0; count < 20; count += 1) {
        const answer = await fetch(`http://${listen}/`, { headers: { connection: 'close' } });
        await answer.body?.cancel();
        seen.add(answer.headers.get('x-version') ?? `${answer.status} of the proxy`);
      }
      return [...seen].toSorted();
    },
  };
}
