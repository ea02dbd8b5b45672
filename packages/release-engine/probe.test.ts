import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { startProbe } from './probe.ts';

const servers: Server[] = [];

async function serve(listener: RequestListener): Promise<URL> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/health/`);
}

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

async function probed(url: URL, rate: number, milliseconds: number, timeout?: number) {
  const probe = startProbe(url, rate, timeout);
  await delay(milliseconds);
  return probe.stop();
}

/** A probe, and how many requests it is behind its rate. */
function watched(url: URL, rate: number) {
  const start = performance.now();
  const probe = startProbe(url, rate);
  let givenUp = 0;
  let last = start;
  const beat = setInterval(() => {
    const now = performance.now();
    givenUp += Math.max(0, now - last - 1_000);
    last = now;
  }, 10);
  onTestFinished(() => clearInterval(beat));
  const missing = () => ((performance.now() - start) / 1_000) * rate - probe.counts().sent;
  return {
    probe,
    missing,
    /** Without what a stop of the event loop costs beyond a second: this machine may have stops of its own. */
    owed: () => missing() - (givenUp / 1_000) * rate,
  };
}

describe('the probe', () => {
  it('keeps its rate however slow the answers are, each request on a connection of its own', async () => {
    const ports = new Set<number | undefined>();
    const url = await serve((request, response) => {
      ports.add(request.socket.remotePort);
      setTimeout(() => response.end('ok'), 150);
    });
    const { probe, missing, owed } = watched(url, 50);
    await delay(600);
    // One that waited for its answers would be behind by 25 and more.
    await expect.poll(owed).toBeLessThanOrEqual(10);
    expect(missing()).toBeGreaterThanOrEqual(-2);
    const counts = await probe.stop();
    expect(counts).toMatchObject({ answered: counts.sent, lost: 0, failed: 0, reasons: {} });
    expect(ports.size).toBe(counts.sent);
    expect(counts.slowest).toBeGreaterThanOrEqual(145);
  });

  it('makes up for a short stop of the event loop, and not for a long one', async () => {
    const url = await serve((_request, response) => response.end('ok'));
    const block = (milliseconds: number) => {
      const end = performance.now() + milliseconds;
      while (performance.now() < end);
    };
    const { probe, missing, owed } = watched(url, 100);
    await delay(50);
    block(300);
    // Without making up for it, the 30 requests of the stop would be missing for good.
    await expect.poll(owed).toBeLessThanOrEqual(15);
    expect(missing()).toBeGreaterThanOrEqual(-2);

    const before = missing();
    block(1_600);
    // 160 requests' time stood still, of which 100 are made up for and 60 are not owed.
    await expect.poll(owed).toBeLessThanOrEqual(15);
    await delay(200);
    expect(missing() - before).toBeGreaterThan(40);
    await probe.stop();
  });

  it('tells lost requests from errors of the application', async () => {
    let count = 0;
    const url = await serve((request, response) => {
      count += 1;
      switch (count % 6) {
        case 0:
          return response.writeHead(200).end('ok');
        case 1:
          return response.writeHead(500).end('a bug of the application');
        case 2:
          return response.writeHead(502).end();
        case 3:
          return response.writeHead(503).end();
        case 4:
          return request.socket.destroy();
        default:
          response.writeHead(200, { 'content-length': '100' });
          response.write('half an ans');
          return setTimeout(() => request.socket.destroy(), 5);
      }
    });
    const probe = startProbe(url, 100);
    while (probe.counts().sent < 30) await delay(5);
    const counts = await probe.stop();
    const { sent, answered, lost, failed, reasons } = counts;
    expect(answered + lost).toBe(sent);
    const share = sent / 6;
    expect(Math.abs(answered - 2 * share)).toBeLessThan(2);
    expect(Math.abs(failed - share)).toBeLessThan(2);
    expect(Math.abs(lost - 4 * share)).toBeLessThan(2);
    expect(Object.keys(reasons)).toEqual(expect.arrayContaining(['HTTP 502', 'HTTP 503', 'socket hang up']));
    expect(Object.values(reasons).reduce((sum, times) => sum + times, 0)).toBe(lost);
  });

  it('loses every request where nothing listens', async () => {
    const counts = await probed(new URL('http://127.0.0.1:1/'), 50, 100);
    expect(counts.sent).toBeGreaterThan(0);
    expect(counts.lost).toBe(counts.sent);
    expect(Object.keys(counts.reasons)[0]).toMatch(/ECONNREFUSED/);
  });

  it('gives up on an answer that never ends, even one that trickles', async () => {
    const timers: NodeJS.Timeout[] = [];
    const url = await serve((_request, response) => {
      response.writeHead(200);
      timers.push(setInterval(() => response.write('.'), 10));
    });
    const start = performance.now();
    const counts = await probed(url, 20, 50, 200);
    timers.forEach(clearInterval);
    expect(performance.now() - start).toBeLessThan(10_000);
    expect(counts.lost).toBe(counts.sent);
    expect(counts.reasons).toEqual({ 'no answer within 200 ms': counts.sent });
  });

  it('waits for what is in flight when it stops, and sends no more', async () => {
    const url = await serve((_request, response) => setTimeout(() => response.end('ok'), 200));
    const counts = await probed(url, 20, 120);
    expect(counts.sent).toBeGreaterThan(0);
    expect(counts).toMatchObject({ answered: counts.sent, lost: 0 });
    const { sent } = counts;
    await delay(100);
    expect(counts.sent).toBe(sent);
  });

  it('waits no longer than it is allowed, and accuses nobody of what it cut off', async () => {
    const url = await serve(() => {});
    const probe = startProbe(url, 50);
    await delay(80);
    expect(probe.counts().sent).toBeGreaterThan(0);
    const start = performance.now();
    expect(await probe.stop(50)).toMatchObject({ sent: 0, answered: 0, lost: 0 });
    expect(performance.now() - start).toBeLessThan(10_000);
  });
});
