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
  /** How it was built; undefined for an image that was there. */
  build: ImageBuild | undefined;
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

/** How much of it was there before: `unchanged`, or the share of steps. */
export function cachedOf({ build }: BuiltImage): 'unchanged' | number {
  if (build === undefined) return 'unchanged';
  return build.steps === 0 ? 0 : Math.round((build.cached / build.steps) * 100) / 100;
}

function sizeCell({ size, before }: BuiltImage): string {
  if (size === null) return '';
  return before === undefined
    ? formatBytes(size)
    : `${formatBytes(size)}, ${describeChange(size, before.size)}`;
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
      image.build === undefined
        ? `unchanged${image.version === undefined ? '' : ` since ${escapeMarkdown(image.version)}`}`
        : formatDuration(secondsOf(image.build) * 1_000),
      image.build === undefined ? 'all' : `${image.build.cached} of ${image.build.steps} steps`,
      sizeCell(image),
      escapeMarkdown(image.platforms.join(', ')),
      image.digest === '' ? 'not pushed' : escapeMarkdown(image.digest.slice(0, 'sha256:'.length + 12)),
    ]),
  );
  summary.list([...facts]);
}
