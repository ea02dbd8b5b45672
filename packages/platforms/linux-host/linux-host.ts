import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import {
  canonicalJson,
  codeOf,
  DeployError,
  digestOf,
  sleep,
  type Deadline,
  type Log,
} from '@deploy-actions/core';
import type { Fence, Instance, Platform, Readiness, Slot } from '@deploy-actions/release-engine';
import { redactor, tailOf } from './logs.ts';
import { findPorts, host, probe, type Answer } from './network.ts';
import { isAlive, listProcesses, stopProcesses, type Process, type ProcessId } from './processes.ts';
import { readRecord, removeRecord, writeRecord, type InstanceRecord, type SlotRecord } from './record.ts';
import { baseEnvironment, checkRelease, type LinuxHostRelease, readEnvironment } from './release.ts';
import { createProcessSupervisor, type Supervisor } from './supervisor.ts';
import { createSystemdSupervisor } from './systemd.ts';

export interface LinuxHostOptions {
  /** Where records and logs of the slots are kept, in `slots/`. Made by the first deploy. */
  stateDir: string;
  /** Names of lower-case letters, digits and hyphens, such as blue and green. */
  slots: string[];
  log: Log;
  /** `auto` takes systemd where it runs and this is root; `systemd` as another user takes that user's manager. */
  supervisor: 'auto' | 'process' | 'systemd';
}

const defaultProbeTimeout = 2_000;
/** Milliseconds to stop what no record describes. */
const strayStopTimeout = 10_000;
const shortestPoll = 200;
const longestPoll = 1_000;

/**
 * Slots as groups of processes on this host. What should run is in one record a slot; what does run is read from
 * /proc, where every process of an instance is known by a variable in its environment. Each change compares the
 * two, so that it can be repeated after a kill at any point: what lives and is wanted is kept, what lives and is in
 * no record is stopped, what is missing is started.
 */
