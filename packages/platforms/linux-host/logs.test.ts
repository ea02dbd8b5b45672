import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { redactor, rotateLog, tailOf } from './logs.ts';

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'logs-'));
  file = join(folder, '1.log');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('tailOf', () => {
  it('gives the last lines, without empty ones', async () => {
    await writeFile(file, 'one\n\ntwo\nthree\n');
    expect(await tailOf(file, 2)).toEqual(['two', 'three']);
    expect(await tailOf(file)).toEqual(['one', 'two', 'three']);
  });

  it('gives whole lines of a long log and none of a log that does not exist', async () => {
    await writeFile(file, Array.from({ length: 100_000 }, (_, at) => `line ${at}\n`).join(''));
    expect(await tailOf(file)).toEqual(Array.from({ length: 20 }, (_, at) => `line ${99_980 + at}`));
    expect((await tailOf(file, 1_000_000))[0]).toMatch(/^line \d{5}$/);
    expect(await tailOf(join(folder, 'none'))).toEqual([]);
  });
});

it('rotates one log aside', async () => {
  await rotateLog(file);
  await writeFile(file, 'first');
  await rotateLog(file);
  await writeFile(file, 'second');
  await rotateLog(file);
  expect(await readFile(`${file}.1`, 'utf8')).toBe('second');
});

describe('redactor', () => {
  it('hides secrets by name and passwords in URLs, and leaves the rest', () => {
    const hide = redactor({
      SECRET_KEY: 'abcdef',
      DATABASE_URL: 'postgres://user:p%40ssword@db/app',
      DJANGO_SETTINGS_MODULE: 'helpdesk.settings',
    });
    expect(hide('abcdef p%40ssword p@ssword helpdesk.settings postgres://user:p%40ssword@db/app')).toBe(
      '*** *** *** helpdesk.settings ***',
    );
  });

  it('hides every secret wherever it stands', () => {
    const secret = fc.stringMatching(/^[a-z+$\\.(]{4,12}$/);
    const text = fc.stringMatching(/^[0-9 ]{1,9}$/);
    fc.assert(
      fc.property(secret, secret, text, (one, two, between) => {
        const hide = redactor({ A_TOKEN: one, B_TOKEN: two });
        expect(hide(`${one}${between}${two}${between}${one}`)).toBe(`***${between}***${between}***`);
      }),
    );
  });
});
