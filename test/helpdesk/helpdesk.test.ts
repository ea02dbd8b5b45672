// The sample platform does what the actions rely on: it is served for real, on a real PostgreSQL.

import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

import { setupPython } from '../../scripts/setup-python.ts';
import { freePort } from '../support/ports.ts';
import { startPostgres } from '../support/postgres.ts';
import type { Postgres } from '../support/postgres.ts';
import { type Instance, startInstance } from './instance.ts';
import { makeRelease, manageCommand, releaseEnvironment, serveCommand } from './release.ts';
import type { Release, ReleaseKind } from './release.ts';

const secretKey = randomBytes(40).toString('base64url');
let scratch: string;
let python: string;
let postgres: Postgres;
let databaseUrl: string;
let token: string;
const running: Instance[] = [];

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'helpdesk-'));
  ({ python } = await setupPython());
  postgres = await startPostgres();
  databaseUrl = await postgres.createDatabase('helpdesk');
  const first = await release(1);
  await manage(first, ['migrate']);
  token = await manage(first, ['api_token', 'ada@example.org', '--create']);
}, 300_000);

afterAll(async () => {
  await Promise.all(running.map((instance) => instance.stop('SIGQUIT')));
  await postgres?.stop();
  await rm(scratch, { recursive: true, force: true });
}, 60_000);

let made = 0;
const release = (number: number, kind: ReleaseKind = 'good'): Promise<Release> =>
  makeRelease({ number, kind, directory: join(scratch, `${++made}-${kind}`) });

const environment = (overrides: Record<string, string> = {}): NodeJS.ProcessEnv => ({
  PATH: process.env['PATH'],
  ...releaseEnvironment({ databaseUrl, secretKey, slot: 'blue' }),
  ...overrides,
});

async function manage(
  of: Release,
  command: string[],
  overrides: Record<string, string> = {},
): Promise<string> {
  const [program, ...args] = manageCommand(python, ...command);
  const { stdout } = await promisify(execFile)(program!, args, {
    cwd: of.directory,
    env: environment(overrides),
  });
  return stdout.trim();
}

async function serve(of: Release, overrides: Record<string, string> = {}): Promise<Instance> {
  const port = await freePort();
  const env = environment({ PORT: String(port), ...overrides });
  const instance = await startInstance(serveCommand(python), { cwd: of.directory, env, port });
  running.push(instance);
  return instance;
}

async function call(
  url: string,
  options: { method?: string; body?: unknown; headers?: Record<string, string> } = {},
): Promise<{ status: number; headers: Headers; json: unknown }> {
  const answer = await fetch(url, {
    method: options.method ?? 'GET',
    headers: { authorization: `Bearer ${token}`, ...options.headers },
    ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
  });
  return { status: answer.status, headers: answer.headers, json: await answer.json() };
}

/** The value of one time series; undefined if it is not there. */
async function metric(origin: string, series: string): Promise<number | undefined> {
  const text = await (await fetch(`${origin}/metrics`)).text();
  const found = text.split('\n').find((line) => line.startsWith(`${series} `));
  return found === undefined ? undefined : Number(found.slice(series.length));
}

/** What a query returns, a line a row, columns separated by `|`. */
async function sql(database: string, query: string): Promise<string> {
  const env = { ...process.env, ...postgres.env, PGDATABASE: database };
  const { stdout } = await promisify(execFile)(join(postgres.pgBin, 'psql'), ['-XAt', '-c', query], { env });
  return stdout.trim();
}