export function createLinuxHost(options: LinuxHostOptions): Platform<LinuxHostRelease> {
  const { slots, log } = options;
  for (const slot of slots) {
    if (!/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(slot)) {
      throw new DeployError('invalid_config', `"${slot}" cannot be the name of a slot.`, {
        remedy: 'Names are lower-case letters, digits and hyphens, such as blue and green.',
      });
    }
  }
  const base = baseEnvironment(process.env);
  let opened: Promise<Home> | undefined;
  const home = () => (opened ??= openHome(options));

  function requireSlot(slot: string): void {
    if (slots.includes(slot)) return;
    throw new DeployError('invalid_input', `There is no slot "${slot}" on this platform.`, {
      remedy: `Slots are: ${slots.join(', ')}.`,
    });
  }

  async function observeSlot(
    slot: string,
    record: SlotRecord | undefined,
    all: Process[],
  ): Promise<Slot<LinuxHostRelease>> {
    const { prefix, supervisor } = await home();
    const members = membersAmong(all, prefix(slot), record);
    const recorded = new Set(record?.instances.map(({ marker }) => marker));
    const strays = members.filter(({ marker }) => marker === undefined || !recorded.has(marker));
    if (strays.length > 0) {
      const pids = strays.map(({ pid }) => pid).join(', ');
      log.warning(
        `Slot ${slot} has processes that it should not have (${pids}). Its next deploy stops them.`,
      );
    }
    if (record === undefined) {
      return { name: slot, release: null, revision: null, wanted: 0, ready: 0, instances: [] };
    }
    const hide = await redactorFor(record.release);
    const instances = await Promise.all(
      record.instances.map(async (instance): Promise<Instance> => {
        const address = `${host}:${instance.port}`;
        if (mainOf(instance, members) === undefined) {
          return { address, ready: false, reason: await endingOf(supervisor, slot, instance) };
        }
        const answer = await probeInstance(record.release, instance);
        return answer.ready
          ? { address, ready: true }
          : { address, ready: false, reason: hide(describe(answer)) };
      }),
    );
    return {
      name: slot,
      release: record.release,
      revision: record.revision,
      wanted: instances.length,
      ready: instances.filter(({ ready }) => ready).length,
      instances,
    };
  }

  /**
   * Makes the slot run `count` instances of the release. Of those that run, the ones in `keepable` may stay.
   * Everything that can be refused is refused before anything is changed.
   */
  async function converge(
    slot: string,
    release: LinuxHostRelease,
    record: SlotRecord | undefined,
    keepable: InstanceRecord[],
    count: number,
    fence: Fence,
  ): Promise<void> {
    const { folder, prefix, supervisor } = await home();
    requireSupervisor(slot, record, supervisor);
    const program = await checkRelease(release, base);
    const environment = await readEnvironment(release);
    const members = await membersOf(prefix(slot), record);
    const kept: InstanceRecord[] = [];
    for (const instance of keepable) {
      const main = mainOf(instance, members);
      if (main !== undefined && kept.length < count) kept.push({ ...instance, main });
    }

    const taken = new Set(kept.map(({ port }) => port));
    for (const other of slots.filter((name) => name !== slot)) {
      for (const { port } of (await readRecord(folder, other))?.instances ?? []) taken.add(port);
    }
    const ending = (record?.instances ?? []).filter((instance) => mainOf(instance, members) !== undefined);
    const own = new Set(ending.map(({ port }) => port));
    const ports = await findPorts(count - kept.length, release.portRange, taken, own);

    await fence.check();
    await makeFolder(join(folder, slot));
    await stopOthers(slot, record, kept, fence);

    const usedIds = new Set(kept.map(({ id }) => id));
    const added = ports.map((port): InstanceRecord => {
      const id = lowestFree(usedIds);
      usedIds.add(id);
      return { id, port, marker: `${prefix(slot)}${id}:${randomUUID()}`, main: null };
    });
    const instances = [...kept, ...added].toSorted((a, b) => a.id - b.id);
    const next: SlotRecord = { release, revision: digestOf(release), supervisor: supervisor.name, instances };
    if (canonicalJson(next) !== canonicalJson(record)) {
      await fence.check();
      await writeRecord(folder, slot, next);
    }
    for (const instance of added) {
      await fence.check();
      instance.main = await supervisor.start({
        slot,
        id: instance.id,
        marker: instance.marker,
        version: release.version,
        program,
        arguments: release.command.slice(1).map((text) => text.replaceAll('{port}', String(instance.port))),
        directory: release.directory,
        environment: {
          ...base,
          ...environment,
          PORT: String(instance.port),
          DEPLOY_ACTIONS_SLOT: slot,
          DEPLOY_ACTIONS_VERSION: release.version,
          DEPLOY_ACTIONS_INSTANCE: instance.marker,
          // A runner ends every process with its tracking id when the job is over; this one must live on.
          RUNNER_TRACKING_ID: '',
        },
        logFile: join(folder, slot, `${instance.id}.log`),
        stopTimeout: release.stopTimeout,
      });
      log.debug(`Started ${slot} ${instance.id} on ${host}:${instance.port}.`);
      await fence.check();
      await writeRecord(folder, slot, next);
    }
  }

  /** Stops every process of the slot that is not of one of the instances in `kept`. */
  async function stopOthers(
    slot: string,
    record: SlotRecord | undefined,
    kept: InstanceRecord[],
    fence: Fence,
  ): Promise<void> {
    const { prefix, supervisor } = await home();
    requireSupervisor(slot, record, supervisor);
    for (const leftover of await supervisor.leftovers(slot, new Set(kept.map(({ id }) => id)))) {
      await fence.check();
      await supervisor.remove(leftover);
    }
    const keep = new Set(kept.map(({ marker }) => marker));
    const ending = new Map(record?.instances.map((instance) => [instance.marker, instance]));
    // Found once, they are remembered: one that changed its environment is known by its session only while the
    // main process lives.
    const known = new Map<string, Process>();
    await stopProcesses({
      find: async () => {
        for (const member of await membersOf(prefix(slot), record)) {
          if (member.marker === undefined || !keep.has(member.marker)) known.set(identityOf(member), member);
        }
        for (const [identity, member] of known) if (!isAlive(member)) known.delete(identity);
        return [...known.values()];
      },
      isMain: (member) => {
        const main = ending.get(member.marker ?? '')?.main ?? null;
        return main === null ? member.session === member.pid : identityOf(main) === identityOf(member);
      },
      timeout: record?.release.stopTimeout ?? strayStopTimeout,
      fence,
    });
  }

  async function* ready(slot: string, deadline: Deadline, signal: AbortSignal): AsyncGenerator<Readiness> {
    requireSlot(slot);
    const { folder, prefix, supervisor } = await home();
    const what = `waiting for slot ${slot} to be ready`;
    for (;;) {
      const record = await readRecord(folder, slot);
      if (record === undefined || record.instances.length === 0) {
        throw new DeployError('start_failed', `Slot ${slot} has no instances that could become ready.`, {
          remedy: 'Deploy a release to it, or scale it up, first.',
        });
      }
      const { release, instances } = record;
      const hide = await redactorFor(release);
      const answers = await Promise.all(
        instances.map((instance) => probeInstance(release, instance, deadline.remaining(), signal)),
      );
      // Processes are looked at after the answers: what answered may be another program on the port of a dead one.
      let members: Process[] | undefined;
      for (const instance of instances) {
        if (instance.main !== null && isAlive(instance.main)) continue;
        members ??= await membersOf(prefix(slot), record);
        if (mainOf(instance, members) !== undefined) continue;
        throw new DeployError(
          'start_failed',
          `Instance ${instance.id} of slot ${slot} (version ${release.version}) ${await endingOf(supervisor, slot, instance)}.`,
          {
            remedy: 'Read the last lines of its log, correct the release and deploy it again.',
            details: await logLines(folder, slot, instance, hide),
          },
        );
      }
      const waiting = instances.flatMap((instance, at) => {
        const answer = answers[at];
        return answer === undefined || answer.ready ? [] : [{ instance, answer }];
      });
      const first = waiting[0];
      const message = [
        `${instances.length - waiting.length} of ${instances.length} instances ready`,
        ...(first === undefined ? [] : [hide(`${host}:${first.instance.port} ${first.answer.summary}`)]),
      ].join('; ');
      if (first === undefined) {
        yield { ready: true, message };
        return;
      }
      if (signal.aborted) await sleep(0, signal, what);
      if (deadline.passed()) {
        const bodies = waiting.flatMap(({ answer }) => (answer.body === undefined ? [] : [answer.body]));
        throw new DeployError(
          'not_ready',
          `Slot ${slot} (version ${release.version}) is not ready: ${message}.`,
          {
            remedy: 'See what it waits for, or allow it more time.',
            details: [
              ...bodies.map((body) => hide(`last answer: ${body}`)),
              ...(await logLines(folder, slot, first.instance, hide)),
            ],
          },
        );
      }
      yield { ready: false, message };
      const pause = Math.min(longestPoll, shortestPoll + deadline.elapsed() / 20);
      await sleep(Math.min(pause, Math.max(1, deadline.remaining())), signal, what);
    }
  }

  return {
    name: 'linux-host',

    async observe() {
      const { folder } = await home();
      const records = await Promise.all(slots.map((slot) => readRecord(folder, slot)));
      // Once for all slots, as a host may have thousands; and after the records, so that what they name was started.
      const all = await listProcesses();
      return Promise.all(slots.map((slot, at) => observeSlot(slot, records[at], all)));
    },

    async deploy(slot, release, fence) {
      requireSlot(slot);
      const record = await readRecord((await home()).folder, slot);
      const keepable = record?.revision === digestOf(release) ? record.instances : [];
      await converge(slot, release, record, keepable, release.instances, fence);
    },

    ready,

    async scale(slot, replicas, fence) {
      requireSlot(slot);
      if (!Number.isInteger(replicas) || replicas < 0) {
        throw new DeployError('invalid_input', `Slot ${slot} cannot have ${replicas} instances.`, {
          remedy: 'Give an integer from 0.',
        });
      }
      const record = await readRecord((await home()).folder, slot);
      if (record === undefined) {
        throw new DeployError('not_found', `Slot ${slot} cannot be scaled: nothing is deployed to it.`, {
          remedy: 'Deploy a release to it first.',
        });
      }
      await converge(slot, record.release, record, record.instances, replicas, fence);
    },

    async retire(slot, fence) {
      requireSlot(slot);
      const { folder } = await home();
      const record = await readRecord(folder, slot);
      await stopOthers(slot, record, [], fence);
      if (record === undefined) return;
      await fence.check();
      await removeRecord(folder, slot);
    },
  };
}

