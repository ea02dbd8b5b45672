import { describe, expect, it } from 'vitest';
import { definition } from './definition.ts';

const otherwise = (input: 'app' | 'environment' | 'platform' | 'version', inputs: Record<string, unknown>) =>
  definition.inputs[input].otherwise.of(inputs);

describe('inputs of rolling-update', () => {
  it('need no more than a workload and an image', () => {
    const inputs = {
      workload: 'deployment/helpdesk',
      image: [{ repository: 'acme/app', tag: '1.4', digest: undefined }],
    };
    expect(otherwise('app', inputs)).toBe('helpdesk');
    expect(otherwise('environment', inputs)).toBe('');
    expect(otherwise('platform', inputs)).toBe('kubernetes');
    expect(otherwise('version', inputs)).toBe('1.4');
  });

  it('name a workload by its kind and name', () => {
    const { pattern } = definition.inputs.workload;
    for (const good of ['deployment/a', 'statefulset/a.b-c', 'daemonset/node-agent']) {
      expect(good).toMatch(pattern);
    }
    for (const bad of ['helpdesk', 'deploy/helpdesk', 'deployment/', 'deployment/A', 'deployment/a/b']) {
      expect(bad).not.toMatch(pattern);
    }
  });

  it('go with Kubernetes alone', () => {
    const workload = 'deployment/helpdesk';
    expect(definition.check?.({ workload, platform: 'linux-host' })).toMatchObject([{ input: 'platform' }]);
    expect(definition.check?.({ workload, platform: 'kubernetes' })).toEqual([]);
    // Said of a deploy.yml for a host, nobody wants a rolling update.
    expect(definition.check?.({ platform: 'linux-host' })).toEqual([]);
  });
});
