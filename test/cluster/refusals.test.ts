// What is wrong is said, with where it is and what to do, and nothing is changed: everything in the namespace but Events and Leases
// has the resourceVersion that it had. Pods are those of a stand-in.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createJob, type Job, type StepResult } from '../support/runner.ts';
import { ask } from './api.ts';
import { watchEndpoints } from './endpoint-watch.ts';
import { kubeconfigOf } from './kubeconfig.ts';
import {
  createNamespace,
  manifestFile,
  type Namespace,
  type PolicyRule,
  provideSecrets,
} from './namespace.ts';
import { twoColours } from './blue-green-lane.ts';
import { onStandIn } from './ground.ts';
import { exampleRules, openStage, type Stage } from './stage.ts';
import { type StandIn, startStandIn } from './stand-in.ts';

/** Asks for what is there, so that it changes nothing; with it, rights on autoscalers are needed. */
const autoscaler = (colour: string): object => ({
  apiVersion: 'autoscaling/v2',
  kind: 'HorizontalPodAutoscaler',
  metadata: { name: `shop-${colour}` },
  spec: {
    scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: `shop-${colour}` },
    minReplicas: 1,
    maxReplicas: 3,
    metrics: [
      {
        type: 'Resource',
        resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } },
      },
    ],
  },
});

let standIn: StandIn;
let stage: Stage;
let folder: string;
let job: Job;
beforeAll(async () => {
  standIn = await startStandIn();
  stage = await openStage();
  folder = await mkdtemp(join(tmpdir(), 'refusals-'));
  job = await createJob({ env: { KUBECONFIG: stage.releaser.kubeconfig } });
  await stage.apply(...twoColours(onStandIn(standIn)), autoscaler('blue'), autoscaler('green'));
  await stage.rolledOut('shop-blue');
  // The last thing that changes by itself.
  (await watchEndpoints(stage.access, stage.name, 'shop')).stop();
});
afterAll(async () => {
  await job.end();
  await stage.end();
  await standIn.stop();
  await rm(folder, { recursive: true });
});

const target = { platform: 'kubernetes', service: 'shop', image: 'acme/lane:v1', watch: '0s' };
const kinds =
  'deployments,replicasets,pods,services,endpointslices,configmaps,secrets,serviceaccounts,roles,rolebindings';

async function versions(namespace: Namespace): Promise<string> {
  const path = '{range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion}{"\\n"}{end}';
  return namespace.kubectl('get', kinds, '-o', `jsonpath=${path}`);
}

async function refused(
  inputs: Record<string, string>,
  { env = {}, namespace = stage }: { env?: Record<string, string>; namespace?: Namespace } = {},
): Promise<StepResult> {
  const before = await versions(namespace);
  const step = await job.step('blue-green-switch', { ...target, ...inputs }, { env });
  expect(step.exitCode, step.log).toBe(1);
  expect(await versions(namespace), step.log).toBe(before);
  expect(step.annotations.map(({ level }) => level)).toContain('error');
  return step;
}

/** Every right of the example's Role. */
async function rights(): Promise<{ group: string; resource: string; verb: string }[]> {
  return (await exampleRules()).flatMap(({ apiGroups, resources, verbs }) =>
    apiGroups.flatMap((group) =>
      resources.flatMap((resource) => verbs.map((verb) => ({ group, resource, verb }))),
    ),
  );
}

/** The example's rules without one right. */
async function without(right: { group: string; resource: string; verb: string }): Promise<PolicyRule[]> {
  const rules = (await rights()).filter((one) => JSON.stringify(one) !== JSON.stringify(right));
  return rules.map(({ group, resource, verb }) => ({
    apiGroups: [group],
    resources: [resource],
    verbs: [verb],
  }));
}

/** Only asked for when a version does not start: without them there is less to see of it. */
const evidence = new Set(['pods/log get', 'events list']);

describe('a right of the example’s Role that is missing', () => {
  it('is named, with the rule to add, before anything is changed', { timeout: 240_000 }, async () => {
    const found: string[] = [];
    for (const [index, right] of (await rights()).entries()) {
      const { group, resource, verb } = right;
      if (evidence.has(`${resource} ${verb}`)) continue;
      const account = await stage.account(`without-${index}`, await without(right));
      const before = await versions(stage);
      const step = await job.step('blue-green-switch', target, {
        env: { KUBECONFIG: account.kubeconfig },
      });
      const rule = new RegExp(
        `apiGroups: \\["${group}"\\]\\s+(?:error: )?\\s*resources: \\["${resource}"\\]\\s+(?:error: )?\\s*verbs: \\["${verb}"\\]`,
      );
      const problems: string[] = [];
      if (step.exitCode === 0) problems.push('it is not needed');
      else if (step.outputs['reason-code'] !== 'permission_denied')
        problems.push(`the reason is ${step.outputs['reason-code']}`);
      if (step.exitCode !== 0 && !rule.test(step.log)) problems.push('the rule is not named');
      if (step.exitCode !== 0 && (await versions(stage)) !== before) problems.push('something was changed');
      if (problems.length > 0) found.push(`${verb} ${resource}: ${problems.join('; ')}\n${step.log}`);
    }
    expect(found).toEqual([]);
  });
});

