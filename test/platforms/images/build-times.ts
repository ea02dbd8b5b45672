// How long the four images of the sample platform take: each alone, all at once, unchanged, and with one that changed.

import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { medianOf } from '../../bench/measure.ts';
import { baseArguments, makePlatform, platformImages } from '../../helpdesk/platform.ts';
import { processesWith } from '../../support/processes.ts';
import type { Engine } from '../engine/engine.ts';
import { controlGroup } from '../engine/place.ts';
import { type BuildStep, createWorkspace } from './action.ts';

/** All four at once with an empty cache, between two builds of the slowest by itself. Milliseconds, each of a whole run of build-images. */
export interface Round {
  cold: BuildStep;
  /** The least that it can take: the slowest image, or `onCores`. */
  least: number;
}

/** Milliseconds, each of a whole run of build-images, its push and its verification included. */
export interface BuildTimes {
  /** Each image by itself, with an empty cache; of the slowest, the middle one of its builds. */
  alone: Record<string, number>;
  /** What decides: the one in the middle of those that were taken, by `cold.took / least`. */
  middle: Round;
  rounds: number;
  /** The first, of which these are: */
  cold: BuildStep;
  unchanged: BuildStep;
  /** One file of one image is another one. */
  changed: BuildStep;
}

/** What all at once are to take at most, in times of `least`. */
export const goal = 1.15;

/**
 * One build takes up to a tenth more or less than the next. So the middle of seven rounds decides, and no more of them are taken than are
 * needed to know on which side of the goal it is.
 */
const majority = 4;

const names = Object.keys(platformImages) as (keyof typeof platformImages)[];

/** Ticks are hundredths of a second on every Linux that there is (proc(5), times(2)). */
const tick = 10;

async function ticksOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const [, user = '0', system = '0'] = /^\d+ \(.*\) \S(?: \S+){10} (\d+) (\d+)/s.exec(stat) ?? [];
  return (Number(user) + Number(system)) * tick;
}

/** Milliseconds of CPU that the steps of builds have used so far. */
async function groupTime(): Promise<number> {
  const old = await readFile(`/sys/fs/cgroup/cpuacct/${controlGroup}/cpuacct.usage`, 'utf8').catch(() => '');
  if (old !== '') return Number(old) / 1e6;
  const stat = await readFile(`/sys/fs/cgroup/${controlGroup}/cpu.stat`, 'utf8').catch(() => '');
  return Number(/^usage_usec (\d+)/m.exec(stat)?.[1] ?? 0) / 1e3;
}

/** Milliseconds of CPU since the start of the machine: used by anybody. */
async function machineTime(): Promise<number> {
  const [, ...fields] = ((await readFile('/proc/stat', 'utf8')).split('\n')[0] ?? '').split(/\s+/);
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = fields.map(Number);
  return (user + nice + system + irq + softirq + steal) * tick;
}

async function usedBy(builder: string): Promise<number> {
  const processes = [...processesWith(`builder-${builder}`), ...processesWith('docker-registry')];
  const daemons = processes.filter(({ command }) =>
    /^\S*(?:buildkitd|docker-registry|registry)\s/.test(command),
  );
  const ticks = await Promise.all(daemons.map(({ pid }) => ticksOf(pid)));
  return ticks.reduce((sum, each) => sum + each, await groupTime());
}

const cores = availableParallelism();
export const seconds = (milliseconds: number): string => `${(milliseconds / 1_000).toFixed(1)} s`;
const ratioOf = ({ cold, least }: Round): number => cold.took / least;

function isDecided(rounds: readonly Round[]): boolean {
  const met = rounds.filter((round) => ratioOf(round) <= goal).length;
  return Math.max(met, rounds.length - met) >= majority;
}

function middleOf(rounds: readonly Round[]): Round {
  const middle = rounds.toSorted((one, other) => ratioOf(one) - ratioOf(other))[rounds.length >> 1];
  if (middle === undefined) throw new Error('no round was taken');
  return middle;
}

