// A real Kubernetes of one node on this machine: up, status, down.

import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { kubernetesBinaries } from './binaries.ts';
import { type Say } from './cache.ts';
import { end } from '../support/command.ts';
import { apiReady, nodeReady, startControlPlane } from './control-plane.ts';
import { type Daemon, endDaemons, recordedDaemons, runs } from './daemons.ts';
import { type Access, readAccess } from './kubeconfig.ts';
import { hasGroups, removeGroups, shimsOf, unmountAll } from './leftovers.ts';
import { withLock } from './lock.ts';
import { hasKubernetesRules, removeTraces, setUpNetwork, tearDownNetwork } from './network.ts';
import { requirePackages } from './packages.ts';
import {
  containerdSocket,
  inState,
  kubeconfigFile,
  lockFile,
  ports,
  processesFile,
  stateFolder,
} from './place.ts';
import { addUser, isUsed } from './users.ts';

/** Written last: with it the cluster was complete once. */
const completeFile = inState('complete');
/** Set by `up`: the cluster stays when the last run of tests has ended. */
const keptFile = inState('kept');
const usersFolder = inState('users');
/** kubelet's control group. */
const podGroup = 'kubepods';
const failedFolder = `${stateFolder}.failed`;

export interface Status {
  daemons: (Daemon & { runs: boolean })[];
  apiReady: boolean;
  nodeReady: boolean;
  /** Everything runs and is ready. */
  healthy: boolean;
}

/** What the API server's administrator needs. Throws with what to do when there is no cluster. */
export async function adminAccess(): Promise<Access> {
  if (!existsSync(completeFile))
    throw new Error('no cluster is up on this machine: `npm run cluster -- up` starts one');
  return readAccess(kubeconfigFile);
}

/** The folder with kubectl of the cluster's version. */
export async function binariesOfCluster(): Promise<string> {
  return readFile(completeFile, 'utf8');
}

/** Undefined when there is no trace of a cluster. */
export async function status(): Promise<Status | undefined> {
  if (!existsSync(stateFolder)) return undefined;
  await requireOwnFolder();
  const daemons = (await recordedDaemons(processesFile)).map((one) => ({ ...one, runs: runs(one) }));
  const access = await readAccess(kubeconfigFile).catch(() => undefined);
  const check = (isReady: (access: Access) => Promise<boolean>): Promise<boolean> =>
    access === undefined ? Promise.resolve(false) : isReady(access).catch(() => false);
  const [api, node] = await Promise.all([check(apiReady), check(nodeReady)]);
  const healthy = existsSync(completeFile) && daemons.every((one) => one.runs) && api && node;
  return { daemons, apiReady: api, nodeReady: node, healthy };
}

/** What is in it says which processes are ended: nobody else may have written that. */
async function requireOwnFolder(): Promise<void> {
  const { uid } = await stat(stateFolder);
  if (process.getuid?.() !== uid) throw new Error(`${stateFolder} is another user's (uid ${uid})`);
}

function requireRoot(): void {
  if (process.platform !== 'linux') throw new Error(`the cluster needs Linux; this is ${process.platform}`);
  if (process.getuid?.() !== 0)
    throw new Error(
      'the cluster needs root: it makes network interfaces, rules of iptables and mounts. Run the command as root',
    );
}

function locked<T>(say: Say, work: () => Promise<T>): Promise<T> {
  return withLock(lockFile, () => say('Another process starts or ends the cluster: waiting for it'), work);
}

/** Refuses to start beside what it could take for its own in the end, or where a port is taken. */
async function requireFreeMachine(): Promise<void> {
  const other = 'another Kubernetes runs on this machine';
  if (await hasKubernetesRules()) throw new Error(`${other}: there are rules of kube-proxy in iptables`);
  if (await hasGroups(podGroup)) throw new Error(`${other}: there are control groups of its pods`);
  for (const [name, port] of Object.entries(ports)) {
    await new Promise<void>((resolve, reject) => {
      const server = createServer();
      server.once('error', (error) => reject(new Error(`the port of ${name} is not free: ${error.message}`)));
      server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve()));
    });
  }
}

