import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { startGenerator } from './generator.ts';
import { countsOf, startLoad, type Kind, type KindReport, type LoadOptions } from './index.ts';
import { parseArguments, parseTarget, planLoad, toArguments } from './options.ts';
import { ResponseReader } from './response-reader.ts';

const OK = 'HTTP/1.1 200 OK\r\nx-app: 1\r\nx-version: v1\r\nContent-Length: 2\r\n\r\nok';
const servers: { server: Server; sockets: Set<Socket> }[] = [];

afterAll(() => {
  for (const { server, sockets } of servers.splice(0)) {
    server.close();
    sockets.forEach((socket) => socket.destroy());
  }
});

/** A server that does as told with each request; `nth` counts the requests of one connection from 1. */
async function misbehave(onRequest: (socket: Socket, nth: number, text: string) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    let nth = 0;
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (data) => onRequest(socket, (nth += 1), data.toString()));
  });
  servers.push({ server, sockets });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return urlOf(server);
}

function urlOf(server: Server): string {
  const address = server.address();
  return `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/`;
}

async function load(kind: Kind, url: string, more: Partial<LoadOptions> = {}): Promise<KindReport> {
  const options = { url, kinds: [kind], rate: 200, durationSeconds: 0.15, connections: 3, ...more };
  const report = await startGenerator(planLoad(options)).finished;
  const counts = report.total[kind];
  if (counts === undefined) throw new Error(`nothing sent of kind ${kind}`);
  expect(counts.sent).toBe(Math.round(options.rate * options.durationSeconds));
  expect(counts.ok + counts.clientErrors + counts.failed + counts.lost + counts.notSent).toBe(counts.sent);
  return counts;
}

