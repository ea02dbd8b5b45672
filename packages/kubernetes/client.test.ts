import { deadlineIn, DeployError, silentLog } from '@deploy-actions/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  kubeconfigFor,
  type KubernetesDouble,
  startKubernetesDouble,
} from '../../test/support/kubernetes.ts';
import { createClient, type KubernetesClient } from './client.ts';
import { loadKubeconfig } from './kubeconfig.ts';
import { type ConfigMap, resources } from './objects.ts';

const collection = '/api/v1/namespaces/apps/configmaps';
const never = new AbortController().signal;

let api: KubernetesDouble;
let client: KubernetesClient;
beforeEach(async () => {
  api = await startKubernetesDouble();
  client = await connect(api.url);
});
afterEach(async () => {
  client.close();
  await api.close();
});

async function connect(url: string, pauses: readonly number[] = [1, 1, 1]): Promise<KubernetesClient> {
  const connection = await loadKubeconfig({ content: kubeconfigFor(url), environment: {} });
  return createClient({ connection, namespace: 'apps', log: silentLog, pauses });
}

async function failure(work: Promise<unknown>): Promise<DeployError> {
  const thrown = await work.then(
    () => new Error('it did not fail'),
    (reason: unknown) => reason,
  );
  if (thrown instanceof DeployError) return thrown;
  throw thrown;
}

/** The server says that the user may do this, and these things when asked about each. */
function allow(
  rules: object[],
  allowed: (attributes: Record<string, unknown>) => boolean = () => false,
): void {
  api.interfere = ({ path, body }) => {
    const answer = (value: object) => ({ kind: 'status', status: 201, body: value }) as const;
    if (path.endsWith('/selfsubjectrulesreviews')) return answer({ status: { resourceRules: rules } });
    if (!path.endsWith('/selfsubjectaccessreviews')) return undefined;
    const { spec } = JSON.parse(body) as { spec: { resourceAttributes: Record<string, unknown> } };
    return answer({ status: { allowed: allowed(spec.resourceAttributes) } });
  };
}

const mutations = () => api.requests.filter(({ method }) => method !== 'GET');

function makeMap(value: string): ConfigMap {
  return { metadata: { name: 'a' }, data: { value } };
}

async function changeTo(value: string, from?: ConfigMap): Promise<ConfigMap> {
  return client.change(resources.configMaps, {
    patch: { data: { value } },
    from: from ?? (await client.get(resources.configMaps, 'a')),
    isMade: ({ data }) => data?.['value'] === value,
  });
}

/** Does this to the first n requests that change something. */
function spoil(fault: ReturnType<KubernetesDouble['interfere']>, count: number, method = 'PATCH'): void {
  let left = count;
  api.interfere = (request) => (request.method === method && left-- > 0 ? fault : undefined);
}

describe('a read', () => {
  it.each([
    ['a cut connection', { kind: 'cut' } as const],
    ['500', { kind: 'status', status: 500 } as const],
    ['429', { kind: 'status', status: 429 } as const],
  ])('is repeated after %s', async (_name, fault) => {
    api.put(`${collection}/a`, { data: { value: '1' } });
    spoil(fault, 2, 'GET');
    expect(await client.get(resources.configMaps, 'a')).toMatchObject({ data: { value: '1' } });
    expect(api.requests).toHaveLength(3);
  });

  it('gives up after its pauses, and says who did not answer', async () => {
    spoil({ kind: 'cut' }, 99, 'GET');
    const thrown = await failure(client.get(resources.configMaps, 'a'));
    expect(thrown).toMatchObject({ reasonCode: 'unreachable', message: expect.stringContaining(api.url) });
    expect(api.requests).toHaveLength(4);
  });

  it('waits as long as Retry-After says', async () => {
    api.put(`${collection}/a`, {});
    spoil({ kind: 'status', status: 429, headers: { 'retry-after': '1' } }, 1, 'GET');
    const wait = deadlineIn(0);
    await client.get(resources.configMaps, 'a');
    expect(wait.elapsed()).toBeGreaterThanOrEqual(990);
  });

  it('of nothing is not found, or undefined where that is asked for', async () => {
    expect(await failure(client.get(resources.configMaps, 'a'))).toMatchObject({
      reasonCode: 'not_found',
      message: expect.stringContaining('ConfigMap a in namespace apps'),
    });
    expect(await client.find(resources.configMaps, 'a')).toBeUndefined();
  });

  it('tells the server’s time', async () => {
    expect(client.now()).toBeUndefined();
    await client.list(resources.configMaps);
    expect(Math.abs((client.now() ?? 0) - Date.now())).toBeLessThan(5_000);
  });
});

