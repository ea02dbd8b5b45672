// npm run bench [-- --json FILE]: what the suite takes, beside its goals. Fails when a goal is missed.
import { writeFile } from 'node:fs/promises';
import { bytesLoaded } from './loaded.ts';
import type { Measure, Row } from './measure.ts';
import { scanSpeed } from './scan-speed.ts';
import { size } from './size.ts';
import { startToRefusal } from './start-to-refusal.ts';
import { startToRequest } from './start-to-request.ts';
import { switchLatency } from './switch-latency.ts';

const measures: Measure[] = [size, bytesLoaded, startToRefusal, startToRequest, switchLatency, scanSpeed];

function shown(value: number, unit: Row['unit']): string {
  return unit === 'ms' ? `${value.toFixed(1)} ms` : `${(value / 1000).toFixed(1)} kB`;
}

function printed(row: Row): string {
  const goal = row.goal === undefined ? '' : shown(row.goal, row.unit);
  const mark = row.goal === undefined ? '' : row.best <= row.goal ? 'met' : 'MISSED';
  return [
    row.measure.padEnd(24),
    row.subject.padEnd(26),
    shown(row.best, row.unit).padStart(12),
    shown(row.median, row.unit).padStart(12),
    goal.padStart(12),
    mark,
  ]
    .join(' ')
    .trimEnd();
}

console.log(
  [
    'measure'.padEnd(24),
    'of'.padEnd(26),
    'best'.padStart(12),
    'median'.padStart(12),
    'goal'.padStart(12),
  ].join(' '),
);
const rows: Row[] = [];
for (const measure of measures) {
  const found = await measure();
  rows.push(...found);
  for (const row of found) console.log(printed(row));
}
const json = process.argv.indexOf('--json');
if (json >= 0) {
  await writeFile(
    process.argv[json + 1] ?? '',
    `${JSON.stringify({ node: process.version, rows }, null, 2)}\n`,
  );
}
if (rows.some(({ goal, best }) => goal !== undefined && best > goal)) process.exitCode = 1;
