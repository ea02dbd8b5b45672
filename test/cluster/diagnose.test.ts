import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Cause } from '@deploy-actions/diagnosis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Account } from './namespace.ts';
import { diagnoseWith, rulesOf, type Said } from './operations.ts';
import { publishHelpdesk } from './helpdesk-image.ts';
import { nodePortService, publishServer, serverDeployment } from './server-image.ts';
import { openStage, type Stage } from './stage.ts';

/** Long enough that its form alone always gives it away: nothing else is known of a value that only a Secret has. */
const random = (): string => randomBytes(48).toString('base64url');
const secrets = {
  database: random(),
  cache: randomBytes(9).toString('hex'),
  api: randomBytes(9).toString('hex'),
  crash: random(),
};

let stage: Stage;
let account: Account;
const folders: string[] = [];

type Patch = (container: Record<string, unknown>, spec: Record<string, unknown>) => void;

/** An application that writes what it should not to its log. */
const tells =
  'echo "url $DATABASE_URL"; echo "it is $BARE"; echo "redis $REDIS_URL"; echo "key $API_KEY"; sleep 3600';

/** A Deployment of one pod with what is wrong with it. */
function broken(name: string, patch: Patch, image = 'acme/ops:1'): object {
  const deployment = serverDeployment({ name, image, replicas: 1 }) as {
    spec: { template: { spec: { containers: Record<string, unknown>[] } } };
  };
  const { spec } = deployment.spec.template;
  const [container = {}] = spec.containers;
  patch(container, spec);
  return deployment;
}

async function diagnosed(inputs: Parameters<typeof diagnoseWith>[1], who = account): Promise<Said> {
  const said = await diagnoseWith(who, inputs);
  folders.push(said.temp);
  return said;
}

const causesOf = ({ outcome }: Said) => JSON.parse(String(outcome.outputs['causes'])) as Cause[];

/** Diagnoses until the cause is the first, for what takes the cluster a while to notice. */
async function firstIs(
  rule: string,
  inputs: Parameters<typeof diagnoseWith>[1],
  seconds = 60,
): Promise<Cause> {
  const end = performance.now() + seconds * 1_000;
  for (;;) {
    const said = await diagnosed({ exec: false, ...inputs });
    const [first] = causesOf(said);
    if (first?.rule === rule) return first;
    if (performance.now() > end) expect(causesOf(said), said.log).toMatchObject([{ rule }]);
    await delay(1_000);
  }
}

beforeAll(async () => {
  stage = await openStage();
  account = await stage.account('diagnoser', await rulesOf('diagnose-role.yml'));
  await publishServer('acme/ops:1', { VERSION: '1' });
  const debian = `${stage.name}:2`;
  await publishHelpdesk(debian, { number: 2 }, (line) => void process.stderr.write(`${line}\n`));
  await stage.apply(
    serverDeployment({ name: 'well', image: 'acme/ops:1', replicas: 2 }),
    nodePortService('well', { app: 'well' }),
    broken('crashing', (container) => (container['env'] = [{ name: 'ON_SIGTERM', value: 'nonsense' }])),
    broken('no-image', () => {}, `acme/ops:no-such-${stage.name}`),
    broken(
      'hungry',
      (container) => {
        container['resources'] = { limits: { memory: '32Mi' } };
        container['command'] = ['tail', '/dev/zero'];
      },
      debian,
    ),
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'telling' },
      stringData: {
        'database-url': `postgresql://shop:${secrets.database}@127.0.0.1:9/shop`,
        password: secrets.crash,
      },
    },
    broken(
      'telling',
      (container) => {
        container['command'] = ['sh', '-c', tells];
        delete container['readinessProbe'];
        container['env'] = [
          { name: 'DATABASE_URL', valueFrom: { secretKeyRef: { name: 'telling', key: 'database-url' } } },
          { name: 'BARE', valueFrom: { secretKeyRef: { name: 'telling', key: 'password' } } },
          { name: 'REDIS_URL', value: `redis://:${secrets.cache}@no-such-host.invalid:6379/0` },
          { name: 'API_KEY', value: secrets.api },
        ];
      },
      debian,
    ),
    broken(
      'confessing',
      (container) => {
        container['command'] = [
          'sh',
          '-c',
          'echo "fatal: login as $BARE failed, $API_KEY, $DATABASE_URL" | tee /dev/termination-log; exit 4',
        ];
        container['env'] = [
          { name: 'DATABASE_URL', valueFrom: { secretKeyRef: { name: 'telling', key: 'database-url' } } },
          { name: 'BARE', valueFrom: { secretKeyRef: { name: 'telling', key: 'password' } } },
          { name: 'API_KEY', value: secrets.api },
        ];
      },
      debian,
    ),
    broken('huge', (container) => (container['resources'] = { requests: { cpu: '900' } })),
    broken('never-ready', (container) => (container['env'] = [{ name: 'READY_AFTER', value: 'never' }])),
    nodePortService('never-ready', { app: 'never-ready' }),
    nodePortService('typo', { app: 'wel' }),
    broken('unconfigured', (container) => {
      container['env'] = [{ name: 'X', valueFrom: { secretKeyRef: { name: 'no-such', key: 'x' } } }];
    }),
    broken('no-program', (container) => (container['command'] = ['/no-such-program'])),
    broken('killed', (container) => {
      container['livenessProbe'] = { httpGet: { path: '/', port: 9 }, periodSeconds: 1, failureThreshold: 1 };
    }),
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'data' },
      spec: {
        accessModes: ['ReadWriteOnce'],
        storageClassName: 'no-such-class',
        resources: { requests: { storage: '1Gi' } },
      },
    },
    broken('waiting', (_container, spec) => {
      spec['volumes'] = [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }];
    }),
  );
  await stage.rolledOut('well');
});
afterAll(async () => {
  await stage.end();
  await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })));
});

