import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { failingChecks } from '../failing-checks.ts';
import { probe } from './network.ts';

describe('failingChecks', () => {
  it.each([
    ['{"status":"unhealthy","checks":{"database":{"status":"fail"},"cache":{"status":"ok"}}}', ['database']],
    ['{"checks":{"database":"error: refused","cache":"ok"}}', ['database']],
    ['{"checks":[{"name":"redis","status":"DOWN"},{"name":"disk","status":"UP"}]}', ['redis']],
    ['{"status":"DOWN","components":{"db":{"status":"DOWN"},"ping":{"status":"UP"}}}', ['db']],
    ['{"checks":{"db:time":[{"status":"pass"},{"status":"fail"}],"cpu":[{"status":"warn"}]}}', ['db:time']],
    ['{"database":false,"cache":true,"version":"1.2"}', ['database']],
    ['{"Cache backend":"working"}', []],
    ['{"checks":{"redis":{"status":"disabled"},"index":{"status":"unhealthy"}}}', ['index']],
    ['{"status":"unhealthy"}', []],
    ['{"checks":null}', []],
    ['[1]', []],
    ['Service Unavailable', []],
    ['', []],
  ])('of %s are %j', (body, failing) => {
    expect(failingChecks(body)).toEqual(failing);
  });
});

describe('probe', () => {
  const server = createServer();
  afterEach(() => {
    server.removeAllListeners('request');
    server.closeAllConnections();
    server.close();
  });

  function listen(answer: RequestListener): Promise<number> {
    server.on('request', answer);
    return new Promise((resolve) =>
      server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)),
    );
  }

  it.each([200, 204, 301])('takes %d for ready', async (status) => {
    const port = await listen((_, response) => response.writeHead(status).end());
    expect(await probe(port, '/health', 1_000)).toEqual({ ready: true, summary: `answers ${status}` });
  });

  it.each([400, 404, 500, 503])('takes %d for not ready and quotes the body', async (status) => {
    const port = await listen((_, response) => response.writeHead(status).end(' not yet \n'));
    expect(await probe(port, '/health', 1_000)).toEqual({
      ready: false,
      summary: `answers ${status}`,
      body: 'not yet',
    });
  });

  it('reads no more of an endless body than it needs', async () => {
    const port = await listen((_, response) => {
      response.writeHead(500);
      const timer = setInterval(() => response.write('x'.repeat(1_000)), 1);
      response.on('close', () => clearInterval(timer));
    });
    const { ready, body } = await probe(port, '/health', 5_000);
    expect(ready).toBe(false);
    expect(body).toBe('x'.repeat(300));
  });

  it('gives up on a server that does not answer', async () => {
    const port = await listen(() => {});
    const started = performance.now();
    expect(await probe(port, '/health', 200)).toEqual({
      ready: false,
      summary: 'does not answer within 200 ms',
    });
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  it('says when nothing listens', async () => {
    const port = await listen(() => {});
    await new Promise((resolve) => server.close(resolve));
    expect(await probe(port, '/health', 500)).toEqual({
      ready: false,
      summary: 'does not accept connections yet',
    });
    expect(await probe(port, undefined, 500)).toMatchObject({ ready: false });
  });
});
