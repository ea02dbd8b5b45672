import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import { createServer as createTlsServer, request as tlsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { issue, makeAuthority } from './certificates.ts';
import { startFaultProxy, type FaultProxy, type Rule } from './fault-proxy.ts';

let upstream: Server;
let received: string[];
let proxy: FaultProxy;

beforeEach(async () => {
  received = [];
  upstream = createServer((incoming, response) => {
    void text(incoming).then((body) => {
      received.push(`${incoming.method} ${incoming.url} ${body}`);
      response.writeHead(201, { 'x-from': 'upstream', etag: '"7"' });
      response.write('made ');
      setTimeout(() => response.end('it'), 20);
    });
  });
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  await proxy.stop();
  upstream.closeAllConnections();
  upstream.close();
});

async function start(...plan: Rule[]): Promise<void> {
  proxy = await startFaultProxy({
    target: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}/base`,
    plan,
  });
}

/** The status and body, or `cut`. */
async function put(path: string, body = 'x'): Promise<string> {
  try {
    const answer = await fetch(proxy.url + path, { method: 'PUT', body });
    return `${answer.status} ${await answer.text()}`;
  } catch {
    return 'cut';
  }
}

test('passes what no rule is for, whole, and records it', async () => {
  await start();
  const answer = await fetch(`${proxy.url}/a?b=1`, {
    method: 'POST',
    body: 'hello',
    headers: { 'if-match': '"6"' },
  });
  expect([answer.status, answer.headers.get('etag'), await answer.text()]).toEqual([201, '"7"', 'made it']);
  expect(received).toEqual(['POST /base/a?b=1 hello']);
  expect(proxy.calls).toMatchObject([
    { number: 1, method: 'POST', path: '/a?b=1', body: 'hello', fault: 'pass', outcome: 201, upstream: 201 },
  ]);
  expect(proxy.calls[0]?.headers['if-match']).toBe('"6"');
  expect(proxy.calls[0]?.bodyHash).toBe(createHash('sha256').update('hello').digest('hex'));
});

test('answers, cuts before, and cuts after the effect', async () => {
  await start(
    {
      path: '/answer',
      fault: { kind: 'answer', status: 429, headers: { 'retry-after': '1' }, body: { a: 1 } },
    },
    { path: '/cut', fault: { kind: 'cut' } },
    { path: /^\/forward/, fault: { kind: 'forward-then-cut' } },
  );
  expect(await put('/answer')).toBe('429 {"a":1}');
  expect(await put('/cut')).toBe('cut');
  expect(received).toEqual([]);
  expect(await put('/forward?x')).toBe('cut');
  expect(received).toEqual(['PUT /base/forward?x x']);
  expect(proxy.calls.map(({ outcome, upstream: status }) => [outcome, status])).toEqual([
    [429, undefined],
    ['cut', undefined],
    ['cut', 201],
  ]);
});

test('counts requests per rule, and takes a new plan', async () => {
  const unavailable = { kind: 'answer', status: 503 } as const;
  await start(
    { method: 'PUT', path: '/a', nth: 2, fault: { kind: 'cut' } },
    { method: 'PUT', times: 1, fault: unavailable },
    { method: 'GET', fault: unavailable },
  );
  expect([await put('/a'), await put('/a'), await put('/a')]).toEqual(['503 ', 'cut', '201 made it']);
  proxy.program([{ nth: 2, fault: unavailable }]);
  expect([await put('/a'), await put('/b'), await put('/c')]).toEqual(['201 made it', '503 ', '201 made it']);
});

test('delays, then does what else is asked', async () => {
  await start({ fault: { kind: 'delay', ms: 80, next: { kind: 'answer', status: 504 } } });
  const started = performance.now();
  expect(await put('/a')).toBe('504 ');
  expect(performance.now() - started).toBeGreaterThan(75);
});

test.each([
  ['before', 0],
  ['after', 1],
] as const)('kills the caller %s the effect', async (when, effects) => {
  const seen: number[] = [];
  await start({ fault: { kind: 'kill', when, kill: () => void seen.push(received.length) } });
  expect(await put('/a')).toBe('cut');
  expect([seen, received.length]).toEqual([[effects], effects]);
});

test('streams, so that a watch passes through', async () => {
  await start();
  const answer = await fetch(`${proxy.url}/watch`);
  const first = await answer.body?.getReader().read();
  expect(new TextDecoder().decode(first?.value as Uint8Array)).toBe('made ');
});

test('chooses by whatever else must be so', async () => {
  const where = ({ path }: { path: string }) => !path.includes('dryRun');
  await start({ method: 'PUT', where, nth: 2, fault: { kind: 'answer', status: 409 } });
  const paths = ['/a', '/a?dryRun=All', '/b'];
  expect([await put(paths[0] ?? ''), await put(paths[1] ?? ''), await put(paths[2] ?? '')]).toEqual([
    '201 made it',
    '201 made it',
    '409 ',
  ]);
});

/** Asks to change to a protocol, sends a word when that is granted, and resolves with all that comes, or `cut`. */
function changeProtocol(path: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  request(proxy.url + path, { headers: { connection: 'Upgrade', upgrade: 'echo' }, agent: false })
    .once('upgrade', (answer, socket, head) => {
      let heard = head.toString();
      socket.on('data', (data: Buffer) => (heard += data.toString()));
      socket.once('close', () => resolve(`${answer.statusCode} ${answer.headers.upgrade} ${heard}`));
      socket.write('word');
    })
    .once('response', (answer) => void text(answer).then((body) => resolve(`${answer.statusCode} ${body}`)))
    .once('error', () => resolve('cut'))
    .end();
  return promise;
}

test('passes a changed protocol both ways, and its refusal, and cuts it', async () => {
  const agreed: string[] = [];
  upstream.on('upgrade', (incoming, socket) => {
    agreed.push(incoming.url ?? '');
    if (incoming.url === '/base/refuse')
      return void socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno');
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhi ');
    socket.once('data', (data: Buffer) => socket.end(`${data.toString()} back`));
  });
  await start(
    { path: '/answer', fault: { kind: 'answer', status: 503, body: 'not now' } },
    { path: '/cut', fault: { kind: 'cut' } },
    { path: '/late', fault: { kind: 'forward-then-cut' } },
  );
  const paths = ['/echo', '/refuse', '/answer', '/cut', '/late'];
  const heard: string[] = [];
  for (const path of paths) heard.push(await changeProtocol(path));
  expect(heard).toEqual(['101 echo hi word back', '403 no', '503 not now', 'cut', 'cut']);
  expect(agreed).toEqual(['/base/echo', '/base/refuse', '/base/late']);
  expect(proxy.calls.map(({ outcome }) => outcome)).toEqual([101, 403, 503, 'cut', 'cut']);
});

test('cuts within an answer, after its head said how long it is', async () => {
  await start({ fault: { kind: 'cut-within' } });
  const answer = await fetch(`${proxy.url}/a`, { method: 'PUT', body: 'x' });
  expect([answer.status, answer.headers.get('content-length')]).toEqual([201, '7']);
  await expect(answer.text()).rejects.toThrow();
  expect(received).toEqual(['PUT /base/a x']);
  expect(proxy.calls[0]?.outcome).toBe('cut');
});

test('a target that is down is a cut', async () => {
  await start();
  await new Promise((resolve) => upstream.close(resolve));
  expect(await put('/a')).toBe('cut');
  expect(proxy.calls[0]?.outcome).toBe('cut');
});

test('stands between two Unix sockets', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'proxy-'));
  const [inner, outer] = [join(folder, 'in.sock'), join(folder, 'out.sock')];
  const server = createServer((_, response) => response.end('over a socket')).listen(inner);
  proxy = await startFaultProxy({ target: { socketPath: inner }, listen: { socketPath: outer } });
  const body = await new Promise((resolve, reject) => {
    request({ socketPath: outer, path: '/' }, (answer) => resolve(text(answer)))
      .on('error', reject)
      .end();
  });
  expect(body).toBe('over a socket');
  server.close();
  rmSync(folder, { recursive: true });
});

test('verifies an https target against its authority, and serves https itself', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'proxy-'));
  const authority = await makeAuthority(folder, 'ca');
  const tls = await issue(authority, folder, 'server', ['IP:127.0.0.1', 'DNS:localhost']);
  rmSync(folder, { recursive: true });
  const server = createTlsServer(tls, (_, response) => response.end('over TLS')).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const target = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const get = (url: string) =>
    new Promise((resolve) => {
      tlsRequest(url, { ca: authority.cert, agent: false }, (answer) => resolve(text(answer)))
        .on('error', () => resolve('cut'))
        .end();
    });

  proxy = await startFaultProxy({ target, tls });
  expect(await get(proxy.url)).toBe('cut'); // the target's certificate is not to be trusted
  await proxy.stop();
  proxy = await startFaultProxy({ target, tls, ca: authority.cert });
  expect(await get(proxy.url)).toBe('over TLS');
  server.close();
});