export async function measureBuilds(engine: Engine, say: (line: string) => void): Promise<BuildTimes> {
  const run = Math.random().toString(36).slice(2, 10);
  const workspace = await createWorkspace(engine, {});
  try {
    await makePlatform({ number: 2, directory: join(workspace.folder, 'platform') });
    const args = Object.fromEntries(
      Object.entries(baseArguments).map(([name, image]) => [name, engine.bases[image] ?? image]),
    );
    /** With `first`, the image that goes first where the processors are short. */
    const inputs = (prefix: string, only: readonly string[] = names, first?: string) => ({
      prefix: `${engine.registry}/times-${run}/${prefix}`,
      version: '2.0.0',
      args: Object.entries(args)
        .map(([name, value]) => `${name}=${value}`)
        .join('\n'),
      images: Object.fromEntries(
        names
          .filter((name) => only.includes(name))
          .map((name) => [
            name,
            {
              context: join('platform', platformImages[name].context),
              secrets: engine.secrets,
              ...(name === first ? { 'cpu-shares': 16_384 } : {}),
            },
          ]),
      ),
      limits: 'critical: 0, high: 0',
    });

    async function withBuilder<T>(name: string, work: (builder: string) => Promise<T>): Promise<T> {
      const builder = await engine.freshBuilder(`${name}-${run}`);
      try {
        return await work(builder.name);
      } finally {
        await builder.end();
      }
    }
    const buildAlone = (name: keyof typeof platformImages, turn: number): Promise<number> =>
      withBuilder(`alone-${name}-${turn}`, async (builder) => {
        const { took } = await workspace.build({ ...inputs(`alone-${turn}-`, [name]), builder });
        say(`${name} alone, cold: ${seconds(took)}`);
        return took;
      });

    const alone: Record<string, number> = {};
    for (const name of names) alone[name] = await buildAlone(name, 0);
    const slowest = names.reduce((one, other) => ((alone[other] ?? 0) > (alone[one] ?? 0) ? other : one));
    const ofSlowest = [alone[slowest] ?? 0];

    /** `onCores`: CPU time of the steps, the builder and the registry, on what others left of the cores. */
    async function buildAll(builder: string, turn: number): Promise<{ cold: BuildStep; onCores: number }> {
      const [ours, machine] = [await usedBy(builder), await machineTime()];
      const cold = await workspace.build({ ...inputs(`${turn}-`, names, slowest), builder });
      const cpu = (await usedBy(builder)) - ours;
      const all = (await machineTime()) - machine;
      const others = Math.min(1, Math.max(0, (all - cpu) / (cold.took * cores)));
      say(
        `all at once, cold: ${seconds(cold.took)}, ${seconds(cpu)} of CPU; others used ${Math.round(others * 100)} % of ${cores} cores`,
      );
      return { cold, onCores: cpu / (cores * Math.max(0.01, 1 - others)) };
    }
    /** Beside the slowest right before and right after it, for a machine is not always as fast. */
    async function asRound(
      { cold, onCores }: Awaited<ReturnType<typeof buildAll>>,
      turn: number,
    ): Promise<Round> {
      const before = ofSlowest.at(-1) ?? 0;
      const after = await buildAlone(slowest, turn);
      ofSlowest.push(after);
      const images = { ...alone, [slowest]: (before + after) / 2 };
      const round = { cold, least: Math.max(...Object.values(images), onCores) };
      say(`at once ${ratioOf(round).toFixed(2)} times the least, ${seconds(round.least)}`);
      return round;
    }

    const first = await withBuilder('all-1', async (builder) => {
      const taken = await buildAll(builder, 1);
      const own = { ...inputs('1-', names, slowest), builder };
      const unchanged = await workspace.build(own);
      say(`unchanged: ${(unchanged.took / 1_000).toFixed(2)} s`);
      await workspace.write({ 'platform/ai-service/CHANGED': 'so that it is built again' });
      const changed = await workspace.build(own);
      say(`one changed: ${seconds(changed.took)}`);
      return { taken, unchanged, changed };
    });
    const rounds = [await asRound(first.taken, 1)];
    while (!isDecided(rounds)) {
      const turn = rounds.length + 1;
      rounds.push(
        await asRound(await withBuilder(`all-${turn}`, (builder) => buildAll(builder, turn)), turn),
      );
    }
    return {
      alone: { ...alone, [slowest]: medianOf(ofSlowest) },
      middle: middleOf(rounds),
      rounds: rounds.length,
      cold: first.taken.cold,
      unchanged: first.unchanged,
      changed: first.changed,
    };
  } finally {
    await workspace.remove();
  }
}
