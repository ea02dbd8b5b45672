import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { dirname, join } from 'node:path';
import { runProcess, DeployError, silentLog, type Log } from '@deploy-actions/core';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { setupPython, type PythonSetup } from '../../../scripts/setup-python.ts';
import { startPostgres, type Postgres } from '../../../test/support/postgres.ts';
import { MigrationError, type Migrator, type Plan } from '../port.ts';
import { failure, sqlWith } from '../testdata/support.ts';
import { createDjangoMigrator, type DjangoOptions } from './index.ts';

const directory = join(import.meta.dirname, '..', 'testdata', 'project');
const never = new AbortController().signal;
const shop = [{ app: 'shop' }];

vi.setConfig({ testTimeout: 60_000 });

let setup: PythonSetup;
let postgres: Postgres;
let databases = 0;
const cleanUps: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  setup = await setupPython();
  postgres = await startPostgres({ pgBin: setup.pgBin });
}, 180_000);
afterAll(() => postgres.stop(), 30_000);
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

const sql = (environment: Record<string, string>, text: string) => sqlWith(setup.pgBin, environment, text);

async function freshDatabase(): Promise<Record<string, string>> {
  const name = `test_${++databases}`;
  await postgres.createDatabase(name);
  return { PATH: process.env['PATH'] ?? '', PGDATABASE: name, ...postgres.env };
}

function migratorOf(environment: Record<string, string>, more: Partial<DjangoOptions> = {}): Migrator {
  const migrator = createDjangoMigrator({
    directory,
    python: setup.python,
    environment,
    deployment: 'test',
    holder: 'run 1',
    log: silentLog,
    ...more,
  });
  cleanUps.push(() => migrator.close());
  return migrator;
}

