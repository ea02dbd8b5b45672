import { Agent, type IncomingMessage } from 'node:http';
import { connect, createServer as createNetServer, type AddressInfo, type Socket } from 'node:net';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { freeAddress } from '../../test/support/ports.ts';
import { allTo, ask, backend, metricsOf, named, never, proxied } from './test-support.ts';

const requests = (slot: string, code: number) =>
  `deploy_actions_proxy_requests_total{slot="${slot}",code="${code}"}`;
const upstreamErrors = (slot: string, reason: string) =>
  `deploy_actions_proxy_upstream_errors_total{slot="${slot}",reason="${reason}"}`;

/** A backend below HTTP: it does with the connection whatever the test says. */
async function rawBackend(behave: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createNetServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    behave(socket);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((done) => server.close(done));
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Sends bytes as they are and gives back all that comes until the end. */
async function raw(address: string, bytes: string): Promise<string> {
  const url = new URL(`http://${address}`);
  const socket = connect(Number(url.port), url.hostname);
  socket.on('error', () => {});
  socket.write(bytes);
  let received = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => (received += chunk));
  await once(socket, 'close');
  return received;
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 3_000;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error('it did not come true within 3 s');
    await delay(5);
  }
}

describe('requests', () => {
  test('method, path, body and headers arrive; hop-by-hop and our own headers do not', async () => {
    let seen: IncomingMessage | undefined;
    let body = '';
    const app = await backend((request, response) => {
      seen = request;
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () =>
        response
          .writeHead(
            201,
            'Made',
            [
              ['Set-Cookie', 'a=1'],
              ['Set-Cookie', 'b=2'],
              ['X-App', 'yes'],
              ['Keep-Alive', 'timeout=1'],
              ['Connection', 'close, x-private'],
              ['X-Private', 'secret'],
              ['x-deploy-actions-proxy', '1'],
            ].flat(),
          )
          .end('done'),
      );
    });
    const { listen } = await proxied(allTo('blue', { blue: app.address }));
    const answer = await ask(listen, {
      method: 'PATCH',
      path: '/a//b?x=1&y=%2F',
      headers: {
        host: 'shop.example',
        te: 'trailers',
        connection: 'close, x-hop',
        'x-hop': 'gone',
        'x-forwarded-for': '203.0.113.9',
        'x-deploy-actions-probe': 'not the token',
      },
      body: 'hello',
    });
    expect(seen?.method).toBe('PATCH');
    expect(seen?.url).toBe('/a//b?x=1&y=%2F');
    expect(body).toBe('hello');
    expect(seen?.headers).toMatchObject({
      host: 'shop.example',
      connection: 'close',
      'x-forwarded-for': '203.0.113.9, 127.0.0.1',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': 'shop.example',
    });
    for (const name of ['te', 'x-hop', 'x-deploy-actions-probe'])
      expect(seen?.headers).not.toHaveProperty(name);
    expect(answer).toMatchObject({ status: 201, body: 'done' });
    expect(answer.headers['set-cookie']).toEqual(['a=1', 'b=2']);
    expect(answer.headers['x-app']).toBe('yes');
    for (const name of ['x-private', 'x-deploy-actions-proxy', 'x-deploy-actions-slot']) {
      expect(answer.headers).not.toHaveProperty(name);
    }
  });

  test('a client connection stays open though every upstream connection closes', async () => {
    const app = await named('blue');
    const { listen } = await proxied(allTo('blue', { blue: app.address }));
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    onTestFinished(() => agent.destroy());
    for (let index = 0; index < 5; index++) expect((await ask(listen, { agent })).body).toBe('blue');
    expect(Object.values(agent.freeSockets).flat()).toHaveLength(1);
    const [socket] = Object.values(agent.freeSockets).flat();
    expect(socket?.bytesRead).toBeGreaterThan(5 * 100);
  });

  test('HEAD, 204, 304, trailers, an absolute target, and a bodyless POST', async () => {
    const app = await backend((request, response) => {
      const path = request.url ?? '';
      if (path === '/204') response.writeHead(204).end();
      else if (path === '/304') response.writeHead(304, { etag: '"x"' }).end();
      else if (path === '/trailers') {
        response.writeHead(200, { trailer: 'x-sum' }).write('part');
        response.addTrailers({ 'x-sum': '42' });
        response.end();
      } else {
        response.writeHead(200, { 'content-length': '7' });
        response.end(
          request.method === 'HEAD' ? undefined : (request.headers['content-length'] ?? 'none').padEnd(7),
        );
      }
    });
    const { listen } = await proxied(allTo('blue', { blue: app.address }));
    expect(await ask(listen, { method: 'HEAD' })).toMatchObject({
      status: 200,
      body: '',
      headers: { 'content-length': '7' },
    });
    expect(await ask(listen, { path: '/204' })).toMatchObject({ status: 204, body: '' });
    expect(await ask(listen, { path: '/304' })).toMatchObject({ status: 304, headers: { etag: '"x"' } });
    expect(await ask(listen, { path: '/trailers' })).toMatchObject({
      body: 'part',
      trailers: { 'x-sum': '42' },
    });
    expect(
      await raw(listen, 'GET http://other.example/304 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'),
    ).toContain('304');
    expect(await raw(listen, 'POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')).toMatch(
      /\r\n\r\n0 {6}$/,
    );
  });

  test('100-continue is answered, and the body passed on', async () => {
    const app = await backend((request, response) => void request.pipe(response));
    const { listen } = await proxied(allTo('blue', { blue: app.address }));
    const answer = await ask(listen, {
      method: 'POST',
      headers: { expect: '100-continue' },
      body: 'after continue',
    });
    expect(answer).toMatchObject({ status: 200, body: 'after continue' });
  });

  test('an ambiguous length is refused, and Connection cannot take the length away', async () => {
    const bodies: string[] = [];
    const app = await backend((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        bodies.push(`${request.url} ${body}`);
        response.end('ok');
      });
    });
    const { listen } = await proxied(allTo('blue', { blue: app.address }));
    const smuggled = 'GET /admin HTTP/1.1\r\nHost: x\r\n\r\n';
    const both = await raw(
      listen,
      `POST /both HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
    );
    expect(both).toMatch(/^HTTP\/1.1 400/);
    const named = await raw(
      listen,
      `POST /named HTTP/1.1\r\nHost: x\r\nConnection: close, content-length\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
    );
    expect(named).toMatch(/^HTTP\/1.1 200/);
    const chunked = await raw(
      listen,
      `GET /chunked HTTP/1.1\r\nHost: x\r\nConnection: close, transfer-encoding\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n0\r\n\r\n`,
    );
    expect(chunked).toMatch(/^HTTP\/1.1 200/);
    expect(bodies).toEqual([`/named ${smuggled}`, '/chunked GET /']);
  });

  test('without targets: 503, in words, made by the proxy', async () => {
    const { listen } = await proxied([]);
    const answer = await ask(listen, { method: 'POST', body: 'x' });
    expect(answer).toMatchObject({ status: 503, headers: { 'x-deploy-actions-proxy': '1' } });
    expect(answer.body).toContain('No release is deployed');
  });
});