async function start(binaries: string, say: Say): Promise<void> {
  await requireFreeMachine();
  const began = performance.now();
  await mkdir(stateFolder, { mode: 0o700 });
  // Ctrl-C reaches a terminal's whole group: what was started is ended before this process is.
  const ending = new AbortController();
  const interrupt = (signal: NodeJS.Signals) => ending.abort(new Error(`interrupted by ${signal}`));
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  try {
    await setUpNetwork();
    await startControlPlane(binaries, ending.signal);
    ending.signal.throwIfAborted();
    await writeFile(completeFile, binaries);
  } catch (error) {
    const cause: unknown = ending.signal.aborted ? ending.signal.reason : error;
    ending.abort();
    await rm(failedFolder, { recursive: true, force: true });
    await rename(inState('logs'), failedFolder).catch(() => {});
    await takeDown();
    throw new Error(`the cluster did not come up; its logs are in ${failedFolder}`, { cause });
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  }
  say(`Kubernetes is ready after ${((performance.now() - began) / 1000).toFixed(1)} s`);
}

async function takeDown(): Promise<void> {
  const daemons = await recordedDaemons(processesFile);
  const named = (name: string): Daemon[] => daemons.filter((one) => one.name === name);
  await endDaemons(named('kubelet'));
  await endDaemons(daemons.filter(({ name }) => !['kubelet', 'containerd', 'etcd'].includes(name)));
  if (named('containerd').some(runs)) await removeTasks();
  await endDaemons([...named('containerd'), ...named('etcd')]);
  await removeGroups(podGroup);
  await endDaemons(await shimsOf(containerdSocket), 0);
  await unmountAll(stateFolder);
  await tearDownNetwork();
  await removeTraces();
  await rm(stateFolder, { recursive: true, force: true, maxRetries: 3 });
}

/** Kills every container by containerd, which then ends the container's shim. */
async function removeTasks(): Promise<void> {
  const ctr = ['-a', containerdSocket, '-n', 'k8s.io', 'tasks'];
  const ids = (await end('ctr', [...ctr, 'ls', '-q'])).stdout.split('\n').filter(Boolean);
  if (ids.length > 0) await end('ctr', [...ctr, 'rm', '--force', ...ids]);
}

async function ensure(say: Say): Promise<void> {
  await requirePackages(say);
  const binaries = await kubernetesBinaries(say);
  let there = await status();
  // On a machine that is busy its answers are late: what runs may be in use by others, and is not taken down for that.
  for (const end = performance.now() + 60_000; performance.now() < end; there = await status()) {
    if (there === undefined || there.healthy || there.daemons.some(({ runs }) => !runs)) break;
    await delay(500);
  }
  if (there?.healthy === true) return say('Kubernetes is up already');
  if (there !== undefined) {
    const dead = there.daemons.filter((one) => !one.runs).map(({ name }) => name);
    say(
      `There is a cluster that is not healthy (${dead.join(', ') || 'not ready'}): starting another in its place`,
    );
    await takeDown();
  }
  await start(binaries, say);
}

/** Brings the cluster up, or finds it healthy. It stays until {@link down}. */
export async function up(say: Say): Promise<Access> {
  requireRoot();
  await locked(say, async () => {
    await ensure(say);
    await writeFile(keptFile, '');
  });
  return adminAccess();
}

/** Ends it and undoes what it did to the machine, whoever uses it. Whether there was one. */
export async function down(say: Say): Promise<boolean> {
  requireRoot();
  return locked(say, async () => {
    if (!existsSync(stateFolder)) return false;
    await requireOwnFolder();
    await takeDown();
    return true;
  });
}

/**
 * Brings the cluster up for this process. Call `release` in the end: it takes the cluster down when nobody asked for it by
 * {@link up} and no other process uses it.
 */
export async function use(say: Say): Promise<{ release(): Promise<void> }> {
  requireRoot();
  const leave = await locked(say, async () => {
    await ensure(say);
    return addUser(usersFolder);
  });
  return {
    release: () =>
      locked(say, async () => {
        leave();
        if (existsSync(stateFolder) && !existsSync(keptFile) && !(await isUsed(usersFolder)))
          await takeDown();
      }),
  };
}
