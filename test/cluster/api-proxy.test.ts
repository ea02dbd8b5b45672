// Against a plain HTTPS server: no cluster is needed.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, request, type Server } from 'node:https';
import { type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { ask } from './api.ts';
import { type ApiProxy, isMutation, killProcess, onMutation, startApiProxy } from './api-proxy.ts';
import { issue, makeAuthority } from '../support/certificates.ts';
import { readAccess } from './kubeconfig.ts';

const object = '/api/v1/namespaces/n/configmaps/c';
let folder: string;
let ca: string;
let server: Server;
let effects: string[];
let proxy: ApiProxy;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'api-'));
  const authority = await makeAuthority(folder, 'ca');
  ca = authority.cert;
  const { key, cert } = await issue(authority, folder, 'server', ['IP:127.0.0.1']);
  server = createServer({ key, cert }, (incoming, response) => {
    void text(incoming).then((body) => {
      const isTaken = incoming.method !== 'PUT' || !body.includes('conflict');
      if (isTaken) effects.push(`${incoming.method} ${incoming.url} ${body}`);
      response.writeHead(isTaken ? 200 : 409, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ user: incoming.headers.authorization }));
    });
  });
  server.on('upgrade', (_, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n');
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true });
});
beforeEach(async () => {
  effects = [];
  const port = (server.address() as AddressInfo).port;
  proxy = await startApiProxy({ server: `https://127.0.0.1:${port}`, ca, token: 'a-token' });
});
afterEach(() => proxy.stop());

/** Its status, or `cut`. */
async function send(method: string, path: string, body?: unknown): Promise<number | 'cut'> {
  const answer = await ask(await readAccess(proxy.kubeconfig), method, path, body).catch(() => undefined);
  return answer?.status ?? 'cut';
}

test.each([
  ['GET', object, false],
  ['PUT', object, true],
  ['POST', '/api/v1/namespaces/n/pods/p/eviction', true],
  ['PATCH', `${object}?dryRun=All&fieldManager=m`, false],
  ['PATCH', `${object}?fieldManager=m`, true],
  ['DELETE', object, true],
  ['POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', false],
  ['POST', '/api/v1/namespaces/n/serviceaccounts/s/token', false],
  ['POST', '/api/v1/namespaces/n/pods/p/exec?command=ls', false],
  ['POST', '/api/v1/namespaces/n/pods/p:8000/proxy/tickets', false],
])('%s %s is a mutation: %s', (method, path, expected) => {
  expect(isMutation({ method, path })).toBe(expected);
});

test('passes credentials by a kubeconfig and a certificate of its own', async () => {
  const access = await readAccess(proxy.kubeconfig);
  expect(access.ca).not.toBe(ca);
  expect(await ask(access, 'GET', object)).toEqual({ status: 200, body: { user: 'Bearer a-token' } });
  await expect(ask({ ...access, ca }, 'GET', object)).rejects.toThrow('certificate');
});

test('counts mutations, and names those that took effect twice', async () => {
  proxy.program([onMutation({ kind: 'forward-then-cut' }, 1)]);
  const write = { metadata: { name: 'c' } };
  await send('GET', object);
  expect(await send('PUT', object, write)).toBe('cut');
  expect(await send('PUT', object, write)).toBe(200);
  expect(await send('PUT', object, { conflict: true })).toBe(409);
  expect(await send('PUT', object, { conflict: true })).toBe(409);
  const seen = proxy.mutations();
  expect(seen.map(({ number, status, outcome }) => [number, status, outcome])).toEqual([
    [1, 200, 'cut'],
    [2, 200, 200],
    [3, 409, 409],
    [4, 409, 409],
  ]);
  expect(seen[0]?.bodyHash).toBe(seen[1]?.bodyHash);
  expect(seen[0]?.bodyHash).not.toBe(seen[2]?.bodyHash);
  expect(proxy.doubleWrites()).toEqual([seen[1]]);
  expect(effects).toHaveLength(3);
});

test('a wrong answer, a cut and a delay are for the n-th mutation alone', async () => {
  proxy.program([
    onMutation({ kind: 'answer', status: 429, headers: { 'retry-after': '1' } }, 1),
    onMutation({ kind: 'cut' }, 2),
    onMutation({ kind: 'delay', ms: 60 }, 3),
  ]);
  expect(await send('GET', object)).toBe(200);
  expect([await send('PATCH', object, {}), await send('PATCH', object, {})]).toEqual([429, 'cut']);
  const began = performance.now();
  expect(await send('PATCH', object, {})).toBe(200);
  expect(performance.now() - began).toBeGreaterThan(55);
  expect(effects.filter((one) => one.startsWith('PATCH'))).toHaveLength(1);
});

test.each([
  ['before', 0],
  ['after', 1],
] as const)('kills the caller %s the write takes effect', async (when, expected) => {
  const caller = spawn(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `const { ask } = await import(${JSON.stringify(join(import.meta.dirname, 'api.ts'))});
       const { readAccess } = await import(${JSON.stringify(join(import.meta.dirname, 'kubeconfig.ts'))});
       await ask(await readAccess(${JSON.stringify(proxy.kubeconfig)}), 'PUT', '${object}', {}).catch(() => {});
       console.log('survived');`,
    ],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  const said = text(caller.stdout);
  proxy.program([onMutation({ kind: 'kill', when, kill: () => killProcess(caller.pid ?? 0) }, 1)]);
  const [, signal] = (await once(caller, 'exit')) as [number | null, string | null];
  expect([signal, await said, effects.length]).toEqual(['SIGKILL', '', expected]);
});

test('passes a stream that the API server upgrades to', async () => {
  const access = await readAccess(proxy.kubeconfig);
  const sent = request(`${access.server}/api/v1/namespaces/n/pods/p/portforward`, {
    method: 'POST',
    ca: access.ca,
    agent: false,
    headers: { connection: 'Upgrade', upgrade: 'SPDY/3.1' },
  }).end();
  const [, socket] = (await once(sent, 'upgrade')) as [unknown, Socket];
  socket.write('there and back');
  const [data] = (await once(socket, 'data')) as [Buffer];
  expect(data.toString()).toBe('there and back');
  socket.destroy();
  expect(proxy.mutations()).toEqual([]);
});
