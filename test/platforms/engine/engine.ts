// A real container engine for tests: dockerd, a registry, BuildKit and buildx, with images that stand for those of Docker Hub.
//
// The machine's own Docker, where there is one, is left alone: other sockets, folders, addresses and control groups, and no rule of
// iptables is made. Published ports are served by docker-proxy; build steps have the host's network.

import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Say } from '../../cluster/cache.ts';
import {
  type Daemon,
  endDaemons,
  recordedDaemons,
  runs,
  startDaemon,
  startTimeOf,
} from '../../cluster/daemons.ts';
import { keyOfValue } from '../../cluster/debian-root.ts';
import { removeGroups, shimsOf, unmountAll } from '../../cluster/leftovers.ts';
import { withLock } from '../../cluster/lock.ts';
import { addUser, isUsed } from '../../cluster/users.ts';
import { output } from '../../support/command.ts';
import { baseImages, type Bases } from './bases.ts';
import { addBuilder, builderName, dockerEnvironment } from './client.ts';
import {
  completeFile,
  containerdSocket,
  controlGroup,
  dockerSocket,
  inState,
  lockFile,
  network,
  processesFile,
  stateFolder,
  usersFolder,
} from './place.ts';
import { enginePrograms, type Programs } from './programs.ts';
import {
  environment,
  httpAnswers,
  prepareRecord,
  startBuilder,
  startRegistry,
  untilReady,
} from './services.ts';
import { hostSecrets } from './secrets.ts';

const failedFolder = `${stateFolder}.failed`;

/** What an engine that is up was made of, and where it is. */
interface State {
  key: string;
  registry: string;
  /** buildkitd's address. */
  builder: string;
}

export interface Engine {
  /**
   * The variables that `docker` and `docker buildx` need, for `{ ...process.env, ...env }`: PATH, DOCKER_HOST, BUILDX_BUILDER, and a
   * DOCKER_CONFIG of its own, so that logins and builders are this caller's.
   */
  env: Record<string, string>;
  /** `127.0.0.1:PORT`, plain HTTP, no login. It stands for Docker Hub, too: what is pushed as `library/x` is `FROM x`. */
  registry: string;
  /** The builder's name, which is in BUILDX_BUILDER: a buildkitd of which all callers share the cache. */
  builder: string;
  /** What stands for an image of Docker Hub, by digest: `python:3.11-slim` → `python:3.11-slim@sha256:…`. */
  bases: Record<string, string>;
  /** Build secrets by id → file, which pip and npm need inside a build on this machine. They may be missing in a build elsewhere. */
  secrets: Record<string, string>;
  /** Runs `docker` with these arguments. Its standard output, trimmed; throws with its last lines when it fails. */
  docker(...args: string[]): Promise<string>;
  /** Starts another builder with an empty cache: for measuring cold builds. It ends with the engine, or by `end`. */
  freshBuilder(name: string): Promise<{ name: string; end(): Promise<void> }>;
  /** Takes away what this caller made by name; the engine itself goes with its last user. */
  end(): Promise<void>;
}

function requireRoot(): void {
  if (process.platform !== 'linux') throw new Error(`the engine needs Linux; this is ${process.platform}`);
  if (process.getuid?.() !== 0)
    throw new Error('the engine needs root: it makes mounts, control groups and a network interface');
}

/** So that what is measured is the build, and not the disk of this machine. */
async function keepInMemory(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await output('mount', ['-t', 'tmpfs', 'tmpfs', folder]);
}

/**
 * What containers do goes before what the daemons do beside it. The daemons are in no control group, and in version 1 each thread of theirs
 * weighs as much as all build steps together do (1024): one that unpacks an image would halve what they get. In version 2 no controller
 * is on for a group that is made by hand, and there is nothing to weigh.
 */
async function weighContainers(): Promise<void> {
  const hierarchy = '/sys/fs/cgroup/cpu';
  if (!existsSync(hierarchy)) return;
  await mkdir(join(hierarchy, controlGroup), { recursive: true });
  await writeFile(join(hierarchy, controlGroup, 'cpu.shares'), '8192');
}

/** What is in it says which processes are ended: nobody else may have written that. */
async function requireOwnFolder(): Promise<void> {
  const { uid } = await stat(stateFolder);
  if (process.getuid?.() !== uid) throw new Error(`${stateFolder} is another user's (uid ${uid})`);
}

function locked<T>(say: Say, work: () => Promise<T>): Promise<T> {
  return withLock(lockFile, () => say('Another process starts or ends the engine: waiting for it'), work);
}

async function readState(): Promise<State | undefined> {
  const text = await readFile(completeFile, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as State);
}