describe('the good release', () => {
  let good: Instance;
  beforeAll(async () => void (good = await serve(await release(1))), 60_000);

  test('is healthy, and says how long each check took', async () => {
    const { status, json, headers } = await call(`${good.origin}/health/`);
    expect(status).toBe(200);
    expect(json).toEqual({
      status: 'healthy',
      version: '1.0.0',
      slot: 'blue',
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      checks: {
        database: { status: 'healthy', response_time: expect.any(Number) },
        cache: { status: 'healthy', response_time: expect.any(Number) },
        redis: { status: 'disabled' },
      },
    });
    const { database, cache } = (json as { checks: Record<string, { response_time: number }> }).checks;
    expect(Math.min(database!.response_time, cache!.response_time)).toBeGreaterThan(0);
    expect(headers.get('cache-control')).toBe('no-store');
    expect((await call(`${good.origin}/version`)).json).toEqual({ version: '1.0.0', slot: 'blue' });
  });

  test('creates, lists, resolves and comments on tickets, and counts them', async () => {
    const tickets = `${good.origin}/api/tickets/`;
    const openBefore = Number(
      await sql('helpdesk', "SELECT count(*) FROM tickets_ticket WHERE status = 'open'"),
    );
    const created = await call(tickets, {
      method: 'POST',
      body: { title: 'Printer on fire', priority: 'high' },
    });
    expect(created).toMatchObject({
      status: 201,
      json: { title: 'Printer on fire', status: 'open', priority: 'high' },
    });
    const ticket = `${good.origin}${created.headers.get('location')}`;
    expect(await sql('helpdesk', 'SELECT title FROM tickets_ticket ORDER BY id DESC LIMIT 1')).toBe(
      'Printer on fire',
    );
    expect((await call(`${tickets}?status=open&limit=1`)).json).toMatchObject({
      tickets: [{ title: 'Printer on fire' }],
    });
    expect(await metric(good.origin, 'tickets_open')).toBe(openBefore + 1);

    const remark = await call(`${ticket}comments/`, { method: 'POST', body: { body: 'Out now.' } });
    expect(remark.status).toBe(201);
    expect((await call(`${ticket}comments/`)).json).toMatchObject({ comments: [{ body: 'Out now.' }] });
    for (let i = 0; i < 2; i++) {
      expect(await call(`${ticket}resolve/`, { method: 'POST' })).toMatchObject({
        status: 200,
        json: { status: 'resolved' },
      });
    }
    expect(await metric(good.origin, 'tickets_created_total')).toBe(1);
    expect(await metric(good.origin, 'tickets_resolved_total')).toBe(1);
    expect(await metric(good.origin, 'tickets_open')).toBe(openBefore);
    expect(await metric(good.origin, 'active_users')).toBe(1);
  });

  test('shows users, organizations and flags', async () => {
    expect((await call(`${good.origin}/api/users/`)).json).toMatchObject({
      users: [{ email: 'ada@example.org' }],
    });
    expect((await call(`${good.origin}/api/organizations/`)).json).toMatchObject({
      organizations: [{ slug: 'default' }],
    });
    for (let i = 0; i < 2; i++) {
      const { flags } = (await call(`${good.origin}/api/flags/`)).json as { flags: { slug: string }[] };
      expect(flags.map(({ slug }) => slug)).toContain('ADVANCED_SECURITY');
    }
    expect(await metric(good.origin, 'cache_misses_total{cache_name="default"}')).toBe(1);
    expect(await metric(good.origin, 'cache_hits_total{cache_name="default"}')).toBe(1);
  });

  test("refuses what it cannot take, and hides what is not the user's", async () => {
    const tickets = `${good.origin}/api/tickets/`;
    expect((await call(tickets, { headers: { authorization: 'Bearer forged' } })).status).toBe(401);
    expect((await call(tickets, { method: 'DELETE' })).status).toBe(405);
    expect(await call(tickets, { method: 'POST', body: { priority: 'low' } })).toMatchObject({
      status: 400,
      json: { errors: { title: 'must be text of 1 to 200 characters' } },
    });
    expect((await call(`${tickets}?limit=1000`)).json).toMatchObject({
      errors: { limit: expect.any(String) },
    });
    await sql(
      'helpdesk',
      `WITH o AS (INSERT INTO organizations_organization (name, slug, description, created_at) VALUES ('Other', 'other', '', now()) RETURNING id)
       INSERT INTO tickets_ticket (id, organization_id, requester_id, title, description, status, priority, created_at)
       SELECT 4242, o.id, (SELECT min(id) FROM users_user), 'Secret', '', 'resolved', 'low', now() FROM o`,
    );
    expect((await call(`${tickets}4242/`)).status).toBe(404);
  });

  test('measures requests by route, and leaves probes out', async () => {
    const route = 'endpoint="/api/tickets/<int:pk>/",method="GET",status="404"';
    const before = (await metric(good.origin, `http_requests_total{${route}}`)) ?? 0;
    for (const id of [1_000_001, 1_000_002]) await call(`${good.origin}/api/tickets/${id}/`);
    await call(`${good.origin}/nowhere/${randomBytes(4).toString('hex')}`);
    expect(await metric(good.origin, `http_requests_total{${route}}`)).toBe(before + 2);
    expect(await metric(good.origin, `http_request_duration_seconds_count{${route}}`)).toBe(before + 2);
    const unmatched = 'http_requests_total{endpoint="unmatched",method="GET",status="404"}';
    expect(await metric(good.origin, unmatched)).toBe(1);
    expect(await metric(good.origin, 'helpdesk_release_info{slot="blue",version="1.0.0"}')).toBe(1);
    expect(await metric(good.origin, 'database_connections_active')).toBeGreaterThanOrEqual(1);
    expect(await metric(good.origin, 'database_query_duration_seconds_count')).toBeGreaterThan(10);
    const text = await (await fetch(`${good.origin}/metrics`)).text();
    expect(text).not.toMatch(/endpoint="\/(health|metrics|version)/);
  });

  test('logs each request with its id, its user and organization', async () => {
    const given = await call(`${good.origin}/api/users/me/`, { headers: { 'x-request-id': 'trace-1.2_3' } });
    expect(given.headers.get('x-request-id')).toBe('trace-1.2_3');
    const replaced = await call(`${good.origin}/api/users/me/`, { headers: { 'x-request-id': 'a b"c' } });
    expect(replaced.headers.get('x-request-id')).toMatch(/^[0-9a-f]{32}$/);
    const logged = await vi.waitUntil(
      () => good.logs().find((entry) => entry['request_id'] === 'trace-1.2_3'),
      { timeout: 10_000 },
    );
    expect(logged).toMatchObject({
      level: 'INFO',
      method: 'GET',
      endpoint: '/api/users/me/',
      status: 200,
      user_id: (given.json as { id: number }).id,
      organization_id: (given.json as { organization_id: number }).organization_id,
      duration_ms: expect.any(Number),
    });
  });
});

describe('when something it needs is missing', () => {
  test('says which check fails with 503, and still shows metrics', { timeout: 30_000 }, async () => {
    const nowhere = `127.0.0.1:${await freePort()}`;
    const alone = await serve(await release(1), {
      DATABASE_URL: `postgresql://nobody@${nowhere}/none`,
      REDIS_URL: `redis://${nowhere}/0`,
    });
    const { status, json } = await call(`${alone.origin}/health/`);
    expect(status).toBe(503);
    expect(json).toMatchObject({
      status: 'unhealthy',
      checks: {
        database: { status: 'unhealthy', error: 'OperationalError' },
        cache: { status: 'unhealthy', error: 'ConnectionError' },
        redis: { status: 'unhealthy', error: 'ConnectionError' },
      },
    });
    expect(JSON.stringify(json)).not.toContain(nowhere);
    expect(await metric(alone.origin, 'helpdesk_release_info{slot="blue",version="1.0.0"}')).toBe(1);
    expect(await metric(alone.origin, 'tickets_open')).toBeUndefined();
  });
});

describe('releases that differ on purpose', () => {
  test('errors: exactly every fifth request fails, whoever asks', { timeout: 30_000 }, async () => {
    const { origin } = await serve(await release(3, 'errors'));
    const statuses: number[] = [];
    const client = async (): Promise<void> => {
      for (let i = 0; i < 10; i++) {
        statuses.push((await call(`${origin}/api/users/me/`)).status);
        expect((await fetch(`${origin}/health/`)).status).toBe(200);
      }
    };
    await Promise.all(Array.from({ length: 10 }, client));
    expect(statuses.filter((status) => status === 500)).toHaveLength(20);
    expect(statuses.filter((status) => status === 200)).toHaveLength(80);
    const requests = 'http_requests_total{endpoint="/api/users/me/",method="GET"';
    expect(await metric(origin, `${requests},status="500"}`)).toBe(20);
    expect(await metric(origin, `${requests},status="200"}`)).toBe(80);
  });

  test(
    'slow: requests take 1.5 s, probes do not, and SIGTERM lets them end',
    { timeout: 30_000 },
    async () => {
      const slow = await serve(await release(3, 'slow'));
      const start = performance.now();
      let hasEnded = false;
      const inFlight = call(`${slow.origin}/`).then(({ status }) => {
        hasEnded = true;
        return { status, took: performance.now() - start };
      });
      await delay(300);
      expect((await call(`${slow.origin}/version`)).json).toEqual({ version: '3.0.0', slot: 'blue' });
      expect(hasEnded).toBe(false);
      const code = slow.stop();
      const { status, took } = await inFlight;
      expect(status).toBe(200);
      expect(took).toBeGreaterThanOrEqual(1500);
      expect(await code).toBe(0);
    },
  );

  test('never-ready: it answers, and names the check that fails', { timeout: 30_000 }, async () => {
    const { origin } = await serve(await release(4, 'never-ready'));
    expect(await call(`${origin}/health/`)).toMatchObject({
      status: 503,
      json: {
        version: '4.0.0',
        checks: {
          database: { status: 'healthy' },
          search_index: { status: 'unhealthy', error: 'RuntimeError' },
        },
      },
    });
    expect((await call(`${origin}/api/users/me/`)).status).toBe(200);
  });
});

describe('migrations', () => {
  const flags = 'SELECT count(*) FROM features_feature';

  test('data goes there and back, and is not lost while it is in use', { timeout: 60_000 }, async () => {
    const url = await postgres.createDatabase('back_and_forth');
    const one = await release(1);
    const migrate = (...target: string[]): Promise<string> =>
      manage(one, ['migrate', ...target], { DATABASE_URL: url });
    const organizations = 'SELECT slug FROM organizations_organization';
    await migrate();
    expect([await sql('back_and_forth', flags), await sql('back_and_forth', organizations)]).toEqual([
      '4',
      'default',
    ]);
    await migrate('features', '0001');
    await migrate('organizations', '0001');
    expect([await sql('back_and_forth', flags), await sql('back_and_forth', organizations)]).toEqual([
      '0',
      '',
    ]);
    await migrate();
    expect([await sql('back_and_forth', flags), await sql('back_and_forth', organizations)]).toEqual([
      '4',
      'default',
    ]);
    await manage(one, ['api_token', 'ada@example.org', '--create'], { DATABASE_URL: url });
    await expect(migrate('organizations', '0001')).rejects.toThrow(/ProtectedError|IntegrityError/);
    expect(await sql('back_and_forth', organizations)).toBe('default');
  });

  test(
    'release 1 keeps working on the schema of release 2, and not on the unsafe one',
    { timeout: 60_000 },
    async () => {
      const { origin } = await serve(await release(1));
      const create = async (): Promise<number> =>
        (await call(`${origin}/api/tickets/`, { method: 'POST', body: { title: 'Still here' } })).status;
      const due = 'SELECT count(due_at) FROM tickets_ticket';
      expect(await create()).toBe(201);
      const open = await sql('helpdesk', "SELECT count(*) FROM tickets_ticket WHERE status = 'open'");

      const two = await release(2);
      await manage(two, ['migrate']);
      expect(await sql('helpdesk', due)).toBe(open);
      expect(await create()).toBe(201);
      const listed = await call(`${(await serve(two)).origin}/api/tickets/?limit=2`);
      expect(listed.json).toMatchObject({ tickets: [{ due_at: null }, { due_at: expect.any(String) }] });
      await manage(two, ['migrate', 'tickets', '0001']);
      expect(await create()).toBe(201);

      const unsafe = await release(3, 'unsafe-migration');
      await manage(unsafe, ['makemigrations', '--check']);
      await manage(unsafe, ['migrate']);
      expect(await create()).toBe(500);
      expect((await call(`${origin}/api/tickets/`)).status).toBe(500);
      await expect(manage(unsafe, ['migrate', 'tickets', '0003'])).rejects.toThrow(/IrreversibleError/);
    },
  );

  test(
    'models and migrations agree, and production settings pass the checks',
    { timeout: 30_000 },
    async () => {
      const two = await release(2);
      expect(await manage(two, ['makemigrations', '--check'])).toBe('No changes detected');
      await manage(two, ['check', '--deploy', '--fail-level', 'WARNING'], { SECURE_SSL_REDIRECT: 'true' });
    },
  );
});

describe('when the database goes away', () => {
  test('a healthy instance turns unhealthy', { timeout: 30_000 }, async () => {
    const { origin } = await serve(await release(2));
    expect((await fetch(`${origin}/health/`)).status).toBe(200);
    await postgres.stop();
    expect(await call(`${origin}/health/`)).toMatchObject({
      status: 503,
      json: {
        checks: {
          database: { status: 'unhealthy', error: 'OperationalError' },
          cache: { status: 'healthy' },
        },
      },
    });
  });
});
