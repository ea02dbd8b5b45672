import { describe, expect, it } from 'vitest';
import { createTestContext } from '../../test/support/context.ts';
import { type BuiltImage, cachedOf, summarizeBuilds } from './summary.ts';

const image = (own: Partial<BuiltImage>): BuiltImage => ({
  name: 'backend',
  reference: '',
  digest: `sha256:${'a'.repeat(64)}`,
  platforms: ['linux/amd64', 'linux/arm64'],
  size: 1_000,
  before: undefined,
  build: undefined,
  tags: [],
  why: '',
  ...own,
});

describe('an image that was not built here', () => {
  it.each<[string | number, string, Partial<BuiltImage>]>([
    ['unchanged', '| unchanged since 1.4.0 | all |', { version: '1.4.0' }],
    ['merged', '| merged of 2 parts |  |', { merged: 2 }],
    ['merged', '| merged of 1 part |  |', { merged: 1 }],
  ])('is %s', (cached, row, own) => {
    const { context } = createTestContext({});
    summarizeBuilds([image(own)], context, []);
    expect(cachedOf(image(own))).toBe(cached);
    expect(context.summary.text()).toContain(row);
  });
});
