// What the demo runs on: a database, five releases of the sample platform, a state folder, a free port, a load. All of it
// lies in, or is started with, one temporary folder, whose path therefore marks every process that belongs to it.

import { randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { execFile, spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import {
  makeRelease,
  manageCommand,
  type Release,
  releaseEnvironment,
  type ReleaseKind,
  serveCommand,
} from '../../test/helpdesk/release.ts';
import { type Load, startLoad } from '../../test/support/load/index.ts';
import { freePort, freePorts } from '../../test/support/ports.ts';
import { startPostgres } from '../../test/support/postgres.ts';
import { endProcessesWith, type Found, processesWith } from '../../test/support/processes.ts';
import { createJob, type Job } from '../../test/support/runner.ts';
import { setupPython } from '../setup-python.ts';

/**
 * Requests a second; half of them new connections, half POST on connections that are kept. A step has to see 200: on a busy machine it
 * begins and ends as much as half a second late.
 */
export const rate = 230;

export interface Stage {
  /** Where the application is served. */
  url: string;
  release(number: number, kind?: ReleaseKind): Promise<Release>;
  /** The inputs of blue-green-switch and canary for a release. */
  deliveryInputs(release: Release): Record<string, string>;
  /** The inputs and the step's environment of migrate-db for a release. */
  migration(release: Release): { inputs: Record<string, string>; env: Record<string, string> };
  createToken(release: Release): Promise<string>;
  startJob(runId: string, runAttempt?: string): Promise<Job>;
  /** A load on the application at `url`; `phase` is the name of its first phase. */
  startLoad(url: string, phase: string, token: string, onSecond: OnSecond): Promise<Load>;
  /** The application by itself, without proxy; resolves when it is healthy. */
  serve(release: Release, port: number): Promise<{ stop(): Promise<void> }>;
}

export type OnSecond = NonNullable<Parameters<typeof startLoad>[1]>;

export interface Place {
  root: string;
  /** Ends every process and removes every file of the demo; resolves to the processes that are left even so. */
  clear(): Promise<Found[]>;
}

/** Made before anything else, so that whatever is started afterwards can be found again. */
export async function makePlace(): Promise<Place> {
  const root = await mkdtemp(join(tmpdir(), 'deploy-actions-demo-'));
  // As root the database is another user's process; its folder inside is closed.
  await chmod(root, 0o711);
  process.env['TMPDIR'] = root;
  process.env['DEPLOY_ACTIONS_DEMO'] = root;
  return {
    root,
    async clear() {
      // More than once, for what was under way when the demo was interrupted may start something yet.
      for (let attempt = 1; ; attempt += 1) {
        await endProcessesWith(root);
        await delay(100);
        await rm(root, { recursive: true, force: true, maxRetries: 3 });
        const left = processesWith(root);
        if (left.length === 0 || attempt === 10) return left;
      }
    },
  };
}

export async function openStage(
  place: Place,
  dist: string | undefined,
  say: (text: string) => void,
): Promise<Stage> {
  const { root } = place;
  say('set up: Python environment with Django and PostgreSQL');
  const { python, pgBin } = await setupPython({ log: (line) => say(`  ${line}`) });
  say('set up: PostgreSQL starts');
  const postgres = await startPostgres({ pgBin });
  const databaseUrl = await postgres.createDatabase('helpdesk');
  const secretKey = randomBytes(24).toString('base64url');
  const environment: Record<string, string> = {
    ...releaseEnvironment({ databaseUrl, secretKey }),
    LOG_LEVEL: 'WARNING',
  };
  const envFile = join(root, 'production.env');
  await writeFile(envFile, lines(environment), { mode: 0o600 });
  const listen = `127.0.0.1:${await freePort()}`;
  const ports = await freePorts(8);
  const state = join(root, 'state');
  const workspace = join(root, 'workspace');
  await mkdir(workspace);

  return {
    url: `http://${listen}`,
    release: (number, kind = 'good') =>
      makeRelease({ number, kind, directory: join(root, 'releases', `${number}.0.0`) }),
    deliveryInputs: (release) => ({
      app: 'helpdesk',
      environment: 'production',
      platform: 'linux-host',
      router: 'embedded-proxy',
      listen,
      'state-directory': state,
      version: release.version,
      directory: release.directory,
      command: serveCommand(python).join(' '),
      'env-file': envFile,
      'readiness-path': '/health/',
      'port-range': `${ports.from}-${ports.to}`,
      supervisor: 'process',
    }),
    migration: (release) => ({
      inputs: {
        environment: 'production',
        migrator: 'django',
        directory: release.directory,
        python,
        'postgres-bin': pgBin,
        'backup-directory': join(root, 'backups'),
      },
      env: environment,
    }),
    async createToken(release) {
      const [program = '', ...args] = manageCommand(python, 'api_token', 'ada@example.org', '--create');
      const { stdout } = await promisify(execFile)(program, args, {
        cwd: release.directory,
        env: { ...process.env, ...environment },
      });
      return stdout.trim();
    },
    startJob: (runId, runAttempt = '1') =>
      createJob({
        ...(dist === undefined ? {} : { dist }),
        workspace,
        runId,
        runAttempt,
        secrets: [databaseUrl, secretKey],
      }),
    startLoad: (url, phase, token, onSecond) =>
      startLoad(
        {
          url: `${url}/`,
          postUrl: `${url}/api/tickets/`,
          body: JSON.stringify({ title: 'The printer on the third floor is out of paper' }),
          headers: { authorization: `Bearer ${token}` },
          // Made by the application and passed on by the proxy: an answer without it is not the application's.
          appHeader: 'x-request-id',
          rate,
          durationSeconds: 600,
          phase,
        },
        onSecond,
      ),
    async serve(release, port) {
      const [program = '', ...args] = serveCommand(python);
      const child = spawn(program, args, {
        cwd: release.directory,
        env: { ...process.env, ...environment, PORT: String(port) },
        stdio: 'ignore',
        detached: true,
      });
      const { promise: ended, resolve } = Promise.withResolvers<void>();
      child.once('close', () => resolve()).once('error', () => resolve());
      for (;;) {
        const answer = await fetch(`http://127.0.0.1:${port}/health/`).catch(() => undefined);
        await answer?.body?.cancel();
        if (answer?.status === 200) break;
        if (child.exitCode !== null) throw new Error(`the application ended with ${child.exitCode}`);
        await delay(50);
      }
      return {
        async stop() {
          child.kill('SIGTERM');
          await ended;
        },
      };
    },
  };
}

function lines(variables: Record<string, string>): string {
  return Object.entries(variables)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}
