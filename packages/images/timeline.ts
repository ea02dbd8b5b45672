import { formatDuration } from '@deploy-actions/core';
import type { ImageBuild, Span } from './build-progress.ts';

/** Text in which Mermaid finds nothing of its own. */
const label = (text: string) => text.replace(/[:;,#]/g, ' ').slice(0, 24);

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
    ...lines,
  ].join('\n');
}
