import { describe, expect, it } from 'vitest';
import { definition } from './definition.ts';

describe('inputs of migrate-db', () => {
  it('take apps and migrations as targets', () => {
    expect(definition.check?.({ target: ['tickets', 'users.0002_locale'] })).toEqual([]);
    expect(definition.check?.({ target: ['tickets', 'previous; rm'] })).toMatchObject([
      { input: 'target', value: 'previous; rm' },
    ]);
  });
});
