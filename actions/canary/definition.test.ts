import { describe, expect, it } from 'vitest';
import { definition } from './definition.ts';

describe('inputs of canary', () => {
  it('take weights that rise', () => {
    expect(definition.check?.({ weights: [20, 40, 60, 80] })).toEqual([]);
    expect(definition.check?.({ weights: [20, 20] })).toMatchObject([{ input: 'weights', value: '20,20' }]);
    expect(definition.check?.({ weights: [40, 20] })).toMatchObject([{ input: 'weights' }]);
  });

  it('name every problem at once', () => {
    const problems = definition.check?.({
      router: 'embedded-proxy',
      weights: [2, 1],
      'max-error-rate': 0,
      confidence: 50,
    });
    expect(problems?.map(({ input }) => input)).toEqual([
      'listen',
      'max-error-rate',
      'confidence',
      'weights',
    ]);
  });
});
