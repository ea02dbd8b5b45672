import { DeployError } from '@deploy-actions/core';
import { describe, expect, it } from 'vitest';
import { findColours, otherServicesOn } from './colours.ts';
import type { Container, Deployment, Service } from './objects.ts';

function service(selector: Record<string, string>, name = 'web'): Service {
  return { metadata: { name, namespace: 'apps' }, spec: { selector } };
}

function deployment(
  name: string,
  labels: Record<string, string>,
  container: Partial<Container> = {},
): Deployment {
  const containers = [{ name: 'app', image: 'acme/app:1', ...container }];
  return {
    metadata: { name },
    spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { containers } } },
  };
}

const blue = deployment('web-blue', { app: 'web', version: 'blue' });
const green = deployment('web-green', { app: 'web', version: 'green', extra: 'x' });
const selector = { app: 'web', version: 'blue' };

function refusal(work: () => unknown): DeployError {
  try {
    work();
  } catch (thrown) {
    if (thrown instanceof DeployError) return thrown;
    throw thrown;
  }
  throw new Error('not refused');
}

describe('colours', () => {
  it('are found from the selector of the Service and the labels of the pods', () => {
    const found = findColours(service(selector), [green, blue, deployment('db', { app: 'db' })]);
    expect(found).toMatchObject({ label: 'version', serving: 'blue', base: { app: 'web' } });
    expect([...found.deployments].map(([slot, { metadata }]) => [slot, metadata.name])).toEqual([
      ['blue', 'web-blue'],
      ['green', 'web-green'],
    ]);
  });

  it('may have any names, and be more than two', () => {
    const slots = ['a', 'b', 'c'].map((track) => deployment(`web-${track}`, { app: 'web', track }));
    const found = findColours(service({ app: 'web', track: 'b' }), slots);
    expect([found.label, found.serving, [...found.deployments.keys()]]).toEqual([
      'track',
      'b',
      ['a', 'b', 'c'],
    ]);
  });

  it('are not taken for another application beside them', () => {
    const others = ['blue', 'green'].map((version) => deployment(`api-${version}`, { app: 'api', version }));
    const found = findColours(service(selector), [...others, blue, green]);
    expect(found.label).toBe('version');
    expect([...found.deployments.values()]).toEqual([blue, green]);
    expect(refusal(() => findColours(service(selector), [...others, blue])).reasonCode).toBe('unsupported');
  });

  it('are not taken for a worker of the same image', () => {
    const labels = (process: string) => ({ app: 'web', process });
    const web = deployment('web', labels('web'));
    for (const worker of [
      deployment('worker', labels('worker'), { command: ['celery'] }),
      deployment('worker', labels('worker'), { name: 'worker' }),
      deployment('worker', labels('worker'), { image: 'acme/worker:1' }),
      deployment('worker', labels('worker'), { ports: [{ containerPort: 9 }] }),
    ]) {
      const all = [web, worker];
      expect(refusal(() => findColours(service(labels('web')), all))).toMatchObject({
        reasonCode: 'unsupported',
        remedy: expect.stringContaining('slot-label'),
      });
      // Whoever names the label means it.
      expect(findColours(service(labels('web')), all, 'process').label).toBe('process');
    }
    const component = { app: 'web', component: 'backend' };
    const parts = [
      deployment('backend', component),
      deployment('worker', { ...component, component: 'worker' }),
    ];
    expect(refusal(() => findColours(service(component), parts)).reasonCode).toBe('unsupported');
  });

  it('that two labels could be are asked for', () => {
    const all = [
      deployment('a', { app: 'web', version: 'blue', track: 'x' }),
      deployment('b', { app: 'web', version: 'green', track: 'x' }),
      deployment('c', { app: 'web', version: 'blue', track: 'y' }),
    ];
    const both = service({ app: 'web', version: 'blue', track: 'x' });
    expect(refusal(() => findColours(both, all)).message).toContain('version, track');
    expect(findColours(both, all, 'track').label).toBe('track');
    expect(refusal(() => findColours(both, all, 'colour')).remedy).toBe(
      'Its labels are app, version, track.',
    );
  });

  it('that are not there are said to be missing, with what is', () => {
    expect(refusal(() => findColours(service({}), [blue])).message).toContain('no selector');
    expect(refusal(() => findColours(service(selector), []))).toMatchObject({ reasonCode: 'not_found' });
    expect(refusal(() => findColours(service(selector), [green])).remedy).toContain('web-green');
    expect(refusal(() => findColours(service({ ...selector, version: 'red' }), [blue, green])).message).toBe(
      'Service web sends to version=red, which no Deployment has.',
    );
    const twin = deployment('web-twin', { app: 'web', version: 'blue' });
    expect(refusal(() => findColours(service(selector), [blue, green, twin])).message).toContain(
      'web-blue and web-twin both',
    );
  });

  it('know the other Services that send to the one that serves', () => {
    const found = findColours(service(selector), [blue, green]);
    const others = [
      service(selector, 'web'),
      service(selector, 'internal'),
      service({ ...selector, version: 'green' }, 'preview'),
      service({ app: 'web' }, 'all'),
      { metadata: { name: 'headless' }, spec: {} },
    ];
    expect(otherServicesOn(found, others).map(({ metadata }) => metadata.name)).toEqual(['internal']);
  });
});
