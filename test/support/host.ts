// A Linux host of a test's own, for tests that release to it: a folder with its state, an application, ports, and a job
// whose steps are the actions of a built dist. Beside what the product says of itself it looks on its own: which processes
// there are, and who answers.

import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { stripTypeScriptTypes } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog } from '@deploy-actions/core';
import { createLinuxHost, type LinuxHostRelease } from '@deploy-actions/platforms';
import { adminClient, type ProxyState } from '@deploy-actions/proxy';
import {
  createFileStore,
  type HistoryEntry,
  type Journal,
  peekJournal,
  readHistory,
  type Slots,
} from '@deploy-actions/release-engine';
import { freePorts } from './ports.ts';
import { endProcessesWith, type Found, processesWith } from './processes.ts';
import { createJob, type Job, type StepOptions, type StepResult } from './runner.ts';

export interface HostOptions {
  /** The tree of actions; default: the repository's. */
  dist?: string | undefined;
  /** Inputs of every step, beside those that say where and what. */
  inputs?: Record<string, string>;
}

/** What there is, by the product's own state and by the kernel. */
export interface Sight {
  slots: Slots<LinuxHostRelease>;
  journal: Journal<LinuxHostRelease> | null;
  history: HistoryEntry<LinuxHostRelease>[];
  /** Undefined when none answers. */
  proxy: ProxyState | undefined;
  /** The lease's document; null when it is free. */
  lease: unknown;
  processes: { proxies: Found[]; applications: Found[]; others: Found[] };
}

export interface Host {
  readonly folder: string;
  readonly stateDirectory: string;
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  readonly job: Job;
  /** Inputs of a step that releases the version. */
  inputs(version: string, more?: Record<string, string>): Record<string, string>;
  /** Releases a version by a step of the action; throws with its log when that fails. */
  release(action: string, version: string, more?: Record<string, string>): Promise<StepResult>;
  step(action: string, inputs: Record<string, string>, options?: StepOptions): Promise<StepResult>;
  look(): Promise<Sight>;
  /** The versions that answer `count` requests, each on a connection of its own; what is no answer is named too. */
  ask(count: number): Promise<Record<string, number>>;
  /** Ends every process of the host and removes it. */
  end(options?: { keepFolder?: boolean }): Promise<void>;
}

const open = new Set<Host>();

/** Ctrl-C, or a runner's cancel, ends every host before this process. The result is aborted then: what fails after it is no finding. */
export function endHostsOnSignals(): AbortSignal {
  const ending = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      ending.abort();
      void Promise.allSettled([...open].map((host) => host.end())).then(() => process.exit(130));
    });
  }
  return ending.signal;
}

const application = new URL('static-server.ts', import.meta.url);

export async function createHost(options: HostOptions = {}): Promise<Host> {
  const folder = await mkdtemp(join(tmpdir(), 'host-'));
  const stateDirectory = join(folder, 'state');
  const directory = join(folder, 'release');
  await mkdir(directory);
  // As JavaScript, so that an instance starts in the time that a bare one takes.
  const source = stripTypeScriptTypes(await readFile(application, 'utf8'));
  await writeFile(join(directory, 'app.mjs'), source);
  // The public one, and those of the application's instances.
  const ports = await freePorts(21);
  const port = ports.from;
  const job = await createJob(options.dist === undefined ? {} : { dist: options.dist });
  const store = createFileStore(join(stateDirectory, 'state'));
  const proxy = adminClient(join(stateDirectory, 'proxy'));
  const platform = createLinuxHost({
    stateDir: stateDirectory,
    slots: ['blue', 'green'],
    log: silentLog,
    supervisor: 'process',
  });

  const inputs = (version: string, more: Record<string, string> = {}) => ({
    app: 'helpdesk',
    environment: 'production',
    platform: 'linux-host',
    router: 'embedded-proxy',
    listen: `127.0.0.1:${port}`,
    'state-directory': stateDirectory,
    supervisor: 'process',
    directory,
    command: `${process.execPath} app.mjs`,
    'readiness-path': '/health/',
    'port-range': `${port + 1}-${ports.to}`,
    version,
    env: `VERSION=${version}\nTERM=graceful`,
    ...options.inputs,
    ...more,
  });

  async function ask(count: number): Promise<Record<string, number>> {
    const answers: Record<string, number> = {};
    for (let sent = 0; sent < count; sent += 1) {
      const answer = await versionAt(port);
      answers[answer] = (answers[answer] ?? 0) + 1;
    }
    return answers;
  }

  const host: Host = {
    folder,
    stateDirectory,
    url: `http://127.0.0.1:${port}`,
    job,
    inputs,
    ask,
    step: (action, given, step) => job.step(action, given, step),

    async release(action, version, more) {
      const step = await job.step(action, inputs(version, more));
      if (step.exitCode !== 0) throw new Error(`${action} of ${version} failed:\n${step.log}`);
      return step;
    },

    async look() {
      const [slots, journal, history, lease, state] = await Promise.all([
        platform.observe(),
        peekJournal<LinuxHostRelease>(store),
        readHistory<LinuxHostRelease>(store),
        store.read('lease'),
        proxy.state({ signal: AbortSignal.timeout(5_000) }).then(
          (answer) => answer.state,
          () => undefined,
        ),
      ]);
      const processes = processesWith(folder);
      const applications = processes.filter(({ command }) => command.endsWith(' app.mjs'));
      const proxies = processes.filter(({ command }) => command.includes('/proxy/program.mjs '));
      const others = processes.filter((one) => !applications.includes(one) && !proxies.includes(one));
      return {
        slots,
        journal,
        history,
        lease: lease.value,
        proxy: state,
        processes: { proxies, applications, others },
      };
    },

    async end({ keepFolder = false } = {}) {
      open.delete(host);
      await endProcessesWith(folder, 500);
      await job.end();
      await ports.release();
      if (!keepFolder) await rm(folder, { recursive: true, force: true });
    },
  };
  open.add(host);
  return host;
}

/** The `x-version` of the answer to one request, or what came instead. */
function versionAt(port: number): Promise<string> {
  return new Promise((resolve) => {
    const failed = (error: Error) => resolve(error.message);
    request({ host: '127.0.0.1', port, path: '/', agent: false }, (response) => {
      const version = response.headers['x-version'];
      response.resume().once('error', failed);
      response.once('end', () =>
        resolve(typeof version === 'string' ? version : `HTTP ${response.statusCode}`),
      );
    })
      .once('error', failed)
      .end();
  });
}

/**
 * Makes a host's state that of one with nothing behind it but what is current: of each document the newest version alone,
 * and no temporary file of a writer that was killed. So each of many releases in one folder makes the same mutations.
 */
export async function forgetPast(stateDirectory: string): Promise<void> {
  const store = join(stateDirectory, 'state');
  for (const key of await readdir(store)) {
    const names = await readdir(join(store, key));
    const newest = names
      .filter((name) => name.endsWith('.json'))
      .toSorted()
      .at(-1);
    for (const name of names) if (name !== newest) await rm(join(store, key, name));
  }
}
