import { describe, expect, it } from 'vitest';
import { definition } from './definition.ts';

describe('inputs of canary-analyze', () => {
  it('take metric endpoints over HTTP and Unix sockets, and nothing else', () => {
    const check = (...urls: string[]) => definition.check?.({ 'metrics-url': urls });
    expect(check('http://127.0.0.1:9180/metrics', 'unix:/run/proxy.sock:/metrics')).toEqual([]);
    expect(check('http://127.0.0.1:9180/metrics', 'file:///etc/passwd')).toMatchObject([
      { input: 'metrics-url', value: 'file:///etc/passwd' },
    ]);
  });

  it('need endpoints, unless a server is asked', () => {
    const check = (inputs: Parameters<NonNullable<typeof definition.check>>[0]) => definition.check?.(inputs);
    expect(check({ metrics: 'scrape' })).toMatchObject([{ input: 'metrics-url' }]);
    const url = new URL('https://prometheus.example.com/');
    expect(check({ metrics: 'prometheus', 'prometheus-url': url })).toEqual([]);
  });
});
