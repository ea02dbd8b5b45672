// The registry and the builder: a process each, ready when these resolve.

import { mkdir, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Daemon, lastLines, runs, startDaemon } from '../../cluster/daemons.ts';
import { systemPath } from '../../cluster/packages.ts';
import { freePort } from '../../support/ports.ts';
import type { Programs } from './programs.ts';

export const environment = { PATH: systemPath, HOME: '/root' };

/** A check of a process: whether it is ready. */
type Check = () => Promise<boolean>;

/** Whether an HTTP server answers; it listens on a socket, or a port of 127.0.0.1. */
export const httpAnswers =
  (listener: { socketPath: string } | { host: string; port: number }, path: string): Check =>
  () =>
    new Promise((resolve) => {
      const asked = request({ ...listener, path, timeout: 2_000 }, (answer) => {
        answer.resume();
        resolve(true);
      });
      asked.once('error', () => resolve(false)).once('timeout', () => asked.destroy());
      asked.end();
    });

const socketOpens =
  (path: string): Check =>
  () =>
    new Promise((resolve) => {
      const socket = connect(path, () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });

/** Waits until it is ready. Throws with its last lines when it ends before, or takes more than 30 s. */
export async function untilReady(record: string, daemon: Daemon, isReady: Check): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!(await isReady())) {
    if (!runs(daemon) || performance.now() > deadline)
      throw new Error(`${daemon.name} does not answer:\n${await lastLines(record, daemon.name)}`);
    await delay(20);
  }
}

/** Serves the folder as `127.0.0.1:PORT` by plain HTTP; manifests can be deleted. */
export async function startRegistry(record: string, programs: Programs, folder: string): Promise<string> {
  const port = await freePort();
  const configuration = `${folder}.yml`;
  await mkdir(folder, { recursive: true });
  await writeFile(
    configuration,
    JSON.stringify({
      version: 0.1,
      log: { level: 'warn', accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: folder }, delete: { enabled: true } },
      http: { addr: `127.0.0.1:${port}` },
    }),
  );
  const command = [programs.registry, 'serve', configuration];
  const daemon = await startDaemon(record, 'registry', command, {
    ...environment,
    OTEL_TRACES_EXPORTER: 'none',
  });
  await untilReady(record, daemon, httpAnswers({ host: '127.0.0.1', port }, '/v2/'));
  return `127.0.0.1:${port}`;
}

export interface Builder {
  daemon: Daemon;
  /** `unix://…` */
  address: string;
}

export interface BuilderOptions {
  record: string;
  programs: Programs;
  /** For its files. */
  folder: string;
  /** Stands for Docker Hub. */
  registry: string;
  /** Of what its build steps run in, at the top of each hierarchy. */
  controlGroup: string;
  /** Of the process in the record; default `buildkitd`. */
  name?: string;
}

/** A buildkitd whose build steps have the host's network. */
export async function startBuilder(options: BuilderOptions): Promise<Builder> {
  const { record, programs, folder, registry, controlGroup, name = 'buildkitd' } = options;
  await mkdir(folder, { recursive: true });
  const socketPath = join(folder, 'buildkitd.sock');
  const configuration = join(folder, 'buildkitd.toml');
  await writeFile(
    configuration,
    `root = ${JSON.stringify(join(folder, 'root'))}
insecure-entitlements = ["network.host"]
[cdi]
  disabled = true
[grpc]
  address = ["unix://${socketPath}"]
[worker.containerd]
  enabled = false
[worker.oci]
  enabled = true
  snapshotter = "overlayfs"
  networkMode = "host"
  defaultCgroupParent = "${controlGroup}"
  gc = false
[registry."docker.io"]
  mirrors = ["${registry}"]
[registry."${registry}"]
  http = true
`,
  );
  // It makes its temporary files where it is told, so that they go with the folder.
  const env = { ...environment, TMPDIR: join(folder, 'tmp') };
  await mkdir(env.TMPDIR, { recursive: true });
  const daemon = await startDaemon(record, name, [programs.buildkitd, '--config', configuration], env);
  await untilReady(record, daemon, socketOpens(socketPath));
  return { daemon, address: `unix://${socketPath}` };
}

/** The folder of a record's logs has to be there before its first process is. */
export async function prepareRecord(record: string): Promise<void> {
  await mkdir(join(dirname(record), 'logs'), { recursive: true });
}
