// Switches between two versions under load, on one router: a steady time for comparison, switches by the action and by the
// router's own write, and at the end one that loses on purpose, so that the counters are seen to work.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { silentLog } from '@deploy-actions/core';
import {
  acquireLease,
  createFileStore,
  isHolderAlive,
  type Router,
  type Target,
  thisProcess,
} from '@deploy-actions/release-engine';
import type { Host } from '../support/host.ts';
import { type LoadReport, startLoad } from '../support/load/index.ts';

export interface Switching {
  host: Host;
  /** Inputs of the steps that are the router's. */
  inputs: Record<string, string>;
  /** The same router, for writes without an action; called when the first version serves. */
  router(): Promise<Router>;
  /** How often the action switches, before and after the router's own writes; and how many those are: an even number. */
  actions: [number, number];
  writes: number;
  say(text: string): void;
}

const requestsPerSecond = 100;
const longSeconds = 10;
const steadySeconds = 12;
/** From one write of the router to the next. */
const writePause = 600;

/** Resolves to what the load saw in the phases `steady`, `switches` and `lossy`. */
export async function switchUnderLoad(options: Switching): Promise<LoadReport> {
  const { host, say } = options;
  let version = 0;
  const quiet = { ...options.inputs, watch: '0s', 'keep-previous': 'true' };
  const release = () => host.release('blue-green-switch', `v${(version += 1)}`, quiet);
  await release();
  await release();
  const load = await startLoad({
    url: `${host.url}/`,
    rate: requestsPerSecond,
    durationSeconds: 600,
    inFlightUrl: `${host.url}/slow?ms=${longSeconds * 1_000}`,
    inFlightSeconds: longSeconds,
    inFlight: 10,
    phase: 'steady',
  });
  try {
    say(`${steadySeconds} s without a switch`);
    await delay(steadySeconds * 1_000);

    await load.mark('switches');
    const [before, after] = options.actions;
    const byAction = async (count: number) => {
      for (let done = 0; done < count; done += 1) {
        const { seconds } = await release();
        say(`the action switched to v${version} in ${seconds.toFixed(1)} s`);
      }
    };
    await byAction(before);
    await byWrites(host, await options.router(), options.writes);
    say(`the router switched ${options.writes} times`);
    await byAction(after);

    await load.mark('lossy');
    // Long requests of the phase before have to end first, or their loss would be counted there.
    await delay(longSeconds * 1_000 + 1_000);
    await stopServing(host, `v${version}`);
    await delay(1_000);
    await release();
    say('one switch with the old version stopped first');
    return await load.stop();
  } finally {
    load.kill();
  }
}

/** Gives all traffic to one slot and the other in turn; both run all the time. */
async function byWrites(host: Host, router: Router, count: number): Promise<void> {
  const lease = await acquireLease({
    store: createFileStore(join(host.stateDirectory, 'state')),
    run: { id: 'writes', url: '', actor: 'test' },
    process: thisProcess(),
    isAlive: isHolderAlive,
    ttl: 30_000,
    wait: 0,
    signal: new AbortController().signal,
    log: silentLog,
  });
  try {
    await router.claim?.(lease.fence);
    for (let done = 0; done < count; done += 1) {
      const { targets, version } = await router.read();
      const { slots } = await host.look();
      const turned = slots.map((slot): Target => {
        const weight = targets.find((target) => target.slot === slot.name)?.weight === 100 ? 0 : 100;
        return { slot: slot.name, weight, addresses: slot.instances.map(({ address }) => address) };
      });
      await router.apply(turned, version, lease.fence);
      await delay(writePause);
    }
  } finally {
    await lease.release();
  }
}

/** SIGKILL to the instances of the version, as who stops the old version before the new one serves. */
async function stopServing(host: Host, version: string): Promise<void> {
  const { slots } = await host.look();
  const slot = slots.find(({ release }) => release?.version === version);
  const file = join(host.stateDirectory, 'slots', `${slot?.name}.json`);
  const { record } = JSON.parse(await readFile(file, 'utf8')) as {
    record: { instances: { main: { pid: number } }[] };
  };
  for (const { main } of record.instances) process.kill(main.pid, 'SIGKILL');
}