describe('the cause comes first:', () => {
  it('an image that is not there', async () => {
    const cause = await firstIs('image-pull', { workload: 'deployment/no-image' });
    expect(cause.evidence.join()).toMatch(/not found/);
  });

  it('a crash loop, with exit code and last words', async () => {
    const cause = await firstIs('crash-loop', { workload: 'crashing' });
    expect(cause.evidence.join('\n')).toContain('exit code 2');
    expect(cause.evidence.join('\n')).toContain('ON_SIGTERM=nonsense not allowed');
  });

  it('a memory limit that is reached', async () => {
    const cause = await firstIs('out-of-memory', { workload: 'hungry' });
    expect(cause.evidence.join()).toContain('its limit is 32Mi');
  });

  it('a request that no node has room for', async () => {
    const cause = await firstIs('unschedulable', { workload: 'huge' });
    expect(cause.evidence.join()).toContain('Insufficient cpu');
  });

  it('a probe that fails, and with it the endpoints', async () => {
    const cause = await firstIs('failing-probe', { service: 'never-ready' });
    expect(cause.evidence.join()).toContain('503');
    const said = await diagnosed({ service: 'never-ready', exec: false });
    expect(causesOf(said).map(({ rule }) => rule)).toEqual(['failing-probe', 'no-endpoints']);
  });

  it('a selector with a typing error', async () => {
    const cause = await firstIs('selector-matches-nothing', { service: 'typo' });
    expect(cause.title).toContain('app=wel');
    expect(cause.evidence.join()).toContain('app=well');
  });

  it('a Secret that is not there', async () => {
    const cause = await firstIs('configuration', { workload: 'unconfigured' });
    expect(cause.evidence.join()).toContain('no-such');
  });

  it('a program that is not in the image', async () => {
    await firstIs('cannot-start', { workload: 'no-program' });
  });

  it('a liveness probe that kills', async () => {
    await firstIs('liveness-probe', { workload: 'killed' });
  });

  it('a volume that nobody makes', async () => {
    const cause = await firstIs('pending-volume', { workload: 'waiting' });
    expect(cause.evidence.join()).toContain('no-such-class');
  });

  it('none, for what is well; its figures are read', async () => {
    const said = await diagnosed({ service: 'well' });
    expect(causesOf(said), said.log).toEqual([]);
    expect(said.everything).toContain('2 of 2 pods are ready');
    expect(said.everything).toMatch(/Requests since it started/);
  });
});

describe('from inside a pod', () => {
  it('database and cache are tried, and of what the environment says only hosts come out', async () => {
    await stage.rolledOut('telling');
    const said = await diagnosed({ workload: 'telling' });
    const causes = causesOf(said);
    expect(causes.map(({ rule }) => rule).slice(0, 2), said.log).toEqual(['dns', 'dependency']);
    expect(causes[1]?.title).toContain('127.0.0.1:9 (DATABASE_URL)');
    expect(causes[0]?.evidence.join()).toContain('no-such-host.invalid');
    expect(said.everything).toContain('from Secret telling, key database-url (not read)');
    expect(said.everything).toContain('url postgresql://***@127.0.0.1:9/shop');
    for (const secret of Object.values(secrets)) expect(said.everything).not.toContain(secret);
  });

  it('an image without a shell is said not to be checked', async () => {
    const said = await diagnosed({ service: 'well' });
    expect(String(said.outcome.outputs['gaps'])).toMatch(/not checked from well-.*cannot be run/);
  });
});

it('the last words of what crashes come without the secrets in them', async () => {
  const cause = await firstIs('crash-loop', { workload: 'confessing' });
  expect(cause.evidence.join('\n')).toContain(
    'fatal: login as *** failed, ***, postgresql://***@127.0.0.1:9/shop',
  );
  const said = await diagnosed({ workload: 'confessing' });
  for (const secret of Object.values(secrets)) expect(said.everything).not.toContain(secret);
});

describe('with fewer rights', () => {
  it('what may not be read is named with its rule of the Role, and the rest goes on', async () => {
    const rules = await rulesOf('diagnose-role.yml');
    const without = ['events', 'pods/log', 'pods/exec', 'endpointslices', 'poddisruptionbudgets'];
    const fewer = rules
      .map((rule) => ({
        ...rule,
        resources: rule.resources.filter((resource) => !without.includes(resource)),
      }))
      .filter(({ resources }) => resources.length > 0);
    const said = await diagnosed({ service: 'never-ready' }, await stage.account('fewer', fewer));
    expect(said.outcome).toMatchObject({ result: 'succeeded' });
    const gaps = String(said.outcome.outputs['gaps']);
    for (const resource of without) expect(gaps).toContain(resource);
    expect(said.everything).toContain('0 of 1 pods are ready');
  });

  it('without any, it says so for the Service that it was asked about', async () => {
    const none = await stage.account('none', []);
    await expect(diagnosed({ service: 'well' }, none)).rejects.toMatchObject({
      reasonCode: 'permission_denied',
    });
  });
});

it('what is not there is not found', async () => {
  await expect(diagnosed({ selector: 'app=nothing' })).rejects.toMatchObject({ reasonCode: 'not_found' });
  await expect(diagnosed({ workload: 'statefulset/nothing' })).rejects.toMatchObject({
    reasonCode: 'not_found',
  });
});
