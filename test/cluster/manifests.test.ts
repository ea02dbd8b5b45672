// deploy-manifests as a step runs it, on the real API server, with the rights of the example's Role.

import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { loadAll } from 'js-yaml';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createJob, type Job, type StepResult } from '../support/runner.ts';
import { isMutation, killProcess, onMutation, startApiProxy } from './api-proxy.ts';
import { use } from './cluster.ts';
import { type Account, createNamespace, manifestFile, type Namespace, type PolicyRule } from './namespace.ts';
import { publishServer, serverDeployment } from './server-image.ts';

const roleFile = join(import.meta.dirname, '../../workflows-examples/kubernetes-manifests/role.yml');
const say = (line: string): void => void process.stderr.write(`${line}\n`);

let cluster: Awaited<ReturnType<typeof use>>;
let rules: PolicyRule[];
let namespace: Namespace;
let deployer: Account;
let job: Job;

beforeAll(async () => {
  cluster = await use(say);
  const documents = loadAll(await readFile(roleFile, 'utf8')) as { kind: string; rules?: PolicyRule[] }[];
  rules = documents.find(({ kind }) => kind === 'Role')?.rules ?? [];
  await publishServer('acme/web:1', { VERSION: '1' });
  await publishServer('acme/web:2', { VERSION: '2' });
  await publishServer('acme/web:crash', { VERSION: 'crash', CRASH_AFTER: '100ms', READY_AFTER: 'never' });
});
afterAll(() => cluster.release());
beforeEach(async () => {
  namespace = await createNamespace('manifests');
  deployer = await namespace.account('deployer', rules);
  job = await createJob({ env: { KUBECONFIG: deployer.kubeconfig } });
});
afterEach(async () => {
  await job.end();
  await namespace.end();
});

async function write(files: Record<string, string | object | object[]>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    const file = join(job.workspace, name);
    await mkdir(dirname(file), { recursive: true });
    const objects = Array.isArray(content) ? content : [content];
    const text =
      typeof content === 'string' ? content : objects.map((one) => JSON.stringify(one)).join('\n---\n');
    await writeFile(file, text);
  }
}

const deploy = (inputs: Record<string, string> = {}): Promise<StepResult> =>
  job.step('deploy-manifests', { manifests: 'k8s', ...inputs });

const web = (change: object = {}): object =>
  serverDeployment({ name: 'web', image: 'acme/web:1', replicas: 1, graceSeconds: 1, ...change });
const service = (selector: Record<string, string> = { app: 'web' }, name = 'web'): object => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: { selector, ports: [{ port: 80, targetPort: 8000 }] },
});
const settings = (data: Record<string, string>, name = 'settings', labels = {}): object => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, labels },
  data,
});

async function versions(): Promise<Record<string, string>> {
  const listed = JSON.parse(
    await namespace.kubectl('get', 'deployments,services,configmaps,secrets', '-o', 'json'),
  ) as {
    items: { kind: string; metadata: { name: string; resourceVersion: string; generation?: number } }[];
  };
  return Object.fromEntries(
    listed.items
      .filter(({ metadata }) => !metadata.name.startsWith('deploy-actions.'))
      // The status of a Deployment moves by itself.
      .map(({ kind, metadata }) => [
        `${kind} ${metadata.name}`,
        kind === 'Deployment' ? String(metadata.generation) : metadata.resourceVersion,
      ]),
  );
}

const field = (object: string, path: string): Promise<string> =>
  namespace.kubectl('get', object, '-o', `jsonpath={${path}}`);

