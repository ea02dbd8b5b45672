import { expect, test } from 'vitest';
import { fillQuery } from './query.ts';
import { parseSelector } from './selector.ts';

test('slot and version are filled in, escaped', () => {
  const query = fillQuery(
    { kind: 'latency', name: 'l', histogram: 'h{slot="{slot}",v="{version}",code=~"\\\\d{3}"}' },
    { slot: 'blue', version: 'a"b\\c' },
  );
  expect(query).toMatchObject({ histogram: 'h{slot="blue",v="a\\"b\\\\c",code=~"\\\\d{3}"}' });
  expect(query.kind === 'latency' && parseSelector(query.histogram).matchers[1]?.value).toBe('a"b\\c');
});

test('a placeholder without a value is refused', () => {
  expect(() => fillQuery({ kind: 'ratio', name: 'r', errors: 'e', total: 't{slot="{slot}"}' }, {})).toThrow(
    't{slot="{slot}"} has {slot}, but the slot is not known here',
  );
});