async function isHealthy(): Promise<boolean> {
  const daemons = await recordedDaemons(processesFile);
  const needed = daemons.filter(({ name }) => ['dockerd', 'buildkitd', 'registry'].includes(name));
  return needed.length === 3 && needed.every(runs);
}

async function startDocker(programs: Programs, registry: string): Promise<void> {
  await output('ip', ['link', 'add', network.bridge, 'type', 'bridge']);
  await output('ip', ['address', 'add', network.address, 'dev', network.bridge]);
  await output('ip', ['link', 'set', network.bridge, 'up']);
  const command = [
    programs.dockerd,
    ...['--data-root', inState('docker')],
    ...['--exec-root', inState('docker-exec')],
    ...['--pidfile', inState('dockerd.pid')],
    ...['--host', `unix://${dockerSocket}`],
    ...['--config-file', inState('daemon.json')],
    ...['--cgroup-parent', `/${controlGroup}`],
    ...['--exec-opt', 'native.cgroupdriver=cgroupfs'],
    ...['--storage-driver', 'overlay2'],
    ...['--bridge', network.bridge],
    ...['--default-address-pool', `base=${network.pool},size=24`],
    ...['--registry-mirror', `http://${registry}`],
    ...['--log-level', 'warn', '--shutdown-timeout', '5', '--oom-score-adjust', '0'],
    ...['--iptables=false', '--ip-forward=false', '--ip-masq=false'],
  ];
  await writeFile(inState('daemon.json'), '{}');
  const daemon = await startDaemon(processesFile, 'dockerd', command, environment);
  await untilReady(processesFile, daemon, httpAnswers({ socketPath: dockerSocket }, '/_ping'));
}

function requireAll(settled: readonly PromiseSettledResult<unknown>[]): void {
  for (const one of settled) if (one.status === 'rejected') throw one.reason as Error;
}

async function start(key: string, programs: Programs, bases: Bases, say: Say): Promise<State> {
  const began = performance.now();
  await mkdir(stateFolder, { mode: 0o700 });
  // Ctrl-C reaches a terminal's whole group: what was started is ended before this process is.
  const ending = new AbortController();
  const interrupt = (signal: NodeJS.Signals) => ending.abort(new Error(`interrupted by ${signal}`));
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  try {
    await prepareRecord(processesFile);
    await weighContainers();
    await keepInMemory(inState('registry'));
    await cp(bases.folder, inState('registry'), { recursive: true });
    const common = { record: processesFile, programs, controlGroup };
    const registry = await startRegistry(processesFile, programs, inState('registry'));
    const builder = startBuilder({ ...common, folder: inState('builder'), registry });
    // Both, even when one fails: what is recorded by then is ended.
    await Promise.allSettled([builder, startDocker(programs, registry)]).then(requireAll);
    ending.signal.throwIfAborted();
    const state: State = { key, registry, builder: (await builder).address };
    await writeFile(completeFile, JSON.stringify(state));
    say(`The engine is up after ${((performance.now() - began) / 1_000).toFixed(1)} s`);
    return state;
  } catch (error) {
    const cause: unknown = ending.signal.aborted ? ending.signal.reason : error;
    await rm(failedFolder, { recursive: true, force: true });
    await rename(inState('logs'), failedFolder).catch(() => {});
    await takeDown();
    throw new Error(`the engine did not come up; its logs are in ${failedFolder}`, { cause });
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  }
}

/** dockerd's own containerd, which lives on when dockerd was killed. */
async function containerd(): Promise<Daemon[]> {
  const folder = join(containerdSocket, '..');
  const pid = Number(await readFile(join(folder, 'containerd.pid'), 'utf8').catch(() => '0'));
  const args = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
  const startTime = startTimeOf(pid);
  const ours = args.some((one) => one.startsWith(`${folder}/`));
  return ours && startTime !== undefined ? [{ name: 'containerd', pid, startTime }] : [];
}

/** The bridge of the engine, and those of networks that were made on it. */
async function removeInterfaces(): Promise<void> {
  const seen = JSON.parse(await output('ip', ['-json', '-4', 'address', 'show'])) as {
    ifname: string;
    addr_info: { local?: string }[];
  }[];
  const made = seen.filter(
    ({ ifname, addr_info }) =>
      ifname.startsWith('br-') && addr_info.some(({ local = '' }) => network.isInPool(local)),
  );
  for (const { ifname } of made) await output('ip', ['link', 'delete', ifname]);
  if (existsSync(`/sys/class/net/${network.bridge}`)) await output('ip', ['link', 'delete', network.bridge]);
}

