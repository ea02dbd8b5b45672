// The summary of build-images, of builds as they were seen to go: four images at once, a release later, and one of merged parts.

import { summarizeBuilds, type BuiltImage } from '../../actions/build-images/summary.ts';
import { createTestContext } from '../support/context.ts';

const digest = (digit: string) =>
  `sha256:${digit.repeat(8)}${'0f1e2d3c4b5a6978'.repeat(4).slice(8)}`.slice(0, 71);

function image(
  name: string,
  digit: string,
  times: { from: number; push: number; to: number } | undefined,
  own: Partial<BuiltImage> = {},
): BuiltImage {
  return {
    name,
    reference: `ghcr.io/acme/helpdesk-${name}@${digest(digit)}`,
    digest: digest(digit),
    platforms: ['linux/amd64', 'linux/arm64'],
    size: 71_400_000,
    before: undefined,
    build:
      times === undefined
        ? undefined
        : {
            name,
            whole: { start: times.from, end: times.to },
            push: { start: times.push, end: times.to },
            steps: 11,
            cached: 0,
            failed: false,
          },
    tags: [],
    why: 'its inputs changed',
    ...own,
  };
}

const facts = [
  'pushed as candidate-4f9c1e7ab2d8-8123456789-1; every digest, manifest and layer is verified at the registry',
];

/** All four, from nothing. */
export function firstBuild(): string {
  const { context } = createTestContext();
  summarizeBuilds(
    [
      image('backend', 'a', { from: 0, push: 61_200, to: 70_400 }, { size: 143_000_000 }),
      image('frontend', 'b', { from: 300, push: 22_000, to: 24_900 }),
      image('ai', 'c', { from: 200, push: 48_300, to: 55_000 }, { size: 612_000_000 }),
      image('realtime', 'd', { from: 400, push: 18_000, to: 19_700 }),
    ],
    context,
    ['4 of 4 images built in 1m12s', ...facts],
  );
  return context.summary.text();
}

/** One that changed, beside three that did not; and names as long as they may be. */
export function laterBuild(): string {
  const { context } = createTestContext();
  const before = { tag: 'main', digest: digest('9'), size: 68_000_000 };
  summarizeBuilds(
    [
      image('backend', 'a', undefined, { before: { ...before, size: 71_400_000 }, version: '1.4.1' }),
      image('notification-gateway-with-a-long-name', 'b', { from: 0, push: 4_100, to: 5_000 }, { before }),
      image('ai', 'c', undefined, { before: { ...before, size: 71_400_000 }, version: '4f9c1e7ab2d8' }),
    ],
    context,
    ['1 of 3 images built in 6.2s, at attempt 2', ...facts, 'sizes are compared with main'],
  );
  return context.summary.text();
}

/** What two native runners built, merged and given the tags of a release. */
export function mergedRelease(): string {
  const { context } = createTestContext();
  const before = { tag: 'main', digest: digest('9'), size: 68_000_000 };
  const merged = { build: undefined, merged: 2, before };
  summarizeBuilds(
    [
      image('backend', 'a', undefined, { ...merged, tags: ['1.4.2', '1.4'] }),
      image('frontend', 'b', undefined, { ...merged, tags: ['1.4.2', '1.4'] }),
    ],
    context,
    [
      '4 parts of 2 images merged',
      'pushed as candidate-4f9c1e7ab2d8-8123456789-1, and verified at the registry',
      'tagged 1.4.2, 1.4',
      '4 tags of 2 images set and verified. 1 stays: 1.5.0 is later, sha-4f9c1e7ab2d8 stays: it names the first image of this commit.',
    ],
  );
  return context.summary.text();
}
