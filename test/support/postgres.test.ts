import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { expect, onTestFinished, test } from 'vitest';

import { startPostgres } from './postgres.ts';

const run = promisify(execFile);

test(
  'starts a server that wants the password, and removes it with its data',
  { timeout: 120_000 },
  async () => {
    const parent = await mkdtemp(join(tmpdir(), 'postgres-test-'));
    onTestFinished(() => rm(parent, { recursive: true, force: true }));
    await chmod(parent, 0o711);
    const dataDir = join(parent, 'data');
    const postgres = await startPostgres({ dataDir });
    try {
      const psql = join(postgres.pgBin, 'psql');
      const url = await postgres.createDatabase('one & two');
      expect(new URL(url)).toMatchObject({ port: postgres.env['PGPORT'], pathname: '/one%20%26%20two' });
      const env = { ...process.env, ...postgres.env };
      const { stdout } = await run(
        psql,
        ['-XAt', '-d', 'one & two', '-c', 'SELECT current_database(), version()'],
        { env },
      );
      expect(stdout).toMatch(/^one & two\|PostgreSQL 18\./);
      const wrong = run(psql, ['-Xw', '-d', 'postgres', '-c', 'SELECT 1'], {
        env: { ...env, PGPASSWORD: 'wrong' },
      });
      await expect(wrong).rejects.toThrow(/password authentication failed/);
      const processes = await run('ps', ['-eo', 'args']);
      expect(processes.stdout).not.toContain(postgres.env['PGPASSWORD']);
    } finally {
      await postgres.stop();
    }
    await postgres.stop();
    expect(await readdir(parent)).toEqual([]);
    expect(() => process.kill(postgres.pid, 0)).toThrow(/ESRCH/);
  },
);

test('leaves a folder alone that is not empty', { timeout: 120_000 }, async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'postgres-test-'));
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }));
  await writeFile(join(dataDir, 'precious'), '');
  await expect(startPostgres({ dataDir })).rejects.toThrow(/is not empty/);
  expect(await readdir(dataDir)).toEqual(['precious']);
});
