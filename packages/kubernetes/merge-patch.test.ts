import { describe, expect, it } from 'vitest';
import { describeChange, fieldChanges, isPatched, mergePatchBetween } from './merge-patch.ts';

const from = {
  spec: {
    replicas: 2,
    template: { labels: { app: 'a', old: 'x' }, containers: [{ name: 'c', image: 'a:1' }] },
  },
};
const to = {
  spec: { replicas: 2, template: { labels: { app: 'a' }, containers: [{ name: 'c', image: 'a:2' }] } },
};

describe('a merge patch between two objects', () => {
  it('has only what differs, null for what goes, and lists whole', () => {
    expect(mergePatchBetween(from, to)).toEqual({
      spec: { template: { labels: { old: null }, containers: [{ name: 'c', image: 'a:2' }] } },
    });
    expect(mergePatchBetween(from, structuredClone(from))).toBeUndefined();
    expect(mergePatchBetween({ a: 1 }, { a: 1, b: { c: 1 } })).toEqual({ b: { c: 1 } });
  });

  it('is known to be applied, whatever the server filled in beside it', () => {
    const patch = mergePatchBetween(from, to);
    expect(isPatched(from, patch)).toBe(false);
    expect(isPatched({ ...to, status: {} }, patch)).toBe(true);
    const filled = structuredClone(to);
    Object.assign(filled.spec.template.containers[0] ?? {}, { terminationMessagePath: '/dev/x' });
    expect(isPatched(filled, patch)).toBe(true);
  });
});

describe('changes by field', () => {
  it('name the items of lists', () => {
    expect(fieldChanges(from, to).map(describeChange)).toEqual([
      'spec.template.labels.old: x → (none)',
      'spec.template.containers[c].image: a:1 → a:2',
    ]);
  });

  it('show what comes as a whole', () => {
    const [change] = fieldChanges(
      { c: [{ name: 'x' }] },
      { c: [{ name: 'x', preStop: { sleep: { seconds: 5 } } }] },
    );
    expect(change).toEqual({ path: 'c[x].preStop', from: undefined, to: { sleep: { seconds: 5 } } });
  });
});
