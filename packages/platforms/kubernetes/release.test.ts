import { canonicalJson } from '@deploy-actions/core';
import { type Deployment, releaseAnnotation } from '@deploy-actions/kubernetes';
import { describe, expect, it } from 'vitest';
import { enoughFor, floorOf } from './autoscaling.ts';
import { type KubernetesRelease, releaseAcross, revisionGivenTo, revisionOf } from './release.ts';

const release = (version: string): KubernetesRelease => ({
  version,
  images: [`acme/backend:${version}`, `acme/realtime:${version}`],
  container: null,
  replicas: null,
});

function deployment(name: string, version: string, given?: KubernetesRelease): Deployment {
  const annotations = given === undefined ? {} : { [releaseAnnotation]: canonicalJson(given) };
  const containers = [
    { name, image: `acme/${name}:${version}` },
    { name: 'sidecar', image: 'nginx' },
  ];
  return {
    metadata: { name, annotations },
    spec: { selector: {}, template: { spec: { containers } } },
  };
}

describe('what Deployments hold together', () => {
  it('is the release that they were given, while all have its images', () => {
    const two = release('2');
    const all = [deployment('backend', '2', two), deployment('realtime', '2', two)];
    expect(releaseAcross(all, undefined)).toEqual(two);
    const half = [deployment('backend', '2', two), deployment('realtime', '1', release('1'))];
    expect(revisionOf(releaseAcross(half, undefined))).not.toBe(revisionOf(two));
    expect(half.map(revisionGivenTo)).toEqual([revisionOf(two), revisionOf(release('1'))]);
  });

  it('is nobody’s release where an image was changed by hand', () => {
    const two = release('2');
    expect(revisionGivenTo(deployment('backend', '3', two))).toBeUndefined();
    expect(revisionGivenTo(deployment('backend', '2'))).toBeUndefined();
  });
});

describe('the pods that a colour needs before it gets the traffic', () => {
  const autoscaler = (maxReplicas: number, floor?: string) => ({
    metadata: {
      name: 'one',
      ...(floor === undefined ? {} : { annotations: { 'deploy-actions.dev/min-replicas': floor } }),
    },
    spec: { scaleTargetRef: { kind: 'Deployment', name: 'backend' }, maxReplicas },
  });

  it('are as many as serve where an autoscaler decides, within its maximum, and otherwise not asked for', () => {
    expect(enoughFor({ own: undefined, serving: undefined }, 5)).toBe(0);
    expect(enoughFor({ own: undefined, serving: autoscaler(9) }, 5)).toBe(5);
    expect(enoughFor({ own: autoscaler(3), serving: autoscaler(9) }, 5)).toBe(3);
  });

  it('are those that the release began with while it is under way', () => {
    expect(enoughFor({ own: autoscaler(9, '{"was":2,"set":4}'), serving: undefined }, 8)).toBe(4);
    expect(floorOf(autoscaler(9, 'nonsense'))).toBeUndefined();
    expect(floorOf(autoscaler(9, '{"was":null,"set":4}'))).toEqual({ was: null, set: 4 });
  });
});
