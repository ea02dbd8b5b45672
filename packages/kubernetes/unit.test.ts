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

const refusal = (reasonCode: string, text: string): unknown =>
  expect.objectContaining({ reasonCode, message: expect.stringContaining(text) as unknown });

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
    const services = [service('backend', 'green'), service('realtime', 'green')];
    expect(() => findUnit(services, [...pairs('backend'), ...odd])).toThrow(
      refusal('invalid_input', 'blue, green; green, red'),
    );
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
    const refused = (...images: string[]) => expect(() => substituteImagesAcross(pods, images, undefined));
    refused('acme/backend:2').toThrow(refusal('not_found', 'Deployment realtime'));
    refused('acme/backend:2', 'acme/realtime:2', 'acme/other:2').toThrow(
      refusal('not_found', 'acme/other:2'),
    );
  });

  it('are as for a single one where there is one', () => {
    expect(() => substituteImagesAcross(pods.slice(0, 1), ['acme/other:2'], undefined)).toThrow(
      refusal('not_found', 'Deployment backend has no container of the repository docker.io/acme/other.'),
    );
  });
});
