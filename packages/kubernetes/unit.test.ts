import { DeployError } from '@deploy-actions/core';
import { describe, expect, it } from 'vitest';
import type { Deployment, Service } from './objects.ts';
import { substituteImagesAcross } from './substitute-images.ts';
import { findUnit, servingOfUnit } from './unit.ts';

const service = (name: string, version: string): Service => ({
  metadata: { name },
  spec: { selector: { app: name, version } },
});

const deployment = (app: string, version: string, image = `acme/${app}:1`): Deployment => {
  const labels = { app, version };
  return {
    metadata: { name: `${app}-${version}` },
    spec: {
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'server', image }] } },
    },
  };
};

const pairs = (...apps: string[]) =>
  apps.flatMap((app) => ['blue', 'green'].map((version) => deployment(app, version)));

function refusal(work: () => unknown): DeployError {
  try {
    work();
  } catch (thrown) {
    if (thrown instanceof DeployError) return thrown;
    throw thrown;
  }
  throw new Error('not refused');
}

describe('Services that are released as one', () => {
  it('have each its own Deployments of the same colours', () => {
    const unit = findUnit(
      [service('backend', 'blue'), service('realtime', 'blue')],
      pairs('backend', 'realtime'),
    );
    expect(unit.slots).toEqual(['blue', 'green']);
    expect(unit.parts.map(({ deployments }) => deployments.get('green')?.metadata.name)).toEqual([
      'backend-green',
      'realtime-green',
    ]);
    expect(servingOfUnit(unit)).toBe('blue');
  });

  it('serve none together while they are on different colours', () => {
    const services = [service('backend', 'blue'), service('realtime', 'green')];
    expect(servingOfUnit(findUnit(services, pairs('backend', 'realtime')))).toBeUndefined();
  });

  it('are refused when their colours are not the same', () => {
    const odd = ['green', 'red'].map((version) => deployment('realtime', version));
    const error = refusal(() =>
      findUnit([service('backend', 'green'), service('realtime', 'green')], [...pairs('backend'), ...odd]),
    );
    expect(error).toMatchObject({ reasonCode: 'invalid_input' });
    expect(error.message).toContain('blue, green; green, red');
  });
});

describe('images of what is released as one', () => {
  const pods = ['backend', 'realtime', 'worker'].map((name) => ({
    where: `Deployment ${name}`,
    pod: { containers: [{ name: 'server', image: `acme/${name === 'worker' ? 'backend' : name}:1` }] },
  }));

  it('go to all that use their repository', () => {
    const found = substituteImagesAcross(pods, ['acme/realtime:2', 'acme/backend:2'], undefined);
    expect(found.map((list) => list.map(({ to }) => to))).toEqual([
      ['acme/backend:2'],
      ['acme/realtime:2'],
      ['acme/backend:2'],
    ]);
  });

  it('have to be named for each, and each has to be used', () => {
    const missing = refusal(() => substituteImagesAcross(pods, ['acme/backend:2'], undefined));
    expect(missing).toMatchObject({ reasonCode: 'not_found' });
    expect(missing.message).toContain('Deployment realtime');
    const unused = refusal(() =>
      substituteImagesAcross(pods, ['acme/backend:2', 'acme/realtime:2', 'acme/other:2'], undefined),
    );
    expect(unused.message).toContain('acme/other:2');
  });

  it('are as for a single one where there is one', () => {
    const error = refusal(() => substituteImagesAcross(pods.slice(0, 1), ['acme/other:2'], undefined));
    expect(error.message).toBe('Deployment backend has no container of the repository docker.io/acme/other.');
  });
});