describe('an instance that fails', () => {
  test('refuses: the other instance of the slot answers, a POST too', async () => {
    const [dead, app] = [await freeAddress(), await named('blue')];
    const { listen } = await proxied([{ slot: 'blue', weight: 100, addresses: [dead, app.address] }]);
    for (let index = 0; index < 6; index++) {
      expect(await ask(listen, { method: 'POST', body: 'x'.repeat(100_000) })).toMatchObject({
        status: 200,
        body: 'blue',
      });
    }
  });

  test('all refuse: 502 that names the slot, counted for it; never the other slot', async () => {
    const [dead, app] = [await freeAddress(), await named('green')];
    const { listen, stateDirectory, probeToken } = await proxied(
      allTo('blue', { blue: dead, green: app.address }),
    );
    const answer = await ask(listen, { method: 'POST', body: 'x'.repeat(1_000_000) });
    expect(answer).toMatchObject({ status: 502, headers: { 'x-deploy-actions-proxy': '1' } });
    expect(answer.body).toBe('The application in slot blue refuses connections.\n');
    const probe = await ask(listen, { headers: { 'x-deploy-actions-probe': probeToken } });
    expect(probe).toMatchObject({ status: 502, headers: { 'x-deploy-actions-slot': 'blue' } });
    const metrics = await metricsOf(stateDirectory);
    expect(metrics.get(requests('blue', 502))).toBe(1);
    expect(metrics.get(upstreamErrors('blue', 'refused'))).toBe(1);
  });

  test('closes without an answer, or answers nonsense: 502 and the connection of the client goes on', async () => {
    const closes = await rawBackend((socket) => socket.once('data', () => socket.destroy()));
    const nonsense = await rawBackend((socket) => socket.end('SSH-2.0-server\r\n'));
    const { listen, stateDirectory, use } = await proxied(allTo('blue', { blue: closes }));
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    onTestFinished(() => agent.destroy());
    expect(await ask(listen, { agent, method: 'POST', body: 'x' })).toMatchObject({ status: 502 });
    await use(allTo('blue', { blue: nonsense }));
    expect(await ask(listen, { agent })).toMatchObject({ status: 502 });
    expect(Object.values(agent.freeSockets).flat()).toHaveLength(1);
    const metrics = await metricsOf(stateDirectory);
    expect(metrics.get(upstreamErrors('blue', 'reset'))).toBe(1);
    expect(metrics.get(upstreamErrors('blue', 'invalid_answer'))).toBe(1);
  });

  test.each([
    { how: 'reset', end: (socket: Socket) => socket.resetAndDestroy() },
    { how: 'closed', end: (socket: Socket) => socket.destroy() },
  ])(
    'dies in the middle of an answer ($how): the client sees a cut, the metrics an error of the slot',
    async ({ end }) => {
      const app = await rawBackend((socket) =>
        socket.once('data', () => {
          socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this');
          setTimeout(() => end(socket), 20);
        }),
      );
      const { listen, stateDirectory, state } = await proxied(allTo('blue', { blue: app }));
      await expect(ask(listen)).rejects.toThrow();
      const metrics = await metricsOf(stateDirectory);
      expect(metrics.get(upstreamErrors('blue', 'cut'))).toBe(1);
      expect(metrics.get(requests('blue', 502))).toBe(1);
      expect(metrics.get(requests('blue', 200))).toBeUndefined();
      expect((await state()).inFlight).toEqual({ blue: 0 });
    },
  );

  test('does not answer in time: 504 when there is a limit', async () => {
    const app = await backend(() => {});
    const { listen, stateDirectory } = await proxied(allTo('blue', { blue: app.address }), {
      timeouts: { response: 50 },
    });
    expect(await ask(listen, { method: 'POST', body: 'x' })).toMatchObject({ status: 504 });
    expect((await metricsOf(stateDirectory)).get(upstreamErrors('blue', 'response_timeout'))).toBe(1);
  });

  test('answers before it has read the request: the answer arrives', async () => {
    const app = await backend((request, response) => {
      response.writeHead(413).end('too large');
      request.resume();
    });
    const { listen } = await proxied(allTo('blue', { blue: app.address }));
    expect(await ask(listen, { method: 'POST', body: 'x'.repeat(300_000) })).toMatchObject({
      status: 413,
      body: 'too large',
    });
  });
});

