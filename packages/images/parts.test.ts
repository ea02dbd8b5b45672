import { expect, it } from 'vitest';
import { readParts } from './parts.ts';

const digest = (digit: string) => `sha256:${digit.repeat(64)}`;

it('parts are outputs of runners, or digests by image', () => {
  const a = { backend: { digest: digest('a'), platforms: ['linux/amd64'] } };
  const b = { backend: { digest: digest('b') }, ai: { digest: digest('c') } };
  const parts = new Map([
    ['backend', [digest('a'), digest('b')]],
    ['ai', [digest('c')]],
  ]);
  expect(readParts([a, b])).toEqual(parts);
  expect(readParts({ backend: [digest('a'), digest('b'), digest('a')], ai: digest('c') })).toEqual(parts);
});

it.each([[[]], [{}], ['x'], [['x']], [{ backend: ['sha256:1'] }], [{ backend: { digest: '' } }]])(
  '%j is refused, saying what is allowed',
  (value) => {
    expect(readParts(value)).toContain('allowed');
  },
);
