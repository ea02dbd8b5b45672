import { DeployError } from '@deploy-actions/core';
import { describe, expect, it } from 'vitest';
import type { Deployment, Service } from './objects.ts';
import { findSharers } from './sharers.ts';

function deployment(name: string, labels: Record<string, string>, replicas = 1): Deployment {
  return {
    metadata: { name },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [] } },
    },
  };
}
const service = (selector: Record<string, string>): Service => ({
  metadata: { name: 'shop' },
  spec: { selector },
});
const shop = { app: 'shop' };
const blue = deployment('shop-blue', { ...shop, version: 'blue' }, 3);
const green = deployment('shop-green', { ...shop, version: 'green' }, 0);

const refused = (work: () => unknown) => {
  try {
    work();
  } catch (thrown) {
    if (thrown instanceof DeployError) return `${thrown.reasonCode}: ${thrown.message} ${thrown.remedy}`;
    throw thrown;
  }
  return 'it did not throw';
};

describe('Deployments that share a Service', () => {
  it('are found by its selector, and named by the label that tells them apart', () => {
    const other = deployment('worker', { app: 'worker', version: 'blue' });
    const found = findSharers(service(shop), [green, other, blue]);
    expect(found).toMatchObject({ label: 'version', base: shop, serving: 'blue' });
    expect([...found.deployments.keys()]).toEqual(['blue', 'green']);
  });

  it('are refused where the Service sends to one of them alone, as it does in blue-green', () => {
    const text = refused(() => findSharers(service({ ...shop, version: 'blue' }), [blue, green]));
    expect(text).toMatch(/^unsupported: Service shop sends to Deployment shop-blue alone/);
    expect(text).toContain('A label of colours does not belong in the selector');
  });

  it('are refused where no label tells their pods apart, or several do', () => {
    const same = [deployment('a', shop), deployment('b', shop)];
    expect(refused(() => findSharers(service(shop), same))).toMatch(
      /^invalid_input: No label tells the pods of a and b apart/,
    );
    const both = [
      deployment('a', { ...shop, version: 'blue', track: 'x' }),
      deployment('b', { ...shop, version: 'green', track: 'y' }),
    ];
    expect(refused(() => findSharers(service(shop), both))).toContain('version, track');
    expect(findSharers(service(shop), both, 'track').label).toBe('track');
    expect(refused(() => findSharers(service(shop), both, 'app'))).toContain('No label "app"');
  });

  it('are not there: the Deployments that are there are named', () => {
    expect(refused(() => findSharers(service({ app: 'none' }), [blue]))).toMatch(/^not_found: .*shop-blue/);
  });
});