describe('a good set of manifests', () => {
  it('is applied, waited for, and unchanged the second time', async () => {
    await write({
      'k8s/web.yml': [web(), service()],
      'k8s/config/settings.yaml': settings({ LEVEL: 'info' }),
      'k8s/secret.json': {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'keys' },
        stringData: { KEY: 'not-for-the-log' },
      },
    });
    const dry = await deploy({ 'dry-run': 'true' });
    expect(dry.outputs, dry.log).toMatchObject({ result: 'planned', created: '4' });
    expect(Object.keys(await versions())).toEqual(['ConfigMap kube-root-ca.crt']);
    const first = await deploy();
    expect(first.outputs, first.log).toMatchObject({ result: 'succeeded', created: '4', unchanged: '0' });
    expect(first.raw).not.toContain('not-for-the-log');
    // The action looks at the pods themselves.
    await expect.poll(() => field('deployment/web', '.status.readyReplicas')).toBe('1');
    const before = await versions();
    const second = await deploy();
    expect(second.outputs, second.log).toMatchObject({
      result: 'unchanged',
      'reason-code': 'already_current',
      unchanged: '4',
    });
    expect(await versions()).toEqual(before);
    expect(await job.post(second)).toMatchObject({ exitCode: 0 });
  });

  it('is shown field by field when it changes, without the values of Secrets', async () => {
    const secret = (value: string) => ({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'keys' },
      stringData: { KEY: value },
    });
    await write({ 'k8s/a.yml': [web(), settings({ LEVEL: 'info' }), secret('first-value-of-it')] });
    expect((await deploy()).exitCode).toBe(0);
    await write({ 'k8s/a.yml': [web(), settings({ LEVEL: 'debug' }), secret('second-value-of-it')] });
    const step = await deploy({ images: 'acme/web:2' });
    expect(step.outputs, step.log).toMatchObject({ result: 'succeeded', changed: '3' });
    expect(step.log).toContain('spec.template.spec.containers[server].image: acme/web:1 → acme/web:2');
    expect(step.log).toContain('data.LEVEL: info → debug');
    expect(step.log).toContain('data.KEY: (not shown) → (not shown)');
    const report = await readFile(step.outputs['report'] ?? '', 'utf8');
    expect(report).toContain('"action": "change"');
    for (const text of [step.raw, step.summary, report]) {
      expect(text).not.toMatch(/first-value|second-value/);
      expect(text).not.toContain(Buffer.from('second-value-of-it').toString('base64'));
    }
  });

  it('is what a command renders', async () => {
    await write({ 'made.yml': settings({ FROM: 'render' }) });
    const step = await job.step('deploy-manifests', { render: 'cat made.yml' });
    expect(step.outputs, step.log).toMatchObject({ result: 'succeeded', created: '1' });
    const failing = await job.step('deploy-manifests', { render: 'cat no-such.yml' });
    expect(failing.outputs, failing.log).toMatchObject({ 'reason-code': 'command_failed' });
  });
});

