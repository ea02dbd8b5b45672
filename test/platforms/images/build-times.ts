// How long the four images of the sample platform take: each alone, all at once, unchanged, and with one that changed.

import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { baseArguments, makePlatform, platformImages } from '../../helpdesk/platform.ts';
import { processesWith } from '../../support/processes.ts';
import type { Engine } from '../engine/engine.ts';
import { controlGroup } from '../engine/place.ts';
import { type BuildStep, createWorkspace } from './action.ts';

/** Milliseconds, each of a whole run of build-images, its push and its verification included. */
export interface BuildTimes {
  /** Each image by itself, with an empty cache. */
  alone: Record<string, number>;
  /** All at once, with an empty cache. */
  cold: BuildStep;
  /** CPU time of that: of the steps, the builder and the registry. */
  cpu: number;
  /** The share of the machine that others used meanwhile, from 0 to 1. */
  others: number;
  /** The least that it can take: the slowest image, or the CPU time on what the others left of the cores. */
  least: number;
  unchanged: BuildStep;
  /** One file of one image is another one. */
  changed: BuildStep;
}

/** What all at once are to take at most, in times of `least`. */
export const goal = 1.15;

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

    const alone: Record<string, number> = {};
    async function measureAlone(name: keyof typeof platformImages, turn: number): Promise<void> {
      const builder = await engine.freshBuilder(`alone-${name}-${run}-${turn}`);
      try {
        const { took } = await workspace.build({
          ...inputs(`alone-${turn}-`, [name]),
          builder: builder.name,
        });
        // A machine is not always as fast, and the first build has to warm up: the best counts.
        alone[name] = Math.min(alone[name] ?? Infinity, took);
        say(`${name} alone, cold: ${(took / 1_000).toFixed(1)} s`);
      } finally {
        await builder.end();
      }
    }
    for (const name of names) await measureAlone(name, 0);
    const slowest = names.reduce((one, other) => ((alone[other] ?? 0) > (alone[one] ?? 0) ? other : one));
    const atOnce = async (attempt: number): Promise<BuildTimes> => {
      const builder = await engine.freshBuilder(`all-${run}-${attempt}`);
      const own = { ...inputs(`${attempt}-`, names, slowest), builder: builder.name };
      try {
        const [ours, machine] = [await usedBy(builder.name), await machineTime()];
        const cold = await workspace.build(own);
        const cpu = (await usedBy(builder.name)) - ours;
        const cores = availableParallelism();
        const all = (await machineTime()) - machine;
        const others = Math.min(1, Math.max(0, (all - cpu) / (cold.took * cores)));
        say(
          `all at once, cold: ${(cold.took / 1_000).toFixed(1)} s, ${(cpu / 1_000).toFixed(1)} s of CPU; others used ${Math.round(others * 100)} % of ${cores} cores`,
        );
        const unchanged = await workspace.build(own);
        say(`unchanged: ${(unchanged.took / 1_000).toFixed(2)} s`);
        await workspace.write({ 'platform/ai-service/CHANGED': String(attempt) });
        const changed = await workspace.build(own);
        say(`one changed: ${(changed.took / 1_000).toFixed(1)} s`);
        // Once more, right after it.
        await measureAlone(slowest, attempt);
        const least = Math.max(...Object.values(alone), cpu / (cores * Math.max(0.01, 1 - others)));
        return { alone: { ...alone }, cold, cpu, others, least, unchanged, changed };
      } finally {
        await builder.end();
      }
    };
    const first = await atOnce(1);
    // Others may disturb a measure in ways that their CPU time does not show: one that misses the bound is taken once more.
    return first.cold.took > goal * first.least ? await atOnce(2) : first;
  } finally {
    await workspace.remove();
  }
}
