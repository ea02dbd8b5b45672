import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { createFileStore } from './file-store.ts';
import { storeConformance } from './store-conformance.ts';

const storeModule = new URL('./file-store.ts', import.meta.url).href;
const crash = new URL('../../test/support/crash.mjs', import.meta.url).href;

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'file-store-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** Runs a script in a process of its own, with `store` at hand; it begins when its standard input is closed. */
function inProcess(script: string, options: { env?: NodeJS.ProcessEnv; imports?: string[] } = {}) {
  const source = `
    import { createFileStore } from ${JSON.stringify(storeModule)};
    const store = createFileStore(${JSON.stringify(directory)});
    for await (const _ of process.stdin);
    ${script}`;
  const child = spawn(
    process.execPath,
    [
      ...(options.imports ?? []).flatMap((module) => ['--import', module]),
      '--input-type=module',
      '-e',
      source,
    ],
    { env: { ...process.env, ...options.env }, stdio: 'pipe' },
  );
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = new Promise<Ended>((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  return { begin: () => child.stdin.end(), ended };
}

const pathOf = (key: string, version: number) =>
  join(directory, key, `${String(version).padStart(10, '0')}.json`);

storeConformance('file-store', () => {
  let stores = 0;
  return {
    fresh: () => join(directory, `store-${(stores += 1)}`),
    open: (place) => createFileStore(place),
  };
});

describe('compare-and-swap', () => {
  it('lets exactly one of twenty racing processes win each version and loses none', async () => {
    const rounds = 3;
    const racers = Array.from({ length: 20 }, (_, racer) =>
      inProcess(`
        const won = [];
        while (won.length < ${rounds}) {
          const { value, version } = await store.read('race');
          const list = value ?? [];
          try {
            won.push(await store.write('race', [...list, '${racer}.' + won.length], version));
          } catch (thrown) {
            if (thrown.reasonCode !== 'state_conflict') throw thrown;
          }
        }
        console.log(JSON.stringify(won));`),
    );
    for (const racer of racers) racer.begin();
    const results = await Promise.all(racers.map(({ ended }) => ended));
    expect(results.map(({ stderr }) => stderr).join('')).toBe('');
    const won = results.flatMap(({ stdout }) => JSON.parse(stdout) as number[]);
    expect(won.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 * rounds }, (_, at) => at + 1));
    // Every document was built on the one before it, so the last one has all of them.
    const { value, version } = await createFileStore(directory).read('race');
    expect(version).toBe(20 * rounds);
    expect(new Set(value as string[]).size).toBe(20 * rounds);
  }, 120_000);
});