describe('a refusal', () => {
  const refused = (code: number, body?: unknown) => {
    api.interfere = () => ({ kind: 'status', status: code, ...(body === undefined ? {} : { body }) });
    return failure(client.get(resources.configMaps, 'a'));
  };

  it('for a right that is missing names verb, resource, namespace and the rule of a Role', async () => {
    const thrown = await refused(403);
    expect(thrown).toMatchObject({
      reasonCode: 'permission_denied',
      message: expect.stringContaining('right to get configmaps in namespace apps'),
      remedy: expect.stringContaining('resources: ["configmaps"]\n  verbs: ["get"]'),
    });
    expect(api.requests).toHaveLength(1);
  });

  it('of the credentials is tried once more with new ones, and says until when a token was valid', async () => {
    const claims = Buffer.from(JSON.stringify({ exp: 1_600_000_000 })).toString('base64url');
    const token = `e30.${claims}.c2lnbmF0dXJl`;
    const content = kubeconfigFor(api.url, { token });
    const connection = await loadKubeconfig({ content, environment: {} });
    const expired = createClient({ connection, namespace: 'apps', log: silentLog });
    api.interfere = () => ({ kind: 'status', status: 401 });
    const thrown = await failure(expired.get(resources.configMaps, 'a'));
    expect(thrown).toMatchObject({
      reasonCode: 'permission_denied',
      message: expect.stringContaining('valid until 2020-09-13T12:26:40'),
    });
    expect(`${thrown.message} ${thrown.remedy}`).not.toContain('c2lnbmF0dXJl');
    expect(api.requests).toHaveLength(2);
    expired.close();
  });

  it('of a field names it', async () => {
    const causes = [{ field: 'spec.selector', message: 'Required value' }];
    const body = { kind: 'Status', code: 422, message: 'invalid', details: { causes } };
    expect(await refused(422, body)).toMatchObject({
      reasonCode: 'invalid_input',
      message: expect.stringContaining('spec.selector: Required value'),
    });
  });

  it('by a quota, a policy or a kind that is not served has its own remedy', async () => {
    expect(
      (await refused(403, { kind: 'Status', message: 'forbidden: exceeded quota: small' })).remedy,
    ).toMatch(/quota/);
    expect(
      (await refused(403, { kind: 'Status', message: 'admission webhook "x" denied the request' })).remedy,
    ).toMatch(/policy/);
    expect(
      (await refused(404, { kind: 'Status', message: 'the server could not find the requested resource' }))
        .reasonCode,
    ).toBe('unsupported');
  });

  it('by something that is no API server says so', async () => {
    api.interfere = () => ({ kind: 'status', status: 200, body: '<html>log in</html>' });
    expect(await failure(client.get(resources.configMaps, 'a'))).toMatchObject({
      reasonCode: 'unreachable',
      message: expect.stringContaining('no API server'),
    });
  });

  it('to connect is explained', async () => {
    const gone = await connect('http://127.0.0.1:1', []);
    expect(await failure(gone.get(resources.configMaps, 'a'))).toMatchObject({
      reasonCode: 'unreachable',
      message: expect.stringMatching(/127\.0\.0\.1:1 \(context test\) did not answer/),
    });
    gone.close();
  });
});

describe('a change', () => {
  beforeEach(() => api.put(`${collection}/a`, { data: { value: '0' }, foreign: { kept: true } }));
  const versions = () => api.objects.get(`${collection}/a`)?.metadata.resourceVersion;

  it('rests on the version that was read, as this suite’s', async () => {
    const before = await client.get(resources.configMaps, 'a');
    await changeTo('1');
    expect(api.requests.at(-1)?.query.get('fieldManager')).toBe('deploy-actions');
    expect(await failure(changeTo('2', before))).toMatchObject({ reasonCode: 'state_conflict' });
    expect(api.objects.get(`${collection}/a`)).toMatchObject({
      data: { value: '1' },
      foreign: { kept: true },
    });
  });

  it('that took effect before its answer was lost is not made again', async () => {
    spoil({ kind: 'cut-after' }, 1);
    const before = Number(versions());
    expect(await changeTo('1')).toMatchObject({ data: { value: '1' } });
    expect(Number(versions())).toBe(before + 1);
    expect(mutations()).toHaveLength(1);
  });

  it.each([
    ['a cut connection', { kind: 'cut' } as const],
    ['500', { kind: 'status', status: 500 } as const],
    ['503 with Retry-After', { kind: 'status', status: 503, headers: { 'retry-after': '0' } } as const],
    ['429', { kind: 'status', status: 429 } as const],
  ])('that did not take effect is made once more after %s', async (_name, fault) => {
    spoil(fault, 2);
    const before = Number(versions());
    expect(await changeTo('1')).toMatchObject({ data: { value: '1' } });
    expect(Number(versions())).toBe(before + 1);
  });

  it('after an unclear end is a conflict when somebody else came in between', async () => {
    const from = await client.get(resources.configMaps, 'a');
    api.interfere = ({ method }) => {
      if (method !== 'PATCH') return undefined;
      api.put(`${collection}/a`, { data: { value: 'theirs' } });
      return { kind: 'cut' };
    };
    expect(await failure(changeTo('1', from))).toMatchObject({ reasonCode: 'state_conflict' });
    expect(api.objects.get(`${collection}/a`)).toMatchObject({ data: { value: 'theirs' } });
  });

  it('whose second try meets its own first one is made', async () => {
    // The answer is lost, and the first look afterwards comes before the write is seen.
    const from = await client.get(resources.configMaps, 'a');
    let late = true;
    api.interfere = ({ method }) => {
      if (method === 'PATCH' && late) {
        late = false;
        setTimeout(() => api.put(`${collection}/a`, { data: { value: '1' } }), 0);
        return { kind: 'cut' };
      }
      return undefined;
    };
    expect(await changeTo('1', from)).toMatchObject({ data: { value: '1' } });
  });
});

