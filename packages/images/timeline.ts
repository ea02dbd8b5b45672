import { formatDuration } from '@deploy-actions/core';
import type { ImageBuild, Span } from './build-progress.ts';

/** Seconds between two times on the axis, as d3 can divide minutes and hours. */
const intervals = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 21_600] as const;

/** On a phone there is room for five times. */
function tickInterval(milliseconds: number): string {
  const seconds = intervals.find((each) => milliseconds / 1_000 / each <= 4) ?? 43_200;
  if (seconds < 60) return `${seconds}second`;
  return seconds < 3_600 ? `${seconds / 60}minute` : `${seconds / 3_600}hour`;
}

/** Text in which Mermaid finds nothing of its own. */
function label(text: string): string {
  const shown = text.replace(/[:;,#]/g, ' ');
  // Longer ones would lie over the bars; the table has them in full.
  return shown.length > 12 ? `${shown.slice(0, 11)}…` : shown;
}

/**
 * When which image was built and pushed, as Mermaid draws it; times from the first step. Undefined where nothing was built. An
 * image that was only taken from caches is as short as it was.
 */
export function buildTimeline(builds: readonly ImageBuild[]): string | undefined {
  const shown = builds.flatMap(({ name, whole, push }) => (whole === null ? [] : [{ name, whole, push }]));
  if (shown.length === 0) return undefined;
  const first = Math.min(...shown.map(({ whole }) => whole.start));
  const last = Math.max(...shown.map(({ whole }) => whole.end));
  const at = (time: number) => Math.max(0, Math.round(time - first));
  // A bar needs a length to be seen.
  const least = Math.max(1, Math.ceil((last - first) / 100));
  const bar = (text: string, id: string, { start, end }: Span, kind: string) =>
    `  ${text} ${formatDuration(Math.max(0, end - start))} :${kind}${id}, ${at(start)}, ${Math.max(at(end), at(start) + least)}`;
  const lines = shown.flatMap(({ name, whole, push }, index) => {
    const built = push === null ? whole : { start: whole.start, end: Math.max(whole.start, push.start) };
    return [
      `  section ${label(name)}`,
      bar('build', `b${index}`, built, 'active, '),
      ...(push === null ? [] : [bar('push', `p${index}`, push, 'done, ')]),
    ];
  });
  return [
    'gantt',
    '  dateFormat x',
    `  axisFormat ${last - first < 3_600_000 ? '%M:%S' : '%H:%M'}`,
    `  tickInterval ${tickInterval(last - first)}`,
    ...lines,
  ].join('\n');
}