describe('what is refused', () => {
  const untouched = async (files: Record<string, string | object | object[]>, inputs = {}) => {
    await write({ 'k8s/0.yml': settings({ LEVEL: 'debug' }), ...files });
    const before = await versions();
    const step = await deploy(inputs);
    expect(step.exitCode, step.log).toBe(1);
    expect(await versions()).toEqual(before);
    return step;
  };

  it('is named with file and line, and nothing else is written', async () => {
    const broken = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: -1
  selector:
    matchLabels: { app: web }
  template:
    metadata:
      labels: { app: web }
    spec:
      containers:
        - name: web
          image: acme/web:1
          ports:
            - containerPort: 99999
`;
    const step = await untouched({ 'k8s/1.yml': broken, 'k8s/2.yml': service() });
    expect(step.outputs, step.log).toMatchObject({ 'reason-code': 'invalid_input' });
    expect(step.log).toMatch(/k8s\/1\.yml:6:3: spec\.replicas of Deployment web/);
    expect(step.log).toMatch(
      /k8s\/1\.yml:17:15: spec\.template\.spec\.containers\[0\]\.ports\[0\]\.containerPort/,
    );
  });

  it('a field that does not exist', async () => {
    const text = JSON.stringify(web(), null, 2).replace('"containers"', '"containres"');
    const step = await untouched({ 'k8s/1.json': text });
    expect(step.outputs, step.log).toMatchObject({ 'reason-code': 'invalid_input' });
    expect(step.log).toMatch(/k8s\/1\.json:\d+:\d+: .*containres/);
  });

  it('the document’s own: a kind that is not there, and values that are not base64', async () => {
    await mkdir(join(job.workspace, 'k8s'), { recursive: true });
    await copyFile(manifestFile('canary-deployment.yml'), join(job.workspace, 'k8s/canary-deployment.yml'));
    const kind = await untouched({});
    expect(kind.outputs, kind.log).toMatchObject({ 'reason-code': 'unsupported' });
    expect(kind.log).toMatch(/k8s\/canary-deployment\.yml:2:1: .* has no Rollout in argoproj\.io\/v1alpha1/);
    await rm(join(job.workspace, 'k8s/canary-deployment.yml'));
    await copyFile(manifestFile('secrets.yml'), join(job.workspace, 'k8s/secrets.yml'));
    const secret = await untouched({});
    expect(secret.outputs, secret.log).toMatchObject({ 'reason-code': 'invalid_input' });
    expect(secret.log).toMatch(/k8s\/secrets\.yml:8:3: data\.SECRET_KEY of the Secret is not base64/);
  });

  it('a right that is missing', async () => {
    const step = await untouched({
      'k8s/1.yml': { apiVersion: 'batch/v1', kind: 'CronJob', metadata: { name: 'nightly' }, spec: {} },
    });
    expect(step.outputs, step.log).toMatchObject({ 'reason-code': 'permission_denied' });
    expect(step.log).toMatch(/k8s\/1\.yml:1:1: The right to get cronjobs in namespace .* is missing/);
    expect(step.log).toContain('resources: ["cronjobs"]');
  });

  it('a field of another manager, with its name; and it is taken over when that is asked for', async () => {
    await namespace.kubectl('create', 'configmap', 'settings', '--from-literal=LEVEL=info');
    const step = await untouched({});
    expect(step.outputs, step.log).toMatchObject({ 'reason-code': 'state_conflict' });
    expect(step.log).toMatch(/k8s\/0\.yml:1:\d+: data\.LEVEL of ConfigMap settings is set by kubectl-create/);
    const forced = await deploy({ 'force-conflicts': 'true' });
    expect(forced.outputs, forced.log).toMatchObject({ result: 'succeeded', changed: '1' });
    expect(await field('configmap/settings', '.data.LEVEL')).toBe('debug');
  });

  it('a workload that crashes fails the step at once, with its last words and with what was written', async () => {
    await write({ 'k8s/web.yml': web({ image: 'acme/web:crash' }) });
    const step = await deploy();
    expect(step.outputs, step.log).toMatchObject({ result: 'failed', 'reason-code': 'start_failed' });
    expect(step.log).toMatch(/CrashLoopBackOff/);
    expect(step.log).toContain('All that was planned was written: 1 of 1.');
    expect(step.seconds).toBeLessThan(90);
  });
});

describe('what runs is not reset:', () => {
  it('the colour that a release switched to', async () => {
    const set = [
      ...['blue', 'green'].map((colour) =>
        serverDeployment({
          name: `web-${colour}`,
          image: 'acme/web:1',
          replicas: 1,
          graceSeconds: 1,
          labels: { app: 'web', version: colour },
        }),
      ),
      service({ app: 'web', version: 'blue' }),
    ];
    await write({ 'k8s/web.yml': set });
    expect((await deploy()).exitCode).toBe(0);
    const release = await job.step(
      'blue-green-switch',
      { platform: 'kubernetes', service: 'web', image: 'acme/web:2', watch: '0' },
      { env: { KUBECONFIG: namespace.kubeconfig } },
    );
    expect(release.outputs, release.log).toMatchObject({ result: 'succeeded', slot: 'green' });
    const step = await deploy();
    expect(step.outputs, step.log).toMatchObject({ result: 'unchanged', kept: '2' });
    expect(step.log).toContain('spec.selector.version stays green, not blue');
    expect(step.log).toMatch(/containers\[server\]\.image stays acme\/web:2, not acme\/web:1/);
    // Again, with a change beside it.
    await write({
      'k8s/web.yml': [...set.slice(0, 2), { ...set[2], metadata: { name: 'web', labels: { a: 'b' } } }],
    });
    const changed = await deploy();
    expect(changed.outputs, changed.log).toMatchObject({ result: 'succeeded', changed: '1', kept: '2' });
    expect(await field('service/web', '.spec.selector')).toBe('{"app":"web","version":"green"}');
    expect(await field('deployment/web-green', '.spec.template.spec.containers[0].image')).toBe('acme/web:2');
  });

  it('replicas that an autoscaler decides', async () => {
    const scaler = {
      apiVersion: 'autoscaling/v2',
      kind: 'HorizontalPodAutoscaler',
      metadata: { name: 'web' },
      spec: {
        scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
        minReplicas: 2,
        maxReplicas: 3,
      },
    };
    await write({ 'k8s/web.yml': [web({ replicas: 1 }), scaler] });
    const first = await deploy();
    expect(first.exitCode, first.log).toBe(0);
    await expect.poll(() => field('deployment/web', '.spec.replicas'), { timeout: 40_000 }).toBe('2');
    const step = await deploy({ images: 'acme/web:2' });
    expect(step.outputs, step.log).toMatchObject({ result: 'succeeded', kept: '1' });
    expect(step.log).toContain('spec.replicas stays 2, not 1: a HorizontalPodAutoscaler decides it');
    expect(await field('deployment/web', '.spec.replicas')).toBe('2');
  });
});

describe('prune', () => {
  it('deletes what this action applied and no other, of the stated kinds alone', async () => {
    const mine = { app: 'web' };
    await write({
      'k8s/a.yml': [
        settings({ A: '1' }, 'stays', mine),
        settings({ A: '1' }, 'goes', mine),
        settings({ A: '1' }, 'unlabelled'),
      ],
      'k8s/b.yml': {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'kept-kind', labels: mine },
        data: {},
      },
    });
    expect((await deploy()).exitCode).toBe(0);
    await namespace.apply(settings({ A: '1' }, 'of-somebody-else', mine));
    await write({ 'k8s/a.yml': [settings({ A: '1' }, 'stays', mine)] });
    await rm(join(job.workspace, 'k8s/b.yml'));
    const prune = { prune: 'app=web', 'prune-kinds': 'ConfigMap,Service,Deployment' };
    const dry = await deploy({ ...prune, 'dry-run': 'true' });
    expect(dry.outputs, dry.log).toMatchObject({ pruned: '1' });
    const step = await deploy(prune);
    expect(step.outputs, step.log).toMatchObject({ result: 'succeeded', pruned: '1', unchanged: '1' });
    const names = Object.keys(await versions());
    expect(names).toEqual(
      expect.arrayContaining([
        'ConfigMap stays',
        'ConfigMap unlabelled',
        'ConfigMap of-somebody-else',
        'Secret kept-kind',
      ]),
    );
    expect(names).not.toContain('ConfigMap goes');
  });
});

describe('one that stops half-way', () => {
  const three = ['a', 'b', 'c'].map((name) => settings({ LEVEL: 'info' }, name));

  it('says what was written and what was not, and goes on from there', async () => {
    await write({ 'k8s/a.yml': three });
    // kube-root-ca.crt, the record of the run, and one more: each is allowed by itself.
    await namespace.apply({
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'few' },
      spec: { hard: { 'count/configmaps': '3' } },
    });
    await expect
      .poll(() => field('resourcequota/few', '.status.used'), { timeout: 10_000 })
      .toContain('configmaps');
    const step = await deploy();
    expect(step.outputs, step.log).toMatchObject({ result: 'failed', 'reason-code': 'permission_denied' });
    expect(step.log).toContain('1 of 3 changes were written, 2 were not');
    expect(step.log).toMatch(/written: create ConfigMap a in .*not written: create ConfigMap b/s);
    const record = await field('configmap/deploy-actions.manifests.manifests', '.data.document');
    expect(record).toContain('"phase":"failed"');
    await namespace.kubectl('delete', 'resourcequota', 'few');
    const again = await deploy();
    expect(again.outputs, again.log).toMatchObject({ result: 'succeeded', created: '2', unchanged: '1' });
  });

  it('because a field was refused that the dry run allowed is said where the manifest has it', async () => {
    await write({ 'k8s/a.yml': [settings({ LEVEL: 'info' }, 'a'), settings({ LEVEL: 'loud' }, 'b')] });
    const causes = [{ reason: 'FieldValueInvalid', field: 'data.LEVEL', message: 'too loud' }];
    const status = { kind: 'Status', code: 422, reason: 'Invalid', message: 'no', details: { causes } };
    const proxy = await startApiProxy(deployer.access, [
      {
        where: (request) => isMutation(request) && request.path.includes('/configmaps/b?'),
        fault: { kind: 'answer', status: 422, body: status },
      },
    ]);
    try {
      const admin = { env: { KUBECONFIG: proxy.kubeconfig } };
      const step = await job.step('deploy-manifests', { manifests: 'k8s' }, admin);
      expect(step.outputs, step.log).toMatchObject({ result: 'failed', 'reason-code': 'partly_applied' });
      expect(step.log).toMatch(
        /error: k8s\/a\.yml:3:\d+: data\.LEVEL of ConfigMap b: too loud\. 1 of 2 changes/,
      );
      expect(step.annotations).toContainEqual(expect.objectContaining({ place: 'k8s/a.yml:3' }));
    } finally {
      await proxy.stop();
    }
  });

  it('because it was killed, at whichever write, is finished by the next, which writes nothing twice', async () => {
    const proxy = await startApiProxy(deployer.access);
    try {
      for (let nth = 1; ; nth += 1) {
        await write({ 'k8s/a.yml': three.map((_, index) => settings({ LEVEL: `${nth}` }, `m${index}`)) });
        let pid = 0;
        const kill = {
          kind: 'kill' as const,
          when: nth % 2 === 0 ? ('after' as const) : ('before' as const),
          kill: () => killProcess(pid),
        };
        proxy.program([onMutation(kill, nth)]);
        const running = await job.start(
          'deploy-manifests',
          { manifests: 'k8s' },
          { env: { KUBECONFIG: proxy.kubeconfig } },
        );
        ({ pid } = running);
        const killed = await running.done;
        if (killed.exitCode === 0) {
          expect(nth).toBeGreaterThan(6);
          break;
        }
        proxy.program([]);
        const next = await job.step(
          'deploy-manifests',
          { manifests: 'k8s' },
          { env: { KUBECONFIG: proxy.kubeconfig } },
        );
        expect(['succeeded', 'unchanged'], next.log).toContain(next.outputs['result']);
        expect(await field('configmaps', '.items[*].data.LEVEL')).toBe(`${nth} ${nth} ${nth}`);
        expect(proxy.doubleWrites()).toEqual([]);
      }
    } finally {
      await proxy.stop();
    }
  });
});

describe('manifests that build on each other', () => {
  it('bring a kind and a namespace first, and what is in them is checked before it is written', async () => {
    const group = `${namespace.name}.example.com`;
    const inner = `${namespace.name}-inner`;
    const definition = {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: `widgets.${group}` },
      spec: {
        group,
        scope: 'Namespaced',
        names: { plural: 'widgets', kind: 'Widget' },
        versions: [
          {
            name: 'v1',
            served: true,
            storage: true,
            schema: {
              openAPIV3Schema: {
                type: 'object',
                properties: { spec: { type: 'object', properties: { size: { type: 'integer' } } } },
              },
            },
          },
        ],
      },
    };
    const widget = (size: unknown) => ({
      apiVersion: `${group}/v1`,
      kind: 'Widget',
      metadata: { name: 'one', namespace: inner },
      spec: { size },
    });
    // The API tells of a kind some time after its definition is established: here, only when it is asked for the seventh time.
    const notYet = { kind: 'answer' as const, status: 404, body: { kind: 'Status', code: 404 } };
    const proxy = await startApiProxy(namespace.access, [
      { path: `/apis/${group}/v1`, times: 6, fault: notYet },
    ]);
    const admin = { env: { KUBECONFIG: proxy.kubeconfig } };
    const base = [{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: inner } }, definition];
    try {
      await write({ 'k8s/a.yml': [widget('large'), ...base] });
      const refused = await job.step('deploy-manifests', { manifests: 'k8s' }, admin);
      expect(refused.outputs, refused.log).toMatchObject({
        result: 'failed',
        'reason-code': 'partly_applied',
      });
      expect(refused.log).toMatch(/k8s\/a\.yml:1:\d+: .*size/);
      expect(proxy.calls.filter(({ path }) => path === `/apis/${group}/v1`).length).toBeGreaterThan(6);
      await write({ 'k8s/a.yml': [widget(3), ...base] });
      const step = await job.step('deploy-manifests', { manifests: 'k8s' }, admin);
      expect(step.outputs, step.log).toMatchObject({ result: 'succeeded', created: '1', unchanged: '2' });
      expect(
        await namespace.kubectl(
          'get',
          `widgets.${group}`,
          '-n',
          inner,
          '-o',
          'jsonpath={.items[0].spec.size}',
        ),
      ).toBe('3');
    } finally {
      await proxy.stop();
      await namespace.kubectl('delete', 'namespace', inner, '--ignore-not-found', '--wait=false');
      await namespace.kubectl('delete', 'crd', `widgets.${group}`, '--ignore-not-found', '--wait=false');
    }
  });
});

describe('an environment that is frozen', () => {
  it('is not written to', async () => {
    await write({ 'k8s/a.yml': settings({ LEVEL: 'info' }) });
    const environment = { app: 'web', environment: 'production' };
    const frozen = await job.step('releases', {
      ...environment,
      command: 'freeze',
      platform: 'kubernetes',
      reason: 'Holidays',
    });
    expect(frozen.exitCode, frozen.log).toBe(0);
    const step = await deploy(environment);
    expect(step.outputs, step.log).toMatchObject({ 'reason-code': 'environment_frozen' });
    expect(Object.keys(await versions())).not.toContain('ConfigMap settings');
    const broken = await deploy({ ...environment, 'break-freeze': 'Hotfix' });
    expect(broken.outputs, broken.log).toMatchObject({ result: 'succeeded', created: '1' });
  });
});

describe('the document’s good manifests', () => {
  it('pass the server’s dry run', async () => {
    for (const name of ['configmap.yml', 'health-check.yml', 'network-policy.yml', 'k8s-deployment.yml']) {
      await write({ [`k8s/${name}`]: await readFile(manifestFile(name), 'utf8') });
    }
    const step = await deploy({ 'dry-run': 'true' });
    expect(step.outputs, step.log).toMatchObject({ result: 'planned', created: '6' });
  });
});