describe('history', { timeout: 120_000 }, () => {
  it('keeps the last 64 versions before the current one', async () => {
    const store = createFileStore(directory);
    for (let version = 0; version < 70; version++) await store.write('journal', version, version);
    const names = (await readdir(join(directory, 'journal'))).toSorted();
    expect(names).toHaveLength(65);
    expect(names.at(-1)).toBe('0000000070.json');
    expect(await store.read('journal')).toEqual({ value: 69, version: 70 });
  });

  it('does not let a writer succeed that slept until its version was removed from history', async () => {
    const store = createFileStore(directory);
    await store.write('journal', 'first', 0);
    // This process stops between its look at the folder and its link: at the first file it opens for writing.
    const sleeper = inProcess(
      `try {
         console.log('wrote ' + await store.write('journal', 'late', 1));
       } catch (thrown) {
         console.log(thrown.reasonCode);
       }`,
      {
        imports: [
          `data:text/javascript,${encodeURIComponent(`
            import fs from 'node:fs';
            import { syncBuiltinESMExports } from 'node:module';
            const link = fs.promises.link;
            fs.promises.link = async (...all) => {
              fs.writeFileSync(${JSON.stringify(join(directory, 'asleep'))}, '');
              while (fs.existsSync(${JSON.stringify(join(directory, 'asleep'))})) await new Promise((r) => setTimeout(r, 5));
              return link(...all);
            };
            syncBuiltinESMExports();`)}`,
        ],
      },
    );
    sleeper.begin();
    await expect
      .poll(
        () =>
          stat(join(directory, 'asleep')).then(
            () => true,
            () => false,
          ),
        { timeout: 10_000 },
      )
      .toBe(true);
    for (let version = 1; version < 68; version++) await store.write('journal', version, version);
    await expect(stat(pathOf('journal', 2))).rejects.toMatchObject({ code: 'ENOENT' });
    await rm(join(directory, 'asleep'));
    expect((await sleeper.ended).stdout.trim()).toBe('state_conflict');
    expect(await store.read('journal')).toEqual({ value: 67, version: 68 });
    expect(await store.write('journal', 'next', 68)).toBe(69);
    await expect(stat(pathOf('journal', 2))).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('a writer killed at any point', () => {
  const script = `
    await store.write('journal', 'one', 0);
    console.log('1');
    await store.write('journal', 'two', 1);
    console.log('2');
    await store.touch('journal', 2);`;
  const values = [null, 'one', 'two'];

  it('leaves a state that can be read and written, and never loses a write it was told of', async () => {
    const log = `${directory}.jsonl`;
    onTestFinished(() => rm(log, { force: true }));
    const whole = inProcess(script, { imports: [crash], env: { CRASH_LOG: log } });
    whole.begin();
    await whole.ended;
    const mutations = (await readFile(log, 'utf8')).trim().split('\n').length;
    expect(mutations).toBeGreaterThan(8);
    const survived = new Set<number>();
    // To die before a change is to die after the one before it.
    const points = [
      { CRASH_AT: '1', CRASH_WHEN: 'before' },
      ...Array.from({ length: mutations }, (_, at) => ({ CRASH_AT: String(at + 1), CRASH_WHEN: 'after' })),
    ];
    for (const env of points) {
      await rm(directory, { recursive: true, force: true });
      const writer = inProcess(script, { imports: [crash], env });
      writer.begin();
      const { signal, stdout } = await writer.ended;
      expect(signal).toBe('SIGKILL');
      const told = Number(stdout.trim().split('\n').at(-1));
      const store = createFileStore(directory);
      const { value, version } = await store.read('journal');
      expect(value).toBe(values[version]);
      expect(version).toBeGreaterThanOrEqual(told);
      expect(version).toBeLessThanOrEqual(told + 1);
      expect(await store.write('journal', 'after', version)).toBe(version + 1);
      survived.add(version);
    }
    expect(survived).toEqual(new Set([0, 1, 2]));
  }, 120_000);

  it('leaves temporary files that are removed after a while', async () => {
    const store = createFileStore(directory);
    await store.write('journal', 'one', 0);
    const old = join(directory, 'journal', 'old.tmp');
    const fresh = join(directory, 'journal', 'fresh.tmp');
    await writeFile(old, '');
    await writeFile(fresh, '');
    const hoursAgo = Date.now() / 1_000 - 7_200;
    await utimes(old, hoursAgo, hoursAgo);
    await store.write('journal', 'two', 1);
    expect(await readdir(join(directory, 'journal'))).toEqual(
      expect.arrayContaining(['0000000001.json', '0000000002.json', 'fresh.tmp']),
    );
    expect(await readdir(join(directory, 'journal'))).not.toContain('old.tmp');
  });
});

describe('age', () => {
  it('counts from the write, and from the last touch of the current version', async () => {
    const store = createFileStore(directory);
    await store.write('lease', 'mine', 0);
    expect(await store.age('lease', 1)).toBeLessThan(5_000);
    const minuteAgo = Date.now() / 1_000 - 60;
    await utimes(pathOf('lease', 1), minuteAgo, minuteAgo);
    expect(await store.age('lease', 1)).toBeGreaterThan(55_000);
    await store.touch('lease', 1);
    expect(await store.age('lease', 1)).toBeLessThan(5_000);
    expect(await store.read('lease')).toEqual({ value: 'mine', version: 1 });
  });

  it('is not renewed for a version that is no longer current', async () => {
    const store = createFileStore(directory);
    await store.write('lease', 'mine', 0);
    await store.write('lease', 'theirs', 1);
    const minuteAgo = Date.now() / 1_000 - 60;
    for (const version of [1, 2]) await utimes(pathOf('lease', version), minuteAgo, minuteAgo);
    await store.touch('lease', 1);
    expect(await store.age('lease', 1)).toBeGreaterThan(55_000);
    expect(await store.age('lease', 2)).toBeGreaterThan(55_000);
  });

  it('is never negative, and unknown for a version that does not exist', async () => {
    const store = createFileStore(directory);
    await store.write('lease', 'mine', 0);
    const ahead = Date.now() / 1_000 + 60;
    await utimes(pathOf('lease', 1), ahead, ahead);
    expect(await store.age('lease', 1)).toBe(0);
    await expect(store.age('lease', 2)).rejects.toMatchObject({ reasonCode: 'state_conflict' });
  });
});

describe('what cannot be used', () => {
  it.each([
    ['', 'is not JSON'],
    ['{"schema":1,"value":', 'is not JSON'],
    ['[]', 'has no schema number'],
    ['{"value":1}', 'has no schema number'],
  ])('names a corrupt file and what to do: %j', async (text, what) => {
    await mkdir(join(directory, 'journal'));
    await writeFile(pathOf('journal', 3), text);
    await expect(createFileStore(directory).read('journal')).rejects.toMatchObject({
      reasonCode: 'state_corrupt',
      message: `${pathOf('journal', 3)} ${what}.`,
      remedy: expect.stringContaining('Move the file away'),
    });
  });

  it('refuses the document of a newer suite', async () => {
    await mkdir(join(directory, 'journal'));
    await writeFile(pathOf('journal', 1), '{"schema":2,"value":{}}');
    await expect(createFileStore(directory).read('journal')).rejects.toMatchObject({
      reasonCode: 'state_too_new',
    });
  });

  it.each(['', '..', 'a/b', 'A', 'a_b', '-a', 'a-', 'a.json', 'ä'])('refuses the key %j', async (key) => {
    const store = createFileStore(join(directory, 'state'));
    await expect(store.read(key)).rejects.toMatchObject({ reasonCode: 'internal' });
    await expect(store.write(key, 1, 0)).rejects.toMatchObject({ reasonCode: 'internal' });
    await expect(stat(join(directory, 'state'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('keeps its files from other users', async () => {
    const store = createFileStore(join(directory, 'state'));
    await store.write('journal', 1, 0);
    const modeOf = async (path: string) => ((await stat(path)).mode & 0o777).toString(8);
    expect(await modeOf(join(directory, 'state'))).toBe('700');
    expect(await modeOf(join(directory, 'state', 'journal'))).toBe('700');
    expect(await modeOf(join(directory, 'state', 'journal', '0000000001.json'))).toBe('600');
    expect(
      JSON.parse(await readFile(join(directory, 'state', 'journal', '0000000001.json'), 'utf8')),
    ).toEqual({
      schema: 1,
      value: 1,
    });
  });
});
