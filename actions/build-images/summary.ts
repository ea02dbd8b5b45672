import { type Context, escapeMarkdown } from '@deploy-actions/action-kit';
import { formatDuration } from '@deploy-actions/core';
import { type ImageBuild, buildTimeline } from '@deploy-actions/images';

/** What became of one image. */
export interface BuiltImage {
  name: string;
  /** By digest where it was pushed. */
  reference: string;
  digest: string;
  platforms: string[];
  /** Bytes as they are pulled; null without a push. */
  size: number | null;
  /** The last release, for comparison. */
  before: { tag: string; digest: string; size: number } | undefined;
  /** The version that it says it is: of an image that was not built again, an older one. */
  version?: string | undefined;
  /** How it was built; undefined for an image that was there, or was merged. */
  build: ImageBuild | undefined;
  /** Of how many parts it was merged that other runners built. */
  merged?: number;
  /** All tags that point at it now. */
  tags: string[];
  why: string;
}

/** `12.3 MB`: powers of 1000, as registries and engines count. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const power = Math.min(units.length - 1, bytes < 1 ? 0 : Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1_000 ** power;
  return `${power === 0 ? value : value.toFixed(value < 10 ? 1 : 0)} ${units[power]}`;
}

/** `+1.2 MB (+4 %)`; `same` where not a byte changed. */
export function describeChange(size: number, before: number): string {
  const difference = size - before;
  if (difference === 0) return 'same';
  const sign = difference > 0 ? '+' : '−';
  const share = before === 0 ? '' : ` (${sign}${Math.abs((difference / before) * 100).toFixed(1)} %)`;
  return `${sign}${formatBytes(Math.abs(difference))}${share}`;
}

export const secondsOf = (build: ImageBuild | undefined): number =>
  build === undefined || build.whole === null
    ? 0
    : Math.round((build.whole.end - build.whole.start) / 100) / 10;

/** How much of it was there before: `unchanged`, or the share of steps. What is `merged` was built elsewhere. */
export function cachedOf({ build, merged }: BuiltImage): 'unchanged' | 'merged' | number {
  if (merged !== undefined) return 'merged';
  if (build === undefined) return 'unchanged';
  return build.steps === 0 ? 0 : Math.round((build.cached / build.steps) * 100) / 100;
}

function sizeCell({ size, before }: BuiltImage): string {
  if (size === null) return '';
  return before === undefined
    ? formatBytes(size)
    : `${formatBytes(size)}, ${describeChange(size, before.size)}`;
}

/** When, or of what, it was made, as Markdown; and how much of it came from a cache. */
function madeCells({ build, merged, version }: BuiltImage): [string, string] {
  if (merged !== undefined) return [`merged of ${merged} ${merged === 1 ? 'part' : 'parts'}`, ''];
  if (build === undefined)
    return [`unchanged${version === undefined ? '' : ` since ${escapeMarkdown(version)}`}`, 'all'];
  return [formatDuration(secondsOf(build) * 1_000), `${build.cached} of ${build.steps} steps`];
}

/** The timeline, and a row for each image. */
export function summarizeBuilds(
  images: readonly BuiltImage[],
  context: Context,
  facts: readonly string[],
): void {
  const { summary } = context;
  const timeline = buildTimeline(images.flatMap(({ build }) => (build === undefined ? [] : [build])));
  if (timeline !== undefined) summary.chart(timeline);
  summary.table(
    ['Image', 'Built', 'From cache', 'Size', 'Platforms', 'Digest'],
    images.map((image) => [
      escapeMarkdown(image.name),
      ...madeCells(image),
      sizeCell(image),
      escapeMarkdown(image.platforms.join(', ')),
      image.digest === '' ? 'not pushed' : escapeMarkdown(image.digest.slice(0, 'sha256:'.length + 12)),
    ]),
  );
  summary.list([...facts]);
}