describe('what is not lost', () => {
  test.each(['new', 'keepalive-post'] as const)('%s: whole answers of the application', async (kind) => {
    const url = await misbehave((socket) => socket.write(OK));
    const counts = await load(kind, url);
    expect(counts).toMatchObject({
      ok: 30,
      lost: 0,
      status: { 200: 30 },
      versions: { v1: 30 },
    });
    if (kind === 'new') expect(counts.connectionsOpened).toBe(30);
  });

  test('keepalive-post really posts, on reused connections', async () => {
    const seen: string[] = [];
    const url = await misbehave((socket, nth, text) => {
      seen.push(`${nth} ${text.split('\r\n')[0]} ${text.split('\r\n\r\n')[1]}`);
      socket.write(OK);
    });
    // Late by itself, it opens more: at this pace it would have to be late by half a second for as many connections as requests.
    const pace = { rate: 50, durationSeconds: 0.6 };
    const counts = await load('keepalive-post', `${url}tickets`, { body: '{"a":1}', ...pace });
    expect(seen.every((line) => line.endsWith(' POST /tickets HTTP/1.1 {"a":1}'))).toBe(true);
    expect(seen.some((line) => line.startsWith('2 '))).toBe(true); // the second on one connection
    expect(counts.connectionsOpened).toBeLessThan(30);
    expect(counts.connectionsOpened).toBe(seen.filter((line) => line.startsWith('1 ')).length);
  });

  test("the application's own 5xx and 4xx are counted apart", async () => {
    let n = 0;
    const url = await misbehave((socket) =>
      socket.write(OK.replace('200 OK', (n += 1) % 3 === 0 ? '503 No' : '404 No')),
    );
    expect(await load('new', url)).toMatchObject({ failed: 10, clientErrors: 20, ok: 0, lost: 0 });
  });

  test('a close announced by header: the next request takes a new connection', async () => {
    const url = await misbehave((socket, nth) => {
      if (nth < 2) socket.write(OK);
      else socket.end(OK.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
    });
    const counts = await load('keepalive-post', url, { rate: 50, durationSeconds: 0.6 });
    expect(counts).toMatchObject({ ok: 30, lost: 0 });
    expect(counts.announcedCloses).toBeGreaterThan(0); // of up to every second request
  });

  test.each([
    ['FIN', (socket: Socket) => socket.end()],
    ['RST', (socket: Socket) => socket.resetAndDestroy()],
  ])('a close announced by %s on an idle connection', async (_, close) => {
    const url = await misbehave((socket) => {
      socket.write(OK);
      setTimeout(() => close(socket), 2);
    });
    const counts = await load('keepalive-post', url, { rate: 50, durationSeconds: 0.4 });
    expect(counts).toMatchObject({ ok: 20, lost: 0 });
    expect(counts.announcedCloses).toBeGreaterThan(0); // of each that lay idle for so long
  });

  test('a connection whose announced keep-alive time is over is not used again', async () => {
    const url = await misbehave((socket) =>
      socket.write(OK.replace('\r\n\r\n', '\r\nKeep-Alive: timeout=0\r\n\r\n')),
    );
    expect(await load('keepalive-post', url)).toMatchObject({ ok: 30, lost: 0, connectionsOpened: 30 });
  });
});

describe.concurrent('what is lost, and why', () => {
  const half = OK.slice(0, -1);
  test.each<[string, Kind, (socket: Socket, nth: number) => void, string, number, RegExp]>([
    ['RST before the answer', 'new', (s) => s.resetAndDestroy(), 'reset', 30, /ECONNRESET/],
    ['FIN before the answer', 'new', (s) => s.end(), 'closed', 30, /before any answer, new connection/],
    ['FIN in the body', 'new', (s) => s.end(half), 'closed', 30, /after \d+ bytes/],
    [
      'RST in the body',
      'new',
      (s) => s.write(half, () => setTimeout(() => s.resetAndDestroy(), 5)),
      'reset',
      30,
      /ECONNRESET/,
    ],
    ['a chunked body cut', 'new', (s) => s.end(CHUNKED.slice(0, -5)), 'closed', 30, /after \d+ bytes/],
    [
      'unannounced FIN instead of an answer',
      'keepalive-post',
      (s, n) => (n < 2 ? s.write(OK) : s.end()),
      'closed',
      1,
      /had answered 1 before/,
    ],
    [
      'unannounced RST instead of an answer',
      'keepalive-post',
      (s, n) => (n < 2 ? s.write(OK) : s.resetAndDestroy()),
      'reset',
      1,
      /ECONNRESET/,
    ],
    [
      'a 502 of something in front',
      'new',
      (s) => s.end('HTTP/1.1 502 Bad Gateway\r\nServer: nginx\r\nContent-Length: 0\r\n\r\n'),
      'not-application',
      30,
      /502 without x-app, nginx/,
    ],
    [
      'a 200 of something in front',
      'keepalive-post',
      (s) => s.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'),
      'not-application',
      30,
      /200 without x-app/,
    ],
    ['bytes that are no HTTP', 'new', (s) => s.end('220 smtp ready\r\n\r\n'), 'malformed', 30, /220 smtp/],
    ['no answer in time', 'new', () => {}, 'timeout', 30, /no full answer in 200 ms/],
  ])('%s (%s)', async (_, kind, onRequest, reason, leastLost, detail) => {
    const url = await misbehave(onRequest);
    const pace = kind === 'new' ? {} : { rate: 20, durationSeconds: 2 }; // time for connections to be reused
    const counts = await load(kind, url, { ...pace, timeoutSeconds: reason === 'timeout' ? 0.2 : 5 });
    expect(counts.lostBy).toEqual({ [reason]: counts.lost });
    expect(counts.lost).toBeGreaterThanOrEqual(leastLost);
    expect(counts.firstLost.length).toBe(Math.min(20, counts.lost));
    const first = counts.firstLost[0];
    expect(first?.detail).toMatch(detail);
    expect(first?.lostMs).toBeGreaterThanOrEqual(first?.scheduledMs ?? Infinity);
  });

  test.each(['new', 'keepalive-post'] as const)('%s: refused connections', async (kind) => {
    const url = await misbehave(() => {});
    const { server } = servers.pop() ?? {};
    await new Promise((resolve) => server?.close(resolve));
    expect(await load(kind, url)).toMatchObject({ lost: 30, lostBy: { refused: 30 }, answered: 0 });
  });
});

describe('the schedule', () => {
  test('a FIN that arrived while the generator was busy counts as announced', async () => {
    const url = await misbehave((socket) => socket.write(OK));
    const generator = startGenerator(
      planLoad({ url, kinds: ['keepalive-post'], rate: 1, durationSeconds: 2, connections: 1 }),
    );
    await expect.poll(() => generator.snapshot().total['keepalive-post']?.ok, { interval: 5 }).toBe(1);
    servers.at(-1)?.sockets.forEach((socket) => socket.end());
    // The FIN is in the kernel, and this thread sleeps until the next request is due.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_100);
    const report = await generator.finished;
    expect(report.total['keepalive-post']).toMatchObject({ ok: 2, lost: 0, announcedCloses: 1 });
  });

  test('is not slowed by slow answers, and latency counts from the scheduled time', async () => {
    const waiting: Socket[] = [];
    const url = await misbehave((socket) => {
      waiting.push(socket);
      // The last is due 145 ms after the first.
      if (waiting.length === 30) for (const one of waiting) one.write(OK);
    });
    const counts = await load('keepalive-post', url);
    expect(counts).toMatchObject({ ok: 30, lost: 0, connectionsOpened: 30 });
    expect(counts.latencyMs.max).toBeGreaterThan(120); // the first waited for all of the others
    expect(counts.latencyMs.p50).toBeGreaterThan(50); // and half of them for half of it
  });

  test('keeps N long requests in flight', async () => {
    let open = 0;
    let most = 0;
    const url = await misbehave((socket) => {
      most = Math.max(most, (open += 1));
      setTimeout(() => {
        open -= 1;
        socket.end(OK);
      }, 200);
    });
    const report = await startGenerator(
      planLoad({
        url,
        inFlightUrl: `${url}slow`,
        kinds: ['inflight'],
        inFlight: 8,
        inFlightSeconds: 0.2,
        rate: 1,
        durationSeconds: 0.5,
      }),
    ).finished;
    expect(report.total.inflight).toMatchObject({ sent: 20, ok: 20, lost: 0 });
    expect(most).toBeGreaterThanOrEqual(7);
    expect(most).toBeLessThan(20); // 8, and what a busy machine is late with: not all at once
  });
});

describe('options', () => {
  test.each([
    'http://example.com/',
    'http://10.0.0.1/',
    'https://127.0.0.1/',
    'http://127.0.0.1.example.com/',
    'nonsense',
  ])('refuses the target %s', (url) => expect(() => parseTarget(url)).toThrow(/load target/));

  test.each(['http://127.0.0.1:8080/a?b=1', 'http://localhost:1/', 'http://[::1]:1/'])(
    'accepts %s',
    (url) => {
      expect(['127.0.0.1', '::1']).toContain(parseTarget(url).host);
    },
  );

  test('refuses rates and times beyond the limits', () => {
    const url = 'http://127.0.0.1:1/';
    expect(() => planLoad({ url, rate: 2001, durationSeconds: 1 })).toThrow('rate 2001 not allowed');
    expect(() => planLoad({ url, rate: Number.NaN, durationSeconds: 1 })).toThrow('rate NaN not allowed');
    expect(() => planLoad({ url, rate: 1, durationSeconds: 901 })).toThrow('duration 901 not allowed');
    expect(() => planLoad({ url, rate: 1, durationSeconds: 1, kinds: ['inflight'] })).toThrow('inflight-url');
  });

  test('survive the command line', () => {
    const options: LoadOptions = {
      url: 'http://127.0.0.1:1/',
      rate: 5,
      durationSeconds: 1.5,
      kinds: ['new', 'inflight'],
      method: 'POST',
      body: '{"a": "--rate=3"}',
      headers: { Authorization: 'Basic a:b', 'X-Empty': '' },
      inFlightUrl: 'http://127.0.0.1:1/slow?ms=1',
      inFlight: 3,
    };
    expect(parseArguments(toArguments(options))).toEqual(options);
  });
});

const CHUNKED =
  'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nX-App: 1\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n1A\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nT: 1\r\n\r\n';

describe('ResponseReader', () => {
  test.each([OK, CHUNKED, 'HTTP/1.1 204 No Content\r\nx-app: 1\r\n\r\n'])(
    'is complete exactly at the last byte, however the bytes arrive',
    (text) => {
      const bytes = Buffer.from(text);
      fc.assert(
        fc.property(fc.array(fc.integer({ min: 1, max: bytes.length - 1 }), { maxLength: 8 }), (cuts) => {
          const reader = new ResponseReader();
          const edges = [0, ...new Set(cuts.toSorted((a, b) => a - b)), bytes.length];
          for (const [i, from] of edges.slice(0, -1).entries()) {
            expect(reader.complete).toBe(false);
            expect(reader.push(bytes.subarray(from, edges[i + 1]))).toBe(0);
          }
          expect(reader.complete).toBe(true);
          expect(reader.answer?.headers.get('x-app')).toBe('1');
          expect(reader.push(Buffer.from('x'))).toBe(1);
        }),
        { numRuns: 100 },
      );
    },
  );

  test('a body without a length ends with the stream, and announces that', () => {
    const reader = new ResponseReader();
    reader.push(Buffer.from('HTTP/1.1 200 OK\r\n\r\nsome'));
    expect([reader.complete, reader.answer?.announcesClose, reader.end()]).toEqual([false, true, true]);
  });

  test.each([
    ['HTTP/1.1 200 OK\r\nConnection: Close', true],
    ['HTTP/1.1 200 OK', false],
    ['HTTP/1.0 200 OK', true],
    ['HTTP/1.0 200 OK\r\nConnection: keep-alive', false],
  ])('%j announces a close: %s', (head, closes) => {
    const reader = new ResponseReader();
    reader.push(Buffer.from(`${head}\r\nContent-Length: 0\r\n\r\n`));
    expect(reader.answer?.announcesClose).toBe(closes);
  });
});

describe('startLoad', () => {
  test('runs a process of its own, with phases, progress and a report file', async () => {
    let version = 'v1';
    const url = await misbehave((socket) => socket.write(OK.replace('v1', version)));
    const folder = mkdtempSync(join(tmpdir(), 'load-'));
    const seconds: number[] = [];
    const out = join(folder, 'report.json');
    const run = await startLoad({ url, rate: 200, durationSeconds: 20, phase: 'before', out }, (progress) => {
      seconds.push(countsOf(progress.phases['before'] ?? {}).sent);
    });
    try {
      await new Promise((resolve) => setTimeout(resolve, 1200));
      await run.mark('after');
      version = 'v2';
      await new Promise((resolve) => setTimeout(resolve, 300));
      const [before, after] = (await run.snapshot()).phases;
      expect(before).toMatchObject({ name: 'before', from: expect.closeTo(0, 1) });
      expect(after?.from).toBeGreaterThan(1);
      expect(seconds.length).toBeGreaterThan(0);
      expect(seconds[0]).toBeGreaterThan(150);

      const report = await run.stop();
      expect(countsOf(report.phases[0]?.kinds ?? {}).sent).toBeGreaterThan(220);
      expect(report.phases[1]?.kinds.new?.versions['v2']).toBeGreaterThan(20);
      expect(countsOf(report.total)).toMatchObject({ lost: 0, failed: 0, pending: 0, notSent: 0 });
      const { connectionsOpened = NaN, sent = NaN } = report.total['keepalive-post'] ?? {};
      expect(connectionsOpened).toBeLessThan(sent);
      expect(JSON.parse(readFileSync(out, 'utf8'))).toEqual(report);
      await expect(run.mark('late')).rejects.toThrow('had ended');
    } finally {
      run.kill();
      rmSync(folder, { recursive: true });
    }
  });

  test('rejects when the process is killed or an option is refused', async () => {
    const url = await misbehave((socket) => socket.write(OK));
    const run = await startLoad({ url, rate: 10, durationSeconds: 20 });
    run.kill();
    await expect(run.finished).rejects.toThrow('SIGKILL');
    await expect(startLoad({ url: 'http://192.0.2.1/', rate: 1, durationSeconds: 1 })).rejects.toThrow(
      'only http: on loopback',
    );
  });
});