/** Ends it, healthy or not, and undoes what it did to the machine. */
async function takeDown(): Promise<void> {
  const daemons = await recordedDaemons(processesFile);
  // What runs in containers is not asked; dockerd then takes their mounts and interfaces away.
  await removeGroups(controlGroup);
  await endDaemons(
    daemons.filter(({ name }) => name === 'dockerd'),
    15_000,
  );
  await endDaemons(daemons);
  await endDaemons(await containerd());
  await endDaemons(await shimsOf(containerdSocket), 0);
  await removeGroups(controlGroup);
  await unmountAll(stateFolder);
  await removeInterfaces();
  await rm(stateFolder, { recursive: true, force: true, maxRetries: 3 });
}

/**
 * An engine that is made of what the key says, started when there is none, with this process as a user. Waits for the users of one that
 * is made of others.
 */
async function enter(key: string, programs: Programs, bases: Bases, say: Say): Promise<[State, () => void]> {
  for (let said = false; ; said = true) {
    const joined = await locked(say, async () => {
      const state = await ensure(key, programs, bases, say);
      return state === undefined ? undefined : ([state, await addUser(usersFolder, key)] as const);
    });
    if (joined !== undefined) return [...joined];
    if (!said) say('Tests of another clone use an engine of another make: waiting for their end');
    await delay(1_000);
  }
}

/** Undefined while there is one of another make that is used. */
async function ensure(key: string, programs: Programs, bases: Bases, say: Say): Promise<State | undefined> {
  if (existsSync(stateFolder)) {
    await requireOwnFolder();
    const state = await readState();
    if (state !== undefined && (await isHealthy())) {
      if (state.key === key) return state;
      if (await isUsed(usersFolder, state.key)) return undefined;
    }
    say('There is an engine that is not healthy, or of another make: starting another in its place');
    await takeDown();
  }
  return start(key, programs, bases, say);
}

const endUnused = async (): Promise<void> => {
  if (existsSync(stateFolder) && !(await isUsed(usersFolder))) {
    await requireOwnFolder();
    await takeDown();
  }
};

/** Lets an engine that others start live until this is called, so that files of tests that run one after another share it. */
export async function holdEngine(say: Say): Promise<() => Promise<void>> {
  const leave = await addUser(usersFolder);
  return async () => {
    leave();
    if (existsSync(stateFolder)) await locked(say, endUnused);
  };
}

/** Makes what an engine is made of, where that is not there yet. */
export async function prebuildEngine(say: Say): Promise<void> {
  await baseImages(await enginePrograms(say), say);
}

/**
 * Makes a container engine ready to be used, as root on Linux: one for the machine, started where there is none in about 4 s, and
 * built the first time in minutes. Call `end` in the end. Throws with what to do where that cannot be done.
 */
export async function openEngine(say: Say): Promise<Engine> {
  requireRoot();
  const programs = await enginePrograms(say);
  const bases = await baseImages(programs, say);
  const key = keyOfValue([programs, bases, network, controlGroup]);
  const [state, leave] = await enter(key, programs, bases, say);
  await mkdir(inState('callers'), { recursive: true });
  const folder = await mkdtemp(inState('callers', 'caller-'));
  const env = await dockerEnvironment(
    join(folder, 'docker'),
    programs,
    state.builder,
    `unix://${dockerSocket}`,
  );
  const docker = async (...args: string[]): Promise<string> =>
    (await output('docker', args, { env: { ...process.env, ...env } })).trim();
  const fresh: Daemon[] = [];
  return {
    env,
    registry: state.registry,
    builder: builderName,
    bases: Object.fromEntries(
      Object.entries(bases.digests).map(([name, digest]) => [name, `${name}@${digest}`]),
    ),
    secrets: await hostSecrets(join(folder, 'secrets')),
    docker,
    async freshBuilder(name) {
      const at = join(folder, `builder-${name}`);
      await keepInMemory(at);
      const { daemon, address } = await startBuilder({
        record: processesFile,
        programs,
        folder: at,
        registry: state.registry,
        controlGroup,
        name: `buildkitd-${name}`,
      });
      fresh.push(daemon);
      await addBuilder(env, name, address);
      return {
        name,
        async end() {
          await endDaemons([daemon]);
          await docker('buildx', 'rm', '--force', name);
          await unmountAll(at);
          await output('umount', ['--lazy', at]);
          await rm(at, { recursive: true, force: true, maxRetries: 3 });
        },
      };
    },
    async end() {
      await endDaemons(fresh);
      await unmountAll(folder);
      await rm(folder, { recursive: true, force: true, maxRetries: 3 });
      leave();
      await locked(say, endUnused);
    },
  };
}
