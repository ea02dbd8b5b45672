// A host to release to: a folder of its own, free ports, the small release of static-server.ts in as many versions as
// wanted, and in the end nothing of it left. The dist that is run is the repository's, or that of the variable DIST.

import { cp, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../support/ports.ts';
import { endProcessesWith } from '../support/processes.ts';
import { createJob, type Job, type JobOptions } from '../support/runner.ts';

export interface Host {
  root: string;
  state: string;
  /** Where the application is served, by the embedded proxy. */
  url: string;
  /** Inputs of every action that reads or changes what is deployed. */
  target: Record<string, string>;
  /** Inputs of a release; `env` says how static-server.ts behaves. */
  release(version: string, env?: Record<string, string>): Promise<Record<string, string>>;
  job(options?: JobOptions): Promise<Job>;
  /** The version that answers `count` requests, with how many each. */
  versions(count?: number): Promise<Record<string, number>>;
  end(): Promise<void>;
}

export const distOption = process.env['DIST'] === undefined ? {} : { dist: process.env['DIST'] };

export async function createHost(): Promise<Host> {
  const root = await mkdtemp(join(tmpdir(), 'host-'));
  // The last one is where it serves, which may be long after: of the ports for clients another would take it meanwhile.
  const ports = await freePorts(9);
  const listen = `127.0.0.1:${ports.to}`;
  const state = join(root, 'state');
  const jobs: Job[] = [];
  const target = {
    app: 'helpdesk',
    environment: 'production',
    platform: 'linux-host',
    router: 'embedded-proxy',
    listen,
    'state-directory': state,
  };
  return {
    root,
    state,
    url: `http://${listen}/`,
    target,
    async release(version, env = {}) {
      const directory = join(root, 'releases', version);
      await mkdir(directory, { recursive: true });
      await cp(join(import.meta.dirname, '../support/static-server.ts'), join(directory, 'app.ts'));
      return {
        ...target,
        version,
        directory,
        command: `${process.execPath} --disable-warning=ExperimentalWarning app.ts`,
        env: Object.entries({ VERSION: version, ...env })
          .map(([name, value]) => `${name}=${value}`)
          .join('\n'),
        'port-range': `${ports.from}-${ports.to - 1}`,
        'readiness-path': '/health/',
        'ready-timeout': '20s',
        supervisor: 'process',
      };
    },
    async job(options = {}) {
      const job = await createJob({ ...distOption, ...options });
      jobs.push(job);
      return job;
    },
    async versions(count = 20) {
      const seen: Record<string, number> = {};
      for (let index = 0; index < count; index += 1) {
        const answer = await fetch(`http://${listen}/`, { headers: { connection: 'close' } });
        await answer.body?.cancel();
        const version = answer.headers.get('x-version') ?? `${answer.status} of the proxy`;
        seen[version] = (seen[version] ?? 0) + 1;
      }
      return seen;
    },
    async end() {
      for (const job of jobs) await job.end();
      const left = await endProcessesWith(root, 2_000);
      await ports.release();
      await rm(root, { recursive: true, force: true });
      if (left.length > 0) throw new Error(`left: ${JSON.stringify(left)}`);
    },
  };
}

/** Every file below a folder with its content: to see that nothing was written. */
export async function tree(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const contents = await Promise.all(files.toSorted().map((file) => readFile(file, 'base64')));
  return Object.fromEntries(files.toSorted().map((file, index) => [file, contents[index] ?? '']));
}