describe('a client that leaves', () => {
  test('before the answer: the upstream request ends and it is counted as 499', async () => {
    let arrived = 0;
    let left = 0;
    const app = await backend((_request, response) => {
      arrived++;
      response.once('close', () => left++);
    });
    const { listen, stateDirectory, state } = await proxied(allTo('blue', { blue: app.address }));
    const url = new URL(`http://${listen}`);
    const client = connect(Number(url.port), url.hostname);
    client.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf');
    await until(() => arrived === 1);
    expect((await state()).inFlight).toEqual({ blue: 1 });
    client.resetAndDestroy();
    await until(() => left === 1);
    await until(async () => (await state()).inFlight['blue'] === 0);
    expect((await metricsOf(stateDirectory)).get(requests('blue', 499))).toBe(1);
  });

  test('while the connection upstream is being made', async () => {
    // A listener whose backlog is full accepts nothing; 192.0.2.1 (RFC 5737) is routed nowhere.
    const { listen, state } = await proxied(allTo('blue', { blue: '192.0.2.1:80' }));
    const url = new URL(`http://${listen}`);
    const client = connect(Number(url.port), url.hostname);
    client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await delay(50);
    client.resetAndDestroy();
    await until(async () => (await state()).inFlight['blue'] === 0);
  });
});

