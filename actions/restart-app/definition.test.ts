import { describe, expect, it } from 'vitest';
import { definition } from './definition.ts';

describe('inputs of restart-app', () => {
  it('say what is restarted', () => {
    expect(definition.check?.({})).toMatchObject([{ input: 'workload' }]);
    expect(definition.check?.({ workload: 'deployment/helpdesk' })).toEqual([]);
    expect(definition.check?.({ service: ['helpdesk'] })).toEqual([]);
  });

  it('name a workload by its kind and name', () => {
    const { pattern } = definition.inputs.workload;
    expect(pattern.test('statefulset/helpdesk')).toBe(true);
    expect(pattern.test('helpdesk')).toBe(true);
    expect(pattern.test('job/helpdesk')).toBe(false);
    expect(pattern.test('deployment/')).toBe(false);
  });
});
