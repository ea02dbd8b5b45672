import { execFile } from 'node:child_process';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { groupEvents } from './collect.ts';
import { parseDatabase, withoutValues } from './database.ts';
import { parseQuantity } from './objects.ts';
import { parseReach, reachCommands } from './reachability.ts';
import { requestFigures } from './request-figures.ts';

const run = promisify(execFile);

it('quantities are cores or bytes', () => {
  expect(['250m', '1.5', '128Mi', '1G', '5n', '1e3'].map(parseQuantity)).toEqual([
    0.25,
    1.5,
    128 * 2 ** 20,
    1e9,
    5e-9,
    1_000,
  ]);
  expect([undefined, '', 'much', '1 Gi'].map(parseQuantity)).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});

it('events that say the same of several pods are one, the newest first', () => {
  const event = (name: string, reason: string, at: string, count: number) => ({
    metadata: { name: `${name}.1` },
    type: 'Warning',
    reason,
    message: `Back-off of ${name}`,
    count,
    lastTimestamp: at,
    involvedObject: { kind: 'Pod', name },
  });
  expect(
    groupEvents([
      event('shop-a', 'BackOff', '2030-01-01T00:00:01Z', 2),
      event('shop-x', 'Other', '2030-01-01T00:00:02Z', 1),
      event('shop-b', 'BackOff', '2030-01-01T00:00:03Z', 5),
    ]),
  ).toMatchObject([
    { reason: 'BackOff', objects: ['shop-a', 'shop-b'], count: 7, message: 'Back-off of shop-b' },
    { reason: 'Other', count: 1 },
  ]);
});

describe('request figures', () => {
  it('are read by the names of client libraries', () => {
    const text = [
      'http_requests_total{code="200"} 90',
      'http_requests_total{code="503"} 10',
      'http_request_duration_seconds_sum 5',
      'http_request_duration_seconds_count 100',
      '',
    ].join('\n');
    expect(requestFigures('a', '/metrics', text)).toEqual({
      pod: 'a',
      path: '/metrics',
      requests: 100,
      errors: 10,
      mean: 0.05,
    });
  });

  it('are null where there are none, and an error for what is no exposition', () => {
    expect(requestFigures('a', '/metrics', 'up 1\n')).toMatchObject({
      requests: null,
      errors: null,
      mean: null,
    });
    expect(() => requestFigures('a', '/metrics', '<html>')).toThrow();
  });
});

describe('database', () => {
  it('shows queries without their values', () => {
    expect(withoutValues("select *\n from t where name = 'O''Hara' and id = 42 and x = $$secret$$")).toBe(
      'select * from t where name = … and id = … and x = …',
    );
    // Cut in the middle of a value by the server's own limit.
    expect(withoutValues("select 'half of a val")).toBe('select …');
  });

  it('reads the answer, and nothing else', () => {
    const row = {
      pid: 7,
      state: 'active',
      seconds: 3,
      blockedBy: [9],
      waitsFor: 'Lock/relation',
      application: 'app',
      query: 'select 1',
    };
    expect(
      parseDatabase(JSON.stringify({ connections: 3, maxConnections: 100, active: 1, queries: [row] })),
    ).toMatchObject({
      connections: 3,
      queries: [{ pid: 7, blockedBy: [9], query: 'select …' }],
    });
    expect(parseDatabase('psql: error')).toBeUndefined();
    expect(parseDatabase('{}')).toBeUndefined();
  });
});

describe('reachability, by the commands that a container runs', () => {
  const commandOf = (program: string) => reachCommands.find(([first]) => first === program) ?? [];

  it.each(['python3', 'sh'])('%s tells what can be reached, and no credential', async (program) => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    // Of the ports below those that the system hands out, one where nothing listens.
    const unused = 9;
    const [file = '', ...args] = commandOf(program);
    const password = `p${process.pid}x`;
    try {
      const { stdout } = await run(file, args, {
        env: {
          PATH: process.env['PATH'],
          DATABASE_URL: `postgresql+psycopg://shop:${password}@127.0.0.1:${port}/shop?sslmode=off`,
          REDIS_URL: `redis://:${password}@127.0.0.1:${unused}/0`,
          CACHE_URL: 'locmemcache',
          DB_HOST: '127.0.0.1',
          DB_PORT: String(port),
          CELERY_BROKER_URL: 'amqp://$(touch x):y@bad;host/',
        },
      });
      expect(stdout).not.toContain(password);
      const reached = parseReach('a', 'web', stdout);
      expect(reached).toMatchObject([
        { variable: 'DATABASE_URL, DB_HOST', host: '127.0.0.1', port, state: 'reachable' },
        { variable: 'REDIS_URL', host: '127.0.0.1', port: unused, state: 'refused' },
      ]);
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });

  it('that did not come to their end say nothing', () => {
    expect(parseReach('a', 'web', 'REACH DATABASE_URL db 5432 reachable\n')).toBeUndefined();
    expect(parseReach('a', 'web', 'NOTOOL\n')).toBeUndefined();
    expect(parseReach('a', 'web', 'DONE\n')).toEqual([]);
  });
});
