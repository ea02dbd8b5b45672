import { describe, expect, it } from 'vitest';
import { definition } from './definition.ts';

describe('inputs of blue-green-switch', () => {
  it('need the address of the embedded proxy, or the file of nginx', () => {
    expect(definition.check?.({ router: 'embedded-proxy' })).toMatchObject([{ input: 'listen' }]);
    expect(definition.check?.({ router: 'nginx' })).toMatchObject([{ input: 'nginx-upstream-file' }]);
    expect(definition.check?.({ router: 'embedded-proxy', listen: '127.0.0.1:80' })).toEqual([]);
  });

  it('need room for two versions in the port range', () => {
    const check = (range: string, instances: number) =>
      definition.check?.({ 'port-range': range, instances });
    expect(check('8100-8103', 2)).toEqual([]);
    expect(check('8100-8102', 2)).toMatchObject([{ input: 'port-range', value: '8100-8102' }]);
    expect(check('8103-8100', 1)).toMatchObject([{ input: 'port-range' }]);
    expect(check('8100-70000', 1)).toMatchObject([{ input: 'port-range' }]);
  });
});