interface Home {
  folder: string;
  /** What the markers of a slot's instances begin with. */
  prefix: (slot: string) => string;
  supervisor: Supervisor;
}

async function openHome(options: LinuxHostOptions): Promise<Home> {
  // By whatever name it is given, the same directory must give the same markers.
  const stateDirectory = await canonicalPath(resolve(options.stateDir));
  const stateId = createHash('sha256').update(stateDirectory).digest('hex').slice(0, 12);
  return {
    folder: join(stateDirectory, 'slots'),
    prefix: (slot) => `${stateId}:${slot}:`,
    supervisor: useSystemd(options.supervisor)
      ? createSystemdSupervisor(stateDirectory, stateId, isRoot())
      : createProcessSupervisor(),
  };
}

/** realpath(3) that works also for what does not exist yet: reading must not make it. */
async function canonicalPath(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (thrown) {
    if (codeOf(thrown) !== 'ENOENT' || dirname(path) === path) throw thrown;
    return join(await canonicalPath(dirname(path)), basename(path));
  }
}

function useSystemd(asked: LinuxHostOptions['supervisor']): boolean {
  const runs = existsSync('/run/systemd/system');
  if (asked === 'systemd' && !runs) {
    throw new DeployError('unsupported', 'systemd does not run on this host.', {
      remedy: 'Set the supervisor to process, or to auto.',
    });
  }
  return asked === 'systemd' || (asked === 'auto' && runs && isRoot());
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** One supervisor cannot stop for good what the other would start again. */
function requireSupervisor(slot: string, record: SlotRecord | undefined, supervisor: Supervisor): void {
  if (record === undefined || record.supervisor === supervisor.name) return;
  throw new DeployError(
    'unsupported',
    `Slot ${slot} was deployed with the supervisor ${record.supervisor}, and this run uses ${supervisor.name}.`,
    { remedy: `Retire the slot with supervisor ${record.supervisor} first, or go on using it.` },
  );
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new DeployError('permission_denied', `The state directory ${folder} cannot be made.`, {
      remedy: 'Name a directory that the user that the runner works as can write. Nothing was touched.',
      cause,
    });
  }
}

