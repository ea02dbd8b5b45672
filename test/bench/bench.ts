// npm run bench [-- --only PART] [--json FILE] [--switches N] [--updates N] [--pairs N]: what the suite takes, beside its goals.
// Fails when a goal is missed, or a measure could not be taken.
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { messageOf } from '@deploy-actions/core';
import { imageBuilds, withEngine } from './image-builds.ts';
import { changeovers } from './kubernetes-changeovers.ts';
import { withCluster } from './kubernetes-cluster.ts';
import { lostInSwitches, lostInUpdates } from './kubernetes-losses.ts';
import { bytesLoaded } from './loaded.ts';
import { type BenchOptions, isMissed, type Measure, type Row } from './measure.ts';
import { scanSpeed } from './scan-speed.ts';
import { size } from './size.ts';
import { startToRefusal } from './start-to-refusal.ts';
import { startToRequest } from './start-to-request.ts';
import { switchLatency } from './switch-latency.ts';

interface Part {
  measures: Measure[];
  /** What its measures are taken in; not `run` at all where this machine has none, which it says. */
  within?(options: BenchOptions, isAskedFor: boolean, run: () => Promise<void>): Promise<void>;
}

const parts: Readonly<Record<string, Part>> = {
  start: { measures: [size, bytesLoaded, startToRefusal, startToRequest] },
  routers: { measures: [switchLatency] },
  scans: { measures: [scanSpeed] },
  images: { measures: [imageBuilds], within: withEngine },
  kubernetes: { measures: [changeovers, lostInSwitches, lostInUpdates], within: withCluster },
};

function readOptions() {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    options: { only: text, json: text, switches: text, updates: text, pairs: text },
  });
  const names = Object.keys(parts);
  const only = values.only?.split(',') ?? [];
  const unknown = only.find((name) => !names.includes(name));
  if (unknown !== undefined) throw new Error(`--only ${unknown} not allowed; parts are ${names.join(', ')}`);
  const count = (name: 'switches' | 'updates' | 'pairs', otherwise: number): number => {
    const value = Number(values[name] ?? otherwise);
    if (Number.isInteger(value) && value >= 1 && value <= otherwise) return value;
    throw new Error(`--${name} ${values[name]} not allowed; it is a number from 1 to ${otherwise}`);
  };
  return {
    only,
    json: values.json,
    switches: count('switches', 50),
    updates: count('updates', 20),
    pairs: count('pairs', 20),
  };
}

function shown(value: number, unit: Row['unit']): string {
  if (unit === 'ms') return `${value.toFixed(1)} ms`;
  return unit === 'bytes' ? `${(value / 1000).toFixed(1)} kB` : String(value);
}

function printed(row: Row): string {
  const { unit, goal, least, of } = row;
  const wanted =
    goal !== undefined ? shown(goal, unit) : least === undefined ? '' : `at least ${shown(least, unit)}`;
  return [
    row.measure.padEnd(24),
    row.subject.padEnd(44),
    shown(row.best, unit).padStart(12),
    (of === undefined ? shown(row.median, unit) : `of ${of}`).padStart(12),
    wanted.padStart(12),
    wanted === '' ? '' : isMissed(row) ? 'MISSED' : 'met',
  ]
    .join(' ')
    .trimEnd();
}

const { only, json, ...counts } = readOptions();
const options: BenchOptions = { ...counts, say: (line) => void process.stderr.write(`${line}\n`) };
const rows: Row[] = [];
const failures: string[] = [];
console.log(
  ['measure'.padEnd(24), 'of'.padEnd(44), ...['best', 'median', 'goal'].map((one) => one.padStart(12))].join(
    ' ',
  ),
);
for (const [name, { measures, within }] of Object.entries(parts)) {
  if (only.length > 0 && !only.includes(name)) continue;
  const run = async () => {
    for (const measure of measures) {
      try {
        const found = await measure(options);
        rows.push(...found);
        for (const row of found) console.log(printed(row));
      } catch (error) {
        // What was measured before is worth having.
        failures.push(`${measure.name}: ${messageOf(error)}`);
        console.log(`${failures.at(-1)}`);
      }
    }
  };
  await (within === undefined ? run() : within(options, only.includes(name), run));
}
if (json !== undefined) {
  await writeFile(json, `${JSON.stringify({ node: process.version, rows, failures }, null, 2)}\n`);
}
if (failures.length > 0 || rows.some(isMissed)) process.exitCode = 1;
