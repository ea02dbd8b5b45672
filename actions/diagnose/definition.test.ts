import { describe, expect, it } from 'vitest';
import { definition } from './definition.ts';

describe('inputs of diagnose', () => {
  const problems = (inputs: Parameters<NonNullable<typeof definition.check>>[0]) =>
    definition.check?.(inputs).map(({ input }) => input);

  it.each([
    [{}, ['service']],
    [{ workload: 'deployment/helpdesk', selector: 'app=helpdesk' }, ['selector']],
    [{ selector: 'app=helpdesk' }, []],
    // deploy.yml names a Service for every step.
    [{ service: ['helpdesk'], selector: 'app=helpdesk' }, []],
    [{ service: ['helpdesk'], workload: 'deployment/helpdesk' }, []],
  ])('say which pods are meant: %j', (inputs, wrong) => {
    expect(problems(inputs)).toEqual(wrong);
  });
});
