import type { KubernetesClient } from '@deploy-actions/kubernetes';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Fault } from '../support/fault-proxy.ts';
import { type ApiProxy, onMutation, startApiProxy } from './api-proxy.ts';
import { release } from './releases.ts';
import { publishServer } from './server-image.ts';
import { bothColours, openStage, type Stage } from './stage.ts';
import { stride } from './stride.ts';

const repository = `acme/faulty-${process.pid}`;
/** More writes than a release makes. */
const most = 40;

const conflict = {
  kind: 'Status',
  apiVersion: 'v1',
  status: 'Failure',
  code: 409,
  reason: 'Conflict',
  message: 'told so',
};
const faults: [string, Fault][] = [
  ['409', { kind: 'answer', status: 409, body: conflict }],
  ['429 with Retry-After', { kind: 'answer', status: 429, headers: { 'retry-after': '1' } }],
  ['500', { kind: 'answer', status: 500 }],
  ['a cut connection', { kind: 'cut' }],
  ['a cut after the write took effect', { kind: 'forward-then-cut' }],
];

let stage: Stage;
let proxy: ApiProxy;
let client: KubernetesClient;
beforeAll(async () => {
  stage = await openStage();
  for (const version of ['a', 'b']) await publishServer(`${repository}:${version}`, { VERSION: version });
  await stage.apply(...bothColours('shop', { image: `${repository}:a`, replicas: 1, graceSeconds: 1 }));
  await stage.rolledOut('shop-blue');
  proxy = await startApiProxy(stage.releaser.access);
  client = await stage.connect(proxy.kubeconfig);
});
afterAll(async () => {
  await proxy.stop();
  await stage.end();
});

let wanted = 'a';

describe('a release whose n-th write meets', () => {
  it.each(faults)(
    '%s writes nothing twice and ends well, for every n',
    { timeout: 300_000 },
    async (_name, fault) => {
      for (let write = 1; write <= most; write += stride) {
        wanted = wanted === 'a' ? 'b' : 'a';
        proxy.program([onMutation(fault, write)]);
        const before = proxy.mutations().length;
        const ended = await release({
          client,
          service: 'shop',
          image: `${repository}:${wanted}`,
          keepPrevious: false,
          margin: 50,
        });
        const made = proxy.mutations().slice(before);
        const told = `write ${write}: ${JSON.stringify(made.map(({ method, path, outcome }) => [method, path, outcome]))}`;
        expect(ended.journal?.phase, told).toBe('finished');
        expect(ended.serving, told).toMatchObject([{ weight: 100, release: { version: wanted } }]);
        expect(proxy.doubleWrites(), told).toEqual([]);
        if (made.length < write) return;
      }
      throw new Error(`a release makes more than ${most} writes`);
    },
  );
});
