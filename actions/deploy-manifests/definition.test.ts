import { describe, expect, it } from 'vitest';
import { definition, parseLabels } from './definition.ts';

const check = (inputs: Parameters<NonNullable<typeof definition.check>>[0]) => definition.check?.(inputs);

describe('inputs of deploy-manifests', () => {
  it('need manifests, or a command that makes them', () => {
    expect(check({})).toMatchObject([{ input: 'manifests' }]);
    expect(check({ manifests: ['k8s'] })).toEqual([]);
    expect(check({ render: ['kustomize', 'build', 'k8s'] })).toEqual([]);
  });

  it('take image references, and labels with their values', () => {
    const manifests = ['k8s'];
    expect(check({ manifests, images: ['ghcr.io/acme/web:1', 'Not An Image'] })).toMatchObject([
      { input: 'images', value: 'Not An Image' },
    ]);
    expect(check({ manifests, prune: 'app=web' })).toEqual([]);
    for (const prune of ['app', 'app!=web', 'app in (a,b)', '', 'app=']) {
      expect(check({ manifests, prune }), prune).toMatchObject([{ input: 'prune', value: prune }]);
    }
    expect(parseLabels('app=web, app.kubernetes.io/part-of = shop')).toEqual({
      app: 'web',
      'app.kubernetes.io/part-of': 'shop',
    });
  });

  it('need the application with an environment, and an environment with state on a git reference', () => {
    const manifests = ['k8s'];
    expect(check({ manifests, environment: 'production' })).toMatchObject([{ input: 'app' }]);
    expect(check({ manifests, environment: 'production', app: 'web' })).toEqual([]);
    expect(check({ manifests, state: 'git-ref', 'github-token': 't' })).toMatchObject([
      { input: 'environment' },
    ]);
  });
});