/**
 * Processes of the slot: those with a marker of it, and those in the session of a recorded main process that lives,
 * because a program that sets its title may overwrite its environment.
 */
async function membersOf(prefix: string, record: SlotRecord | undefined): Promise<Process[]> {
  return membersAmong(await listProcesses(), prefix, record);
}

function membersAmong(all: Process[], prefix: string, record: SlotRecord | undefined): Process[] {
  const alive = new Set(all.map(identityOf));
  const sessions = new Map<number, string>();
  for (const { main, marker } of record?.instances ?? []) {
    if (main !== null && alive.has(identityOf(main))) sessions.set(main.pid, marker);
  }
  return all.flatMap((member) => {
    if (member.pid === process.pid) return [];
    if (member.marker?.startsWith(prefix)) return [member];
    const marker = sessions.get(member.session);
    return marker === undefined ? [] : [{ ...member, marker }];
  });
}

/** The process that an instance was started as; found also when its start was never recorded or it was restarted. */
function mainOf(instance: InstanceRecord, members: Process[]): ProcessId | undefined {
  const own = members.filter(({ marker }) => marker === instance.marker);
  const { main } = instance;
  const found =
    (main && own.find((member) => identityOf(member) === identityOf(main))) ??
    own.filter(({ pid, session }) => pid === session).toSorted((a, b) => a.pid - b.pid)[0];
  return found && { pid: found.pid, birth: found.birth };
}

function identityOf(id: ProcessId): string {
  return `${id.pid} ${id.birth}`;
}

function lowestFree(used: ReadonlySet<number>): number {
  let id = 1;
  while (used.has(id)) id += 1;
  return id;
}

function probeInstance(
  release: LinuxHostRelease,
  { port }: InstanceRecord,
  remaining = Infinity,
  signal?: AbortSignal,
): Promise<Answer> {
  const timeout = Math.min(release.readinessTimeout ?? defaultProbeTimeout, Math.max(100, remaining));
  return probe(port, release.readinessPath, Math.ceil(timeout), signal);
}

function describe(answer: Answer): string {
  return answer.body === undefined ? answer.summary : `${answer.summary}: ${answer.body}`;
}

async function endingOf(supervisor: Supervisor, slot: string, instance: InstanceRecord): Promise<string> {
  const how = await supervisor.ending(slot, instance.id, instance.marker);
  if (how !== undefined) return `ended by itself (${how})`;
  return instance.main === null ? 'is not running' : `ended: process ${instance.main.pid} is gone`;
}

async function logLines(
  folder: string,
  slot: string,
  instance: InstanceRecord,
  hide: (text: string) => string,
): Promise<string[]> {
  const file = join(folder, slot, `${instance.id}.log`);
  const lines = await tailOf(file);
  return lines.length === 0 ? [`${file} is empty.`] : lines.map(hide);
}

/** Hides the release's secrets, those of its environment file included as far as that can still be read. */
async function redactorFor(release: LinuxHostRelease): Promise<(text: string) => string> {
  return redactor(await readEnvironment(release).catch(() => release.environment));
}
