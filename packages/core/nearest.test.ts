import { expect, it } from 'vitest';
import { nearest } from './nearest.ts';

it.each([
  ['wieghts', 'weights'],
  ['environmnt', 'environment'],
  ['dryrun', 'dry-run'],
  ['banana', undefined],
])('%s → %s', (name, meant) => expect(nearest(name, ['weights', 'environment', 'dry-run'])).toBe(meant));