describe('credentials', () => {
  it('that have expired are said to have, with when', async () => {
    const path = `/api/v1/namespaces/${stage.name}/serviceaccounts/deploy-actions/token`;
    const { status, body } = await ask(stage.access, 'POST', path, {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { expirationSeconds: 600 },
    });
    expect(status).toBe(201);
    const { token } = (body as { status: { token: string } }).status;
    // The API server gives no shorter than 10 minutes: a token of the past that it would not take either.
    const [head = '', claims = '', signature = ''] = token.split('.');
    const past = {
      ...(JSON.parse(Buffer.from(claims, 'base64url').toString()) as object),
      exp: 1_700_000_000,
    };
    const expired = [head, Buffer.from(JSON.stringify(past)).toString('base64url'), signature].join('.');
    const step = await refused({ kubeconfig: kubeconfigOf({ ...stage.releaser.access, token: expired }) });
    expect(step.outputs['reason-code'], step.log).toBe('permission_denied');
    expect(step.log).toContain('2023-11-14T22:13:20.000Z');
    expect(step.raw).not.toContain(expired);
  });

  it.each([
    ['is no YAML', 'apiVersion: v1\nclusters: [\n', 'invalid_config', /not a kubeconfig/],
    [
      'names a context that is not in it',
      '{"apiVersion":"v1","kind":"Config","current-context":"prod","clusters":[],"users":[],"contexts":[]}',
      'invalid_config',
      /prod/,
    ],
    ['is empty', '{}\n', 'invalid_config', /no current context/],
  ])('a kubeconfig that %s', async (_name, text, reason, words) => {
    const file = join(folder, 'kubeconfig');
    await writeFile(file, text);
    const step = await refused({ kubeconfig: file });
    expect(step.outputs['reason-code'], step.log).toBe(reason);
    expect(step.log).toMatch(words);
    expect(step.log).toContain('What to do next');
  });

  it('a kubeconfig that is not there', async () => {
    const step = await refused({ kubeconfig: join(folder, 'no-such') });
    expect(step.outputs['reason-code'], step.log).toBe('not_found');
    expect(step.log).toContain(join(folder, 'no-such'));
  });
});

describe('the document’s manifests as they are', () => {
  let namespace: Namespace;
  let env: Record<string, string>;
  beforeAll(async () => {
    namespace = await createNamespace();
    env = { KUBECONFIG: (await namespace.account('deploy-actions', await exampleRules())).kubeconfig };
    await provideSecrets(namespace);
    // Their pods are not what this is about, and would move all the time.
    await namespace.apply({
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'none' },
      spec: { hard: { pods: '0' } },
    });
    // Nothing is held to it before its controller has counted.
    await namespace.kubectl(
      ...['wait', 'resourcequota/none', '--for=jsonpath={.status.used.pods}=0', '--timeout=30s'],
    );
    for (const file of ['k8s-deployment.yml', 'rolling-deployment.yml'])
      await namespace.kubectl('apply', '-f', manifestFile(file));
    await namespace.kubectl('wait', 'deployment', '--all', '--for=condition=ReplicaFailure', '--timeout=30s');
  });
  afterAll(() => namespace.end());

  it('k8s-deployment.yml has no second colour, which is said with how to make one', async () => {
    const step = await refused(
      { service: 'helpdesk-backend-service', image: 'helpdesk-backend:green' },
      { env, namespace },
    );
    expect(step.outputs['reason-code'], step.log).toMatch(/unsupported|invalid_input/);
    expect(step.log).toContain('helpdesk-backend');
    expect(step.log).toContain('What to do next');
  });

  it('rolling-deployment.yml has no Service', async () => {
    const step = await refused(
      { service: 'helpdesk-service', image: 'helpdesk-backend:green' },
      { env, namespace },
    );
    expect(step.outputs['reason-code'], step.log).toBe('not_found');
    expect(step.log).toContain(`Service helpdesk-service in namespace ${namespace.name}`);
  });
});

it('nothing failed in the stand-in', () => {
  expect(standIn.problems).toEqual([]);
});
