import { mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog } from '@deploy-actions/core';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { startPostgres, type Postgres } from '../../test/support/postgres.ts';
import { backUp, type BackupOptions } from './backup.ts';
import { failure, sqlWith } from './testdata/support.ts';

vi.setConfig({ testTimeout: 30_000 });

let postgres: Postgres;
const folders: string[] = [];

beforeAll(async () => {
  postgres = await startPostgres();
  await postgres.createDatabase('shop');
  await sqlWith(
    postgres.pgBin,
    { ...postgres.env, PGDATABASE: 'shop' },
    `CREATE TABLE shop_item (id integer PRIMARY KEY, name text);
     CREATE TABLE shop_order (id integer PRIMARY KEY);
     INSERT INTO shop_item SELECT number, md5(number::text) FROM generate_series(1, 500) number;`,
  );
}, 180_000);
afterAll(() => postgres.stop(), 30_000);
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

async function prepared(): Promise<BackupOptions> {
  const folder = await mkdtemp(join(tmpdir(), 'backup-'));
  folders.push(folder);
  return {
    connection: { ...postgres.env, PGDATABASE: 'shop' },
    directory: folder,
    name: 'test.dump',
    postgresBin: postgres.pgBin,
    environment: { PATH: process.env['PATH'] ?? '' },
    verify: 'list',
    signal: new AbortController().signal,
    log: silentLog,
  };
}

/** The programs with one replaced by a script that gets the real one's path as $REAL. */
async function withProgram(options: BackupOptions, program: string, script: string): Promise<BackupOptions> {
  const folder = join(options.directory, 'bin');
  await mkdir(folder);
  for (const name of ['pg_dump', 'pg_restore', 'psql']) {
    if (name !== program) await symlink(join(postgres.pgBin, name), join(folder, name));
  }
  const text = `#!/bin/sh\nREAL=${join(postgres.pgBin, program)}\n${script}\n`;
  await writeFile(join(folder, program), text, { mode: 0o755 });
  return { ...options, postgresBin: folder };
}

describe('a backup', () => {
  test('is a private file whose list, digest and restored rows are proven', async () => {
    const options = await prepared();
    const backup = await backUp({ ...options, verify: 'restore' });
    expect(backup.tables).toEqual(['public.shop_item', 'public.shop_order']);
    expect(backup.rows).toEqual({ 'public.shop_item': 500, 'public.shop_order': 0 });
    expect((await stat(backup.file)).mode & 0o777).toBe(0o600);
    expect(backup.bytes).toBe((await readFile(backup.file)).length);
    expect(backup.sha256).toMatch(/^[0-9a-f]{64}$/);
    const left = await sqlWith(
      postgres.pgBin,
      options.connection,
      "SELECT count(*) FROM pg_database WHERE datname LIKE 'deploy_actions_verify_%'",
    );
    expect(left).toBe('0');
  });

  const scripts: [string, string, string, RegExp][] = [
    ['a full disk', 'pg_dump', 'ulimit -f 2; exec "$REAL" "$@"', /pg_dump ended with/],
    [
      'a truncated dump',
      'pg_dump',
      'for last; do :; done; "$REAL" "$@" && [ -f "$last" ] && truncate -s -200 "$last" || true',
      /pg_restore ended with/,
    ],
    ['an empty dump', 'pg_dump', 'case "$1" in --version) exec "$REAL" "$@";; esac', /empty file/],
    [
      'an old pg_dump',
      'pg_dump',
      'echo "pg_dump (PostgreSQL) 12.3"',
      /version 12, older than the server, version 18/,
    ],
    [
      'a dump without a table',
      'pg_dump',
      'case "$1" in --version) exec "$REAL" "$@";; esac; exec "$REAL" --exclude-table=shop_item "$@"',
      /lacks the tables public shop_item/,
    ],
  ];
  test.each(scripts)('fails on %s and leaves no file', async (_name, program, script, message) => {
    const options = await withProgram(await prepared(), program, script);
    const error = await failure(backUp(options));
    expect(error.message).toMatch(message);
    expect(error.reasonCode).toBe('backup_failed');
    expect(await readdir(options.directory)).toEqual(['bin']);
  });

  test('does not name the password when it is wrong', async () => {
    const options = await prepared();
    const connection = { ...options.connection, PGPASSWORD: 'wrong-as-can-be' };
    const error = await failure(backUp({ ...options, connection }));
    expect(error.message).toContain('password authentication failed');
    expect([error.message, ...error.details].join()).not.toContain('wrong-as-can-be');
  });

  test('that is cancelled leaves no file', async () => {
    const options = await withProgram(
      await prepared(),
      'pg_dump',
      'case "$1" in --version) exec "$REAL" "$@";; esac; sleep 20',
    );
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 500);
    const error = await failure(backUp({ ...options, signal: stop.signal }));
    expect(error.reasonCode).toBe('cancelled');
    expect(await readdir(options.directory)).toEqual(['bin']);
  });

  test('fails without the programs or the space, before anything', async () => {
    const options = await prepared();
    expect(await failure(backUp({ ...options, postgresBin: '/nowhere' }))).toMatchObject({
      reasonCode: 'backup_failed',
    });
    const error = await failure(backUp({ ...options, requiredBytes: Number.MAX_SAFE_INTEGER }));
    expect(error.message).toMatch(/free; the dump may take/);
  });

  test('that restores other rows than were dumped is refused', async () => {
    const options = await withProgram(
      await prepared(),
      'pg_restore',
      'case "$*" in *exit-on-error*) "$REAL" "$@" && for word; do case "$word" in deploy_*) PGDATABASE="$word" ' +
        `${join('"$(dirname "$REAL")"', 'psql')} -qc "DELETE FROM shop_item WHERE id = 7";; esac; done;; *) exec "$REAL" "$@";; esac`,
    );
    const error = await failure(backUp({ ...options, verify: 'restore' }));
    expect(error.message).toContain('public.shop_item (500 rows, restored 499)');
  });
});