/** A transaction that stays open, as a forgotten psql does. Resolves when it has run the text. */
async function openTransaction(
  environment: Record<string, string>,
  text: string,
): Promise<() => Promise<void>> {
  const child = spawn(join(setup.pgBin, 'psql'), ['-XAtq'], {
    env: environment,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdin.write(`BEGIN; ${text};\n\\echo open\n`);
  await once(createInterface({ input: child.stdout }), 'line');
  const end = async () => {
    if (child.exitCode !== null) return;
    child.stdin.end();
    await once(child, 'close');
  };
  cleanUps.push(end);
  return end;
}

function statesIn(error: DeployError): Record<string, string> {
  if (!(error instanceof MigrationError)) throw error;
  return Object.fromEntries(error.states.map(({ app, name, state }) => [`${app}.${name}`, state]));
}

const namesIn = (plan: Plan) => plan.migrations.map(({ app, name }) => `${app}.${name}`);

describe('a plan', () => {
  test('tells database, order, SQL, operations and the way back, and goes forward and back', async () => {
    const environment = await freshDatabase();
    const migrator = migratorOf(environment);
    const plan = await migrator.plan(never, shop);

    expect(plan.database).toMatchObject({
      host: '127.0.0.1',
      port: postgres.port,
      name: environment['PGDATABASE'],
    });
    expect(namesIn(plan)).toEqual(['shop.0001_initial', 'shop.0002_price', 'shop.0003_longer_name']);
    const [, price, longer] = plan.migrations;
    expect(price?.sql).toContain('ALTER TABLE "shop_item" ADD COLUMN "price" integer NULL');
    expect(price?.operations.map(({ kind, line, reversible }) => [kind, line, reversible])).toEqual([
      ['AddField', 12, true],
      ['RunPython', 13, true],
    ]);
    expect(price?.file).toBe('shop/migrations/0002_price.py');
    expect(longer?.operations[0]?.alters).toMatchObject({ from: 'varchar(50)', to: 'varchar(100)' });
    expect(plan.reverse).toEqual({
      possible: true,
      steps: [
        {
          app: 'shop',
          name: 'zero',
          unapplies: ['shop.0003_longer_name', 'shop.0002_price', 'shop.0001_initial'],
        },
      ],
    });
    expect(JSON.stringify(plan)).not.toContain(postgres.env['PGPASSWORD']);

    const applied = await migrator.apply(plan, { signal: never });
    expect(applied.states.map(({ state }) => state)).toEqual(['applied', 'applied', 'applied']);
    await migrator.verify(plan, never);
    expect(await sql(environment, 'SELECT count(*) FROM shop_item')).toBe('500');
    expect((await migrator.plan(never, shop)).migrations).toEqual([]);

    const back = await migrator.reverse(plan, { signal: never });
    expect(back.states.map(({ state }) => state)).toEqual(['not-applied', 'not-applied', 'not-applied']);
    expect(await sql(environment, "SELECT to_regclass('shop_item') IS NULL")).toBe('t');
    expect((await failure(migrator.verify(plan, never))).reasonCode).toBe('verify_failed');
  });

  test('has the same hash for the same database and another one for another', async () => {
    const environment = await freshDatabase();
    const first = await migratorOf(environment).plan(never, shop);
    const again = await migratorOf(environment).plan(never, shop);
    const other = await migratorOf(await freshDatabase()).plan(never, shop);
    expect(again.hash).toBe(first.hash);
    expect(other.hash).not.toBe(first.hash);
  });

  test('is refused when it is not what would be applied now', async () => {
    const environment = await freshDatabase();
    const migrator = migratorOf(environment);
    const plan = await migrator.plan(never, shop);
    await migrator.apply(await migrator.plan(never, [{ app: 'shop', name: '0001' }]), { signal: never });
    const error = await failure(migrator.apply(plan, { signal: never }));
    expect(error.reasonCode).toBe('plan_changed');
    expect(error.message).toContain('now it is shop.0002_price, shop.0003_longer_name');
    expect(await sql(environment, 'SELECT count(*) FROM django_migrations')).toBe('1');
  });

  test('refuses targets that lie behind or do not exist', async () => {
    const environment = await freshDatabase();
    const migrator = migratorOf(environment);
    await migrator.apply(await migrator.plan(never, shop), { signal: never });
    expect(await failure(migrator.plan(never, [{ app: 'shop', name: '0001' }]))).toMatchObject({
      reasonCode: 'invalid_input',
    });
    const unknown = await failure(migrator.plan(never, [{ app: 'shop', name: '0009' }]));
    expect(unknown.reasonCode).toBe('not_found');
    expect(unknown.message).toContain('0001_initial, 0002_price');
  });

  test('says what cannot be taken back, and reverse refuses', async () => {
    const migrator = migratorOf(await freshDatabase());
    const plan = await migrator.plan(never, [{ app: 'oneway' }]);
    expect(plan.reverse).toMatchObject({ possible: false });
    expect(plan.migrations[0]?.findings.map(({ rule }) => rule)).toEqual(['irreversible-code']);
    await migrator.apply(plan, { signal: never });
    expect((await failure(migrator.reverse(plan, { signal: never }))).reasonCode).toBe('unsupported');
  });

  test('is not taken back over a migration that came later', async () => {
    const migrator = migratorOf(await freshDatabase());
    const first = await migrator.plan(never, [{ app: 'shop', name: '0001' }]);
    await migrator.apply(first, { signal: never });
    await migrator.apply(await migrator.plan(never, [{ app: 'odd', name: '0001' }]), { signal: never });
    const error = await failure(migrator.reverse(first, { signal: never }));
    expect(error.reasonCode).toBe('plan_changed');
    expect(error.message).toContain('odd.0001_initial');
  });
});

describe('a failure', () => {
  test('without a transaction leaves a partly applied migration, and verify sees the invalid index', async () => {
    const environment = await freshDatabase();
    const migrator = migratorOf(environment);
    const plan = await migrator.plan(never, [{ app: 'odd' }]);
    const error = await failure(migrator.apply(plan, { signal: never }));
    expect(error.reasonCode).toBe('migration_failed');
    expect(statesIn(error)).toEqual({
      'shop.0001_initial': 'applied',
      'odd.0001_initial': 'applied',
      'odd.0002_fails_half_way': 'partly',
    });
    expect(error.message).toMatch(/1 of 3 operations are done; invalid indexes: public\.odd_entry_code/);
    expect((await migrator.status(never)).invalidIndexes).toEqual(['public.odd_entry_code']);
    expect((await failure(migrator.verify(plan, never))).message).toContain(
      'public.odd_entry_code is invalid',
    );
  });

  test('on a table lock in a transaction is tried again until the lock is free', async () => {
    const environment = await freshDatabase();
    const warnings: string[] = [];
    const log: Log = { ...silentLog, warning: (message) => warnings.push(message) };
    const migrator = migratorOf(environment, { lockTimeout: 200, retryDelay: 100, retries: 20, log });
    await migrator.apply(await migrator.plan(never, [{ app: 'shop', name: '0001' }]), { signal: never });
    const end = await openTransaction(environment, 'SELECT * FROM shop_item');
    const applying = migrator.apply(await migrator.plan(never, shop), { signal: never });
    while (warnings.length === 0) await delay(20);
    await end();
    expect((await applying).retries).toBeGreaterThan(0);
    expect(warnings[0]).toContain('shop.0002_price could not get a lock');
  });

  test('on a table lock that is never free ends as migration_locked', async () => {
    const environment = await freshDatabase();
    const migrator = migratorOf(environment, { lockTimeout: 100, retryDelay: 10, retries: 1 });
    await migrator.apply(await migrator.plan(never, [{ app: 'shop', name: '0001' }]), { signal: never });
    await openTransaction(environment, 'SELECT * FROM shop_item');
    const error = await failure(migrator.apply(await migrator.plan(never, shop), { signal: never }));
    expect(error.reasonCode).toBe('migration_locked');
    expect(statesIn(error)).toEqual({
      'shop.0002_price': 'not-applied',
      'shop.0003_longer_name': 'not-applied',
    });
  });

  test('on a lock without a transaction is not tried again', async () => {
    const environment = await freshDatabase();
    const warnings: string[] = [];
    const log: Log = { ...silentLog, warning: (message) => warnings.push(message) };
    const migrator = migratorOf(environment, { lockTimeout: 100, retryDelay: 10, log });
    await migrator.apply(await migrator.plan(never, [{ app: 'odd', name: '0001' }]), { signal: never });
    await openTransaction(environment, 'SELECT * FROM odd_entry');
    const error = await failure(
      migrator.apply(await migrator.plan(never, [{ app: 'odd' }]), { signal: never }),
    );
    expect(error.reasonCode).toBe('migration_locked');
    expect(statesIn(error)).toEqual({ 'odd.0002_fails_half_way': 'partly' });
    expect(error.message).toContain('0 of 3 operations');
    expect(warnings).toEqual([]);
  });

  const sleeping =
    "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep%'";
  async function untilSleeping(environment: Record<string, string>): Promise<void> {
    while ((await sql(environment, sleeping)) !== '1') await delay(50);
  }

  test('by cancellation stops the statement on the server and tells the state', async () => {
    const environment = await freshDatabase();
    const migrator = migratorOf(environment);
    const plan = await migrator.plan(never, [{ app: 'slow' }]);
    const stop = new AbortController();
    const applying = failure(migrator.apply(plan, { signal: stop.signal }));
    await untilSleeping(environment);
    const begin = performance.now();
    stop.abort();
    const error = await applying;
    expect(error.reasonCode).toBe('cancelled');
    expect(performance.now() - begin).toBeLessThan(5_000);
    expect(statesIn(error)).toEqual({ 'slow.0001_initial': 'not-applied' });
    expect(await sql(environment, sleeping)).toBe('0');
    expect(await sql(environment, "SELECT to_regclass('slow_trace') IS NULL")).toBe('t');
  });

  test('by the limit is a timeout', async () => {
    const migrator = migratorOf(await freshDatabase());
    const plan = await migrator.plan(never, [{ app: 'slow' }]);
    const error = await failure(migrator.apply(plan, { signal: never, limit: 2_000 }));
    expect(error.reasonCode).toBe('timeout');
    expect(statesIn(error)).toEqual({ 'slow.0001_initial': 'not-applied' });
  });

  test('of the lock stops the migration', async () => {
    const environment = await freshDatabase();
    const migrator = migratorOf(environment);
    const plan = await migrator.plan(never, [{ app: 'slow' }]);
    const applying = failure(migrator.apply(plan, { signal: never }));
    await untilSleeping(environment);
    await sql(
      environment,
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'deploy-actions run 1'",
    );
    const error = await applying;
    expect(error.reasonCode).toBe('lock_lost');
    expect(await sql(environment, sleeping)).toBe('0');
  });

  test('of the whole run frees the lock and ends the migration', async () => {
    const environment = await freshDatabase();
    const script = `
      import { createDjangoMigrator } from ${JSON.stringify(join(import.meta.dirname, 'index.ts'))};
      import { silentLog } from ${JSON.stringify(join(import.meta.dirname, '../../core/index.ts'))};
      const options = JSON.parse(process.env.OPTIONS);
      const migrator = createDjangoMigrator({ ...options, log: silentLog });
      const signal = new AbortController().signal;
      await migrator.apply(await migrator.plan(signal, [{ app: 'slow' }]), { signal });`;
    const options = { directory, python: setup.python, environment, deployment: 'test', holder: 'run 0' };
    const child: ChildProcess = spawn(process.execPath, ['--input-type=module', '-e', script], {
      env: { ...process.env, OPTIONS: JSON.stringify(options) },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const ended = once(child, 'exit');
    await Promise.race([
      untilSleeping(environment),
      ended.then(() => Promise.reject(new Error('the run ended by itself'))),
    ]);
    child.kill('SIGKILL');
    const migrator = migratorOf(environment, { lockWait: 10_000 });
    await migrator.apply(await migrator.plan(never, shop), { signal: never });
    expect(await sql(environment, sleeping)).toBe('0');
  });
});

describe('the lock', () => {
  test('lets one of two migrate and tells the other who it is', async () => {
    const environment = await freshDatabase();
    const [first, second] = [migratorOf(environment), migratorOf(environment, { holder: 'run 2' })];
    const plan = await first.plan(never, shop);
    const started = Promise.withResolvers<void>();
    const mayGoOn = Promise.withResolvers<void>();
    const applying = first.apply(plan, {
      signal: never,
      beforeWrite: () => {
        started.resolve();
        return mayGoOn.promise;
      },
    });
    await started.promise;
    const error = await failure(second.apply(plan, { signal: never }));
    expect(error.reasonCode).toBe('migration_locked');
    expect(error.message).toContain('"deploy-actions run 1" (user helpdesk, server process ');
    mayGoOn.resolve();
    await applying;
    expect((await failure(second.apply(plan, { signal: never }))).reasonCode).toBe('plan_changed');
  });

  test('is freed, and nothing is written, when what comes before the first write fails', async () => {
    const environment = await freshDatabase();
    const migrator = migratorOf(environment);
    const plan = await migrator.plan(never, shop);
    const refused = new DeployError('backup_failed', 'no backup');
    const beforeWrite = () => Promise.reject(refused);
    expect(await failure(migrator.apply(plan, { signal: never, beforeWrite }))).toBe(refused);
    expect(await sql(environment, "SELECT to_regclass('django_migrations') IS NULL")).toBe('t');
    await migrator.apply(plan, { signal: never });
  });

  test('of the environment is checked before the write', async () => {
    const environment = await freshDatabase();
    const migrator = migratorOf(environment);
    const fence = { token: 1, check: () => Promise.reject(new DeployError('lock_lost', 'taken over')) };
    const plan = await migrator.plan(never, shop);
    expect((await failure(migrator.apply(plan, { signal: never, fence }))).reasonCode).toBe('lock_lost');
    expect(await sql(environment, "SELECT to_regclass('django_migrations') IS NULL")).toBe('t');
  });
});

describe('what stands in the way is told', () => {
  const cases: [string, Partial<DjangoOptions>, Record<string, string>, string, RegExp][] = [
    ['no Python', { python: '/nowhere/python' }, {}, 'not_found', /\/nowhere\/python cannot be started/],
    ['no manage.py', { manage: 'other.py' }, {}, 'not_found', /There is no .*project\/other\.py/],
    [
      'settings that cannot be imported',
      { settings: 'broken' },
      {},
      'command_failed',
      /No module named 'package_that_is_not_there' \(.*project\/broken\.py:2\)/,
    ],
    ['no server', {}, { PGPORT: '1' }, 'unreachable', /cannot be reached/],
    [
      'a wrong password',
      {},
      { PGPASSWORD: 'hunter2-wrong' },
      'permission_denied',
      /password authentication failed/,
    ],
    ['no such database', {}, { PGDATABASE: 'nowhere' }, 'not_found', /"nowhere" does not exist/],
    ['another kind of database', { settings: 'lite' }, {}, 'unsupported', /only PostgreSQL/],
    ['an unknown alias', { database: 'other' }, {}, 'invalid_input', /they have: default/],
  ];
  test.each(cases)('%s', async (_name, options, variables, reasonCode, message) => {
    const environment: Record<string, string> = {
      PATH: process.env['PATH'] ?? '',
      PGDATABASE: 'postgres',
      ...postgres.env,
      ...variables,
    };
    const error = await failure(migratorOf(environment, options).status(never));
    expect(error.message).toMatch(message);
    expect(error.reasonCode).toBe(reasonCode);
    expect([error.message, ...error.details].join('\n')).not.toContain(environment['PGPASSWORD']);
  });

  test('a Python without Django', async () => {
    const base = dirname(await resolveBase(setup.python));
    const error = await failure(
      migratorOf(
        { PATH: '', ...postgres.env, PYTHONNOUSERSITE: '1' },
        { python: join(base, 'python3') },
      ).status(never),
    );
    expect(error.message).toMatch(/Django is not installed for /);
  });

  async function resolveBase(python: string): Promise<string> {
    const { stdout } = await runProcess({
      command: [python, '-c', 'import os, sys; print(os.path.join(sys.base_prefix, "bin", "python3"))'],
      env: {},
      signal: never,
      timeout: 10_000,
    });
    return stdout.trim();
  }
});