describe('upgrades', () => {
  const handshake = 'GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';

  test('bytes pass both ways, the connection is in flight until it ends', async () => {
    const app = await backend(() => {});
    app.server.on('upgrade', (request, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
      socket.write(`forwarded for ${String(request.headers['x-forwarded-for'])};`);
      socket.pipe(socket);
    });
    const { listen, stateDirectory, state, use, admin } = await proxied(allTo('blue', { blue: app.address }));
    const url = new URL(`http://${listen}`);
    const client = connect(Number(url.port), url.hostname);
    let received = '';
    client.setEncoding('latin1').on('data', (chunk: string) => (received += chunk));
    client.write(`${handshake}sent early;`);
    await until(() => received.includes('sent early;'));
    expect(received).toMatch(/^HTTP\/1.1 101 /);
    expect(received).toContain('forwarded for 127.0.0.1;');
    await use([{ slot: 'green', weight: 100, addresses: [app.address] }]);
    client.write('after the switch');
    await until(() => received.endsWith('after the switch'));
    expect((await state()).inFlight).toEqual({ green: 0, blue: 1 });
    expect((await admin.drain('blue', 30, { signal: never })).body).toMatchObject({
      complete: false,
      inFlight: 1,
    });
    client.end();
    expect((await admin.drain('blue', 2_000, { signal: never })).body).toMatchObject({ complete: true });
    expect((await metricsOf(stateDirectory)).get(requests('blue', 101))).toBe(1);
  });

  test('refused by the application, by the kernel, or of another kind', async () => {
    const app = await backend((request, response) =>
      response.end(`as a request: ${request.headers.upgrade}`),
    );
    app.server.on('upgrade', (_request, socket) =>
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno'),
    );
    const { listen, stateDirectory, use, state } = await proxied(allTo('blue', { blue: app.address }));
    const forbidden = await raw(listen, handshake);
    expect(forbidden).toMatch(/^HTTP\/1.1 403 /);
    expect(forbidden).toMatch(/no$/);
    const other = handshake
      .replace('websocket', 'h2c')
      .replace('Connection: Upgrade', 'Connection: close, Upgrade');
    expect(await raw(listen, other)).toMatch(/as a request: undefined/);
    await use(allTo('blue', { blue: await freeAddress() }));
    expect(await raw(listen, handshake)).toMatch(/^HTTP\/1.1 502 [^]*slot blue refuses connections/);
    await until(async () => (await state()).inFlight['blue'] === 0);
    const metrics = await metricsOf(stateDirectory);
    expect(metrics.get(requests('blue', 403))).toBe(1);
    expect(metrics.get(requests('blue', 502))).toBe(1);
  });
});
