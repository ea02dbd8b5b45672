import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { actions } from '../../actions/registry.ts';
import { bestOf, medianOf, type Row } from './measure.ts';
import { dist, stepPlace } from './step.ts';

const rounds = 15;

/** At most 90 ms where bare node takes 39, whatever the machine. */
const goalOverBare = 90 / 39;

/**
 * Milliseconds from starting the process to its end, when it refuses because its inputs are missing. Bare node and every action
 * take turns, so that what else the machine does falls on all of them. Warm is every step of a job but the first.
 */
export async function startToRefusal(): Promise<Row[]> {
  const place = stepPlace();
  try {
    const empty = join(place.directory, 'empty.mjs');
    writeFileSync(empty, '');
    const environment = place.environment({});
    const run = (file: string): number => {
      const start = performance.now();
      spawnSync(process.execPath, [file], { cwd: place.directory, env: environment });
      return performance.now() - start;
    };
    const names = Object.keys(actions);
    const times = new Map<string, number[]>();
    const add = (subject: string, value: number) =>
      times.set(subject, [...(times.get(subject) ?? []), value]);
    for (let round = 0; round < rounds; round += 1) {
      add('bare node', run(empty));
      for (const name of names) {
        const main = join(dist, name, 'main.mjs');
        place.forgetCompiled();
        add(`${name}, cold`, run(main));
        add(name, run(main));
      }
    }
    const goal = bestOf(times.get('bare node') ?? []) * goalOverBare;
    return [...times].map(([subject, values]) => ({
      measure: 'start to refusal',
      subject,
      unit: 'ms',
      best: bestOf(values),
      median: medianOf(values),
      ...(subject === 'bare node' ? {} : { goal }),
    }));
  } finally {
    place.remove();
  }
}
