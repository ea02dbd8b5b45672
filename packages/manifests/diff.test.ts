import { describe, expect, it } from 'vitest';
import { describeChange, diffObjects } from './diff.ts';

const lines = (live: object | undefined, next: object) => diffObjects(live, next).map(describeChange);
const pod = (container: object) => ({ spec: { containers: [{ name: 'web', ...container }] } });

describe('a difference', () => {
  it('is said by field, containers by their names', () => {
    const live = {
      spec: {
        replicas: 2,
        containers: [
          { name: 'a', image: 'x:1' },
          { name: 'b', image: 'y:1' },
        ],
      },
    };
    const next = {
      spec: {
        replicas: 3,
        containers: [
          { name: 'b', image: 'y:2' },
          { name: 'a', image: 'x:1' },
        ],
      },
    };
    expect(lines(live, next)).toEqual(['spec.replicas: 2 → 3', 'spec.containers[b].image: y:1 → y:2']);
  });

  it('is said of what comes and of what goes', () => {
    expect(lines({ data: { a: '1' } }, { data: { b: '2' } })).toEqual(['data.a: − 1', 'data.b: + 2']);
    const labels = { metadata: { labels: { 'app.kubernetes.io/name': 'web' } } };
    expect(lines({ metadata: {} }, labels)).toEqual(['metadata.labels["app.kubernetes.io/name"]: + web']);
  });

  it('is none in what the API server writes itself', () => {
    const of = (resourceVersion: string, replicas: number) => ({
      metadata: { name: 'web', resourceVersion, managedFields: [resourceVersion], generation: replicas },
      status: { replicas },
    });
    expect(lines(of('1', 1), of('2', 2))).toEqual([]);
  });

  it('never has the values of a Secret, of variables whose names say so, or of passwords in addresses', () => {
    const secret = (value: string) => ({ kind: 'Secret', data: { KEY: value } });
    expect(lines(secret('b2xk'), secret('bmV3'))).toEqual(['data.KEY: (not shown) → (not shown)']);
    expect(lines(undefined, secret('bmV3')).join('\n')).not.toContain('bmV3');
    const env = (value: string) => pod({ env: [{ name: 'DB_PASSWORD', value }] });
    expect(lines(env('old-one'), env('new-one'))).toEqual([
      'spec.containers[web].env[DB_PASSWORD].value: (not shown) → (not shown)',
    ]);
    // A whole container that is new.
    expect(lines({ spec: { containers: [] } }, env('new-one')).join('\n')).not.toContain('new-one');
    expect(lines({ data: {} }, { data: { URL: 'postgres://user:hidden-pass@db/app' } })).toEqual([
      'data.URL: + (not shown)',
    ]);
    const applied = {
      metadata: { annotations: { 'kubectl.kubernetes.io/last-applied-configuration': 'hidden' } },
    };
    expect(lines({ metadata: { annotations: {} } }, applied)).toEqual([]);
  });

  it('is cut where a value is long', () => {
    expect(lines({ data: {} }, { data: { a: 'x'.repeat(500) } })[0]?.length).toBeLessThan(140);
  });
});
