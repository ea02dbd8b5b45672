// Real outcomes of the actions of a built dist, for the summaries that they write: a host with releases of the small
// application, load on it, and a database.

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setupPython } from '../../scripts/setup-python.ts';
import { createHost, type Host } from '../support/host.ts';
import { startLoad } from '../support/load/index.ts';
import { startPostgres } from '../support/postgres.ts';
import { createJob, type Job, type StepResult } from '../support/runner.ts';

/** What a step was run for. */
export interface Wanted {
  action: string;
  inputs: Record<string, string>;
  /** The result that it has to have, so that a page does not quietly show another. */
  result: string;
}

export interface Stage {
  readonly host: Host;
  /** Runs a step and resolves to its summary. Throws with its log when it ends with another result. */
  summary(wanted: Wanted): Promise<string>;
  /** The same for a step that releases a version; `env` says how the application behaves. */
  release(version: string, wanted: Wanted, env?: Record<string, string>): Promise<string>;
  /** While something runs, so many requests a second are sent. */
  underLoad<T>(rate: number, run: () => Promise<T>): Promise<T>;
  /** Inputs that `migrate-db` needs, for an empty database of its own. */
  database(): Promise<Record<string, string>>;
  /** The root action in a workspace with this deploy.yml; JSON is YAML. */
  pipeline(
    version: string,
    config: Record<string, unknown>,
    result: string,
    more?: Record<string, string>,
  ): Promise<string>;
  /** `check-config` in a workspace with this deploy.yml. */
  config(config: Record<string, unknown>, result: string): Promise<string>;
  end(): Promise<void>;
}

export async function createStage(dist: string | undefined): Promise<Stage> {
  const host = await createHost({ dist });
  const endings: (() => Promise<unknown>)[] = [() => host.end()];
  const jobOptions = dist === undefined ? {} : { dist };
  let databases = 0;
  let server: ReturnType<typeof startPostgres> | undefined;

  const expected = (step: StepResult, result: string): string => {
    if (step.outputs['result'] === result) return step.summary;
    throw new Error(`${step.action} ended as ${step.outputs['result']}, not as ${result}:\n${step.log}`);
  };
  async function inWorkspace<T>(config: Record<string, unknown>, work: (job: Job) => Promise<T>): Promise<T> {
    const workspace = join(host.folder, 'workspace');
    await mkdir(join(workspace, '.github'), { recursive: true });
    await writeFile(join(workspace, '.github/deploy.yml'), JSON.stringify(config, null, 2));
    const job = await createJob({ ...jobOptions, workspace });
    try {
      return await work(job);
    } finally {
      await job.end();
    }
  }
  const stage: Stage = {
    host,
    summary: async ({ action, inputs, result }) => expected(await host.step(action, inputs), result),
    async release(version, { action, inputs, result }, env = {}) {
      const lines = Object.entries({ VERSION: version, TERM: 'graceful', ...env });
      const all = { env: lines.map(([name, value]) => `${name}=${value}`).join('\n'), ...inputs };
      return expected(await host.step(action, host.inputs(version, all)), result);
    },
    async underLoad(rate, run) {
      const load = await startLoad({ url: `${host.url}/`, rate, durationSeconds: 120 });
      try {
        return await run();
      } finally {
        load.kill();
      }
    },
    async database() {
      const setup = await setupPython();
      server ??= startPostgres({ pgBin: setup.pgBin });
      const postgres = await server;
      if (databases === 0) endings.push(() => postgres.stop());
      databases += 1;
      const name = `pages_${databases}`;
      await postgres.createDatabase(name);
      return {
        environment: 'production',
        migrator: 'django',
        directory: join(import.meta.dirname, '../../packages/migrations/testdata/project'),
        python: setup.python,
        'postgres-bin': postgres.pgBin,
        'backup-directory': join(host.folder, 'backups'),
        env: Object.entries({ ...postgres.env, PGDATABASE: name })
          .map(([variable, value]) => `${variable}=${value}`)
          .join('\n'),
      };
    },
    pipeline: (version, config, result, more = {}) =>
      inWorkspace(config, async (job) =>
        expected(await job.step('deploy', { environment: 'production', version, ...more }), result),
      ),
    config: (config, result) =>
      inWorkspace(config, async (job) => expected(await job.step('check-config', {}), result)),
    async end() {
      const ended = await Promise.allSettled(endings.toReversed().map((end) => end()));
      for (const one of ended) if (one.status === 'rejected') throw one.reason;
    },
  };
  return stage;
}
