import { describe, expect, it } from 'vitest';
import { keepLiveFields, type LiveFacts } from './live-fields.ts';
import type { ManifestObject } from './parse.ts';

const facts: LiveFacts = { autoscaled: new Set(), deployments: [], force: false };

/** The record of a manager that owns one field. */
function owner(manager: string, operation: 'Apply' | 'Update', ...path: string[]) {
  const fieldsV1 = path.toReversed().reduce((inner: Record<string, unknown>, key) => ({ [key]: inner }), {});
  return { manager, operation, fieldsV1 };
}

const service = (version: string, metadata: object = {}): ManifestObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web', ...metadata },
  spec: { selector: { app: 'web', version } },
});
const colour = ['f:spec', 'f:selector', 'f:version'];

const deployment = (replicas: number, image = 'acme/web:1', metadata: object = {}): ManifestObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', ...metadata },
  spec: {
    replicas,
    template: {
      spec: {
        containers: [
          { name: 'web', image },
          { name: 'side', image: 'side:1' },
        ],
      },
    },
  },
});

describe('the colour of a Service', () => {
  it('stays when a release switched it, and is left to that release', () => {
    const live = service('green', { managedFields: [owner('deploy-actions', 'Update', ...colour)] });
    const { object, kept } = keepLiveFields(service('blue'), live, facts);
    expect(kept).toMatchObject([{ field: 'spec.selector.version', said: 'blue', kept: 'green' }]);
    expect(object['spec']).toEqual({ selector: { app: 'web' } });
  });

  it('is applied as it is where nobody else owns it, for left out it would be taken away', () => {
    const live = service('blue', {
      annotations: { 'deploy-actions.dev/fence': '7' },
      managedFields: [owner('deploy-actions', 'Apply', ...colour)],
    });
    const { object, kept } = keepLiveFields(service('green'), live, facts);
    expect(kept).toHaveLength(1);
    expect(object['spec']).toEqual({ selector: { app: 'web', version: 'blue' } });
  });

  it('is the manifest’s on a Service that was never switched, and on one that is not there', () => {
    const live = service('green', { managedFields: [owner('deploy-actions', 'Apply', ...colour)] });
    expect(keepLiveFields(service('blue'), live, facts)).toEqual({ object: service('blue'), kept: [] });
    expect(keepLiveFields(service('blue'), undefined, facts).kept).toEqual([]);
  });
});

describe('replicas', () => {
  const replicas = ['f:spec', 'f:replicas'];
  const of = (...owners: object[]) => deployment(5, undefined, { managedFields: owners });
  const keep = (live: ManifestObject, more: Partial<LiveFacts> = {}) =>
    keepLiveFields(deployment(2), live, { ...facts, ...more });

  it('stay under an autoscaler, even when fields are taken over', () => {
    const live = of({ ...owner('kube-controller-manager', 'Update', ...replicas), subresource: 'scale' });
    const { object, kept } = keep(live, { autoscaled: new Set(['Deployment web']), force: true });
    expect(kept).toMatchObject([{ kept: '5', why: 'a HorizontalPodAutoscaler decides it' }]);
    expect(object['spec']).not.toHaveProperty('replicas');
  });

  it('stay where another manager set them, unless they are taken over', () => {
    const live = of(owner('kubectl-scale', 'Update', ...replicas));
    expect(keep(live).kept).toMatchObject([{ why: 'kubectl-scale set it' }]);
    expect(keep(live, { force: true }).kept).toEqual([]);
  });

  it('stay where a release scaled, even when fields are taken over', () => {
    const live = of(owner('deploy-actions', 'Update', ...replicas));
    expect(keep(live, { force: true }).kept).toMatchObject([{ why: 'a release of this suite scaled it' }]);
  });

  it('are the manifest’s where this action applied them', () => {
    const { object, kept } = keep(of(owner('deploy-actions', 'Apply', ...replicas)));
    expect(kept).toEqual([]);
    expect(object).toEqual(deployment(2));
  });
});

describe('an image', () => {
  const released = (image: string, container: string | null = null) =>
    deployment(2, image, {
      annotations: {
        'deploy-actions.dev/release': JSON.stringify({ version: '2', images: [image], container }),
      },
    });

  it('that a release put there stays, others do not', () => {
    const wanted = deployment(2, 'docker.io/acme/web:3');
    const { object, kept } = keepLiveFields(wanted, released('acme/web:2'), facts);
    expect(kept).toMatchObject([
      { field: 'spec.template.spec.containers[web].image', said: 'docker.io/acme/web:3', kept: 'acme/web:2' },
    ]);
    expect(object['spec']).toMatchObject({
      template: { spec: { containers: [{ image: 'acme/web:2' }, { image: 'side:1' }] } },
    });
  });

  it('of another repository is a change that was meant, unless the release named the container', () => {
    const wanted = deployment(2, 'acme/other:1');
    expect(keepLiveFields(wanted, released('acme/web:2'), facts).kept).toEqual([]);
    expect(keepLiveFields(wanted, released('acme/web:2', 'web'), facts).kept).toHaveLength(1);
  });

  it('is the manifest’s where nothing was released', () => {
    expect(keepLiveFields(deployment(2, 'acme/web:3'), deployment(2, 'acme/web:2'), facts).kept).toEqual([]);
  });
});