describe('a creation', () => {
  const create = (value: string) =>
    client.create(resources.configMaps, makeMap(value), ({ data }) => data?.['value'] === value);

  it('is made once, whatever becomes of its answer', async () => {
    spoil({ kind: 'cut-after' }, 1, 'POST');
    expect(await create('1')).toMatchObject({ data: { value: '1' } });
    expect(mutations()).toHaveLength(1);
  });

  it('is a conflict where there is one already', async () => {
    await create('1');
    expect(await failure(create('2'))).toMatchObject({ reasonCode: 'state_conflict' });
  });

  it('is undone once, too', async () => {
    await create('1');
    spoil({ kind: 'cut-after' }, 1, 'DELETE');
    await client.remove(resources.configMaps, 'a');
    expect(await client.find(resources.configMaps, 'a')).toBeUndefined();
    expect(mutations().map(({ method }) => method)).toEqual(['POST', 'DELETE']);
  });

  it.each([
    ['is on its way out', { deletionTimestamp: '2026-01-01T00:00:00Z', uid: 'one' }],
    ['came after it', { uid: 'another' }],
  ])('is not undone a second time where what is there %s', async (_what, metadata) => {
    api.put(`${collection}/a`, { metadata });
    spoil({ kind: 'status', status: 500 }, 1, 'DELETE');
    await client.remove(resources.configMaps, 'a', { uid: 'one' });
    expect(mutations()).toHaveLength(1);
    expect(await client.find(resources.configMaps, 'a')).toBeDefined();
  });
});

describe('following', () => {
  async function* values(signal: AbortSignal) {
    for await (const items of client.follow<ConfigMap>(resources.configMaps, {}, signal)) {
      yield items.map(({ data }) => data?.['value']).join(',');
    }
  }

  it('tells what there is, and every change, over cut and compacted watches', async () => {
    const controller = new AbortController();
    api.put(`${collection}/a`, { data: { value: '1' } });
    const seen = values(controller.signal);
    const next = async () => (await seen.next()).value;
    expect(await next()).toBe('1');
    const second = next();
    api.put(`${collection}/b`, { data: { value: '2' } });
    expect(await second).toBe('1,2');
    // From its place in the history.
    const third = next();
    api.cutWatches();
    api.put(`${collection}/a`, { data: { value: '3' } });
    expect(await third).toBe('3,2');
    // With a new list, where that is gone.
    const fourth = next();
    api.compact();
    api.put(`${collection}/c`, { data: { value: '4' } });
    api.compact();
    api.cutWatches();
    expect(await fourth).toMatch(/3,2,4/);
    const end = seen.next();
    controller.abort();
    expect((await end).done).toBe(true);
  });

  it('stops at a right that is missing', async () => {
    api.interfere = ({ query }) =>
      query.get('watch') === 'true' ? { kind: 'status', status: 403 } : undefined;
    const seen = values(never);
    expect(await seen.next()).toMatchObject({ done: false });
    expect(await failure(seen.next())).toMatchObject({
      reasonCode: 'permission_denied',
      message: expect.stringContaining('watch configmaps'),
    });
  });
});

describe('rights', () => {
  const needed = [
    { verb: 'patch', group: 'apps', resource: 'deployments' },
    { verb: 'get', group: '', resource: 'pods/proxy' },
  ] as const;
  const deployments = { verbs: ['list', 'patch'], apiGroups: ['apps'], resources: ['deployments'] };

  it('that rules give are there, by name or by wildcard', async () => {
    allow([deployments, { verbs: ['*'], apiGroups: [''], resources: ['*/proxy'] }]);
    await client.requireRights(needed);
    expect(api.requests).toHaveLength(1);
  });

  it('that are missing are named, with the rules to add', async () => {
    allow([deployments, { verbs: ['get'], apiGroups: [''], resources: ['pods'] }]);
    expect(await failure(client.requireRights(needed))).toMatchObject({
      reasonCode: 'permission_denied',
      message: expect.stringContaining('get pods/proxy'),
      remedy: expect.stringContaining('resources: ["pods/proxy"]'),
    });
  });

  it('that no rule gives are asked for one by one: an authorizer may have no rules to show', async () => {
    allow([], ({ resource, subresource }) => resource === 'deployments' || subresource === 'proxy');
    await client.requireRights(needed);
    allow([], ({ resource }) => resource === 'deployments');
    expect((await failure(client.requireRights(needed))).message).not.toContain('deployments');
  });

  it('that nobody may ask for are found out later', async () => {
    api.interfere = () => ({ kind: 'status', status: 403 });
    await client.requireRights(needed);
  });
});
