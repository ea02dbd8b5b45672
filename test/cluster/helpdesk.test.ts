// The sample platform on the cluster, with a real PostgreSQL outside of it.

import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { releaseEnvironment } from '../helpdesk/release.ts';
import { type Postgres, startPostgres } from '../support/postgres.ts';
import { publishHelpdesk } from './helpdesk-image.ts';
import { createNamespace, type Namespace } from './namespace.ts';
import { type NodeRelay, relayFromPods } from './node-relay.ts';
import { nodePortService } from './server-image.ts';

let namespace: Namespace;
let postgres: Postgres;
let relay: NodeRelay;

beforeAll(async () => {
  namespace = await createNamespace('helpdesk');
  postgres = await startPostgres();
  relay = await relayFromPods(postgres.port);
  await publishHelpdesk(`${namespace.name}:2`, { number: 2 }, (line) => console.log(line));
}, 600_000);
afterAll(async () => {
  relay.stop();
  await Promise.all([namespace.end(), postgres.stop()]);
});

test('migrates and serves with gunicorn, healthy, with its version', async () => {
  const url = new URL(await postgres.createDatabase('helpdesk'));
  url.host = `${relay.host}:${relay.port}`;
  await namespace.apply({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'helpdesk' },
    stringData: releaseEnvironment({
      databaseUrl: url.href,
      secretKey: randomBytes(40).toString('base64url'),
    }),
  });
  const container = {
    name: 'helpdesk',
    image: `${namespace.name}:2`,
    envFrom: [{ secretRef: { name: 'helpdesk' } }],
  };
  const labels = { app: 'helpdesk' };
  const probe = { httpGet: { path: '/health/', port: 8000 }, periodSeconds: 1 };
  await namespace.apply(
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'helpdesk' },
      spec: {
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            initContainers: [
              { ...container, name: 'migrate', command: ['python3', 'manage.py', 'migrate', '--no-input'] },
            ],
            containers: [{ ...container, ports: [{ containerPort: 8000 }], readinessProbe: probe }],
          },
        },
      },
    },
    nodePortService('helpdesk', labels),
  );
  await namespace.rolledOut('helpdesk');
  const origin = await namespace.urlOf('helpdesk');
  const health = await fetch(`${origin}/health/`);
  expect([health.status, await health.json()]).toMatchObject([200, { status: 'healthy', version: '2.0.0' }]);
  expect((await fetch(`${origin}/api/tickets/`)).status).toBe(401);
  const version = await namespace.kubectl('exec', 'deployment/helpdesk', '--', 'python3', '--version');
  expect(version).toMatch(/^Python 3\.11\./);
});
