import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { actions } from '../../actions/registry.ts';
import type { Row } from './measure.ts';
import { dist, stepPlace } from './step.ts';

const preload = join(import.meta.dirname, 'count-loaded.mjs');

/** Bytes of modules that an action loads until it refuses. What else it loads, it needs for its work. */
export async function bytesLoaded(): Promise<Row[]> {
  const place = stepPlace();
  try {
    return Object.keys(actions).map((name): Row => {
      const { stderr } = spawnSync(process.execPath, ['--import', preload, join(dist, name, 'main.mjs')], {
        cwd: place.directory,
        env: place.environment({}),
        encoding: 'utf8',
      });
      const bytes = Number(/\nloaded (\d+)\n$/.exec(stderr)?.[1]);
      if (!(bytes > 0)) throw new Error(`${name} did not say what it loaded: ${stderr}`);
      return {
        measure: 'loaded until refusal',
        subject: name,
        unit: 'bytes',
        best: bytes,
        median: bytes,
        goal: 60_000,
      };
    });
  } finally {
    place.remove();
  }
}
