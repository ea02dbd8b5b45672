import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createJob, inputVariable, type Job, parseCommand, parseFileCommands } from './runner.ts';

describe('the files of a step', () => {
  it('have lines and heredocs', () => {
    expect(parseFileCommands('a=1\nb=x=y\nc<<EOF_1\none\n\ntwo=2\nEOF_1\nd=\n')).toEqual({
      a: '1',
      b: 'x=y',
      c: 'one\n\ntwo=2',
      d: '',
    });
    expect(parseFileCommands('empty<<E\nE\n')).toEqual({ empty: '' });
    expect(parseFileCommands('')).toEqual({});
  });
  it('are refused as the runner refuses them', () => {
    expect(() => parseFileCommands('a<<EOF\nno end\n')).toThrow('Matching delimiter not found');
    expect(() => parseFileCommands('nothing\n')).toThrow("Invalid format 'nothing'");
  });
});

describe('a command', () => {
  it('has properties and a message, both escaped', () => {
    expect(parseCommand('::error title=A%3A b%2C c,line=3::100%25 sure%0Atwo')).toEqual({
      name: 'error',
      properties: { title: 'A: b, c', line: '3' },
      message: '100% sure\ntwo',
    });
    expect(parseCommand('::add-mask::s3cret')).toEqual({
      name: 'add-mask',
      properties: {},
      message: 's3cret',
    });
  });
  it('begins its line', () => {
    expect(parseCommand('see ::error::x')).toBeUndefined();
    expect(parseCommand('| ::error::x')).toBeUndefined();
  });
});

it('an input is a variable in capitals that keeps its hyphens', () => {
  expect(inputVariable('ready-timeout')).toBe('INPUT_READY-TIMEOUT');
  expect(inputVariable('two words')).toBe('INPUT_TWO_WORDS');
});

const manifest = `
inputs:
  given: { description: x, required: true }
  defaulted: { description: x, default: 5 }
  empty: { description: x }
outputs: { seen: { description: x } }
runs: { using: node24, main: main.mjs, post: post.mjs }
`;

const main = `
import { appendFileSync } from 'node:fs';
const { env } = process;
const write = (file, text) => appendFileSync(env[file], text + '\\n');
write('GITHUB_OUTPUT', 'seen<<E\\n' + JSON.stringify(env) + '\\nE');
write('GITHUB_STATE', 'token-name=DATABASE_URL');
write('GITHUB_ENV', 'LATER=' + env['INPUT_GIVEN']);
write('GITHUB_PATH', '/opt/tool/bin');
write('GITHUB_STEP_SUMMARY', '## hunter2 was here');
console.log('::add-mask::hunter2');
console.log('the password is hunter2, the token is t0ken');
console.log('::warning title=Odd::look at hunter2');
console.log('::debug::only with debug');
console.error('on standard error');
console.log('::stop-commands::pause');
console.log('::error::not a command now');
console.log('::pause::');
const { INPUT_GIVEN: mode } = env;
if (mode === 'fail') process.exitCode = 3;
if (mode === 'wait' || mode === 'deaf') {
  setInterval(() => {}, 1000);
  if (mode === 'deaf') for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => console.log('got ' + name));
  else process.on('SIGINT', () => { console.log('got SIGINT'); process.exit(1); });
  console.log('waiting');
}
if (mode === 'orphan') {
  const { spawn } = await import('node:child_process');
  const lasting = (extra) => spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60000)'], {
    detached: true, stdio: 'ignore', env: { ...env, ...extra } }).unref();
  lasting({});
}
`;
const post = `
console.log('state ' + process.env['STATE_token-name'] + ', given ' + process.env['INPUT_GIVEN']);
`;

describe('a job', () => {
  let dist = '';
  let job: Job;
  beforeAll(async () => {
    dist = await mkdtemp(join(tmpdir(), 'dist-'));
    await mkdir(join(dist, 'probe'));
    await writeFile(join(dist, 'package.json'), '{ "type": "module" }');
    await writeFile(join(dist, 'probe/action.yml'), manifest);
    await writeFile(join(dist, 'probe/main.mjs'), main);
    await writeFile(join(dist, 'probe/post.mjs'), post);
    job = await createJob({ dist, runId: '77', secrets: ['t0ken'], env: { OF_JOB: '1' } });
  });
  afterAll(async () => {
    await job.end();
    await rm(dist, { recursive: true });
  });

  it('gives a step a clean environment with its inputs, and the next one what it exported', async () => {
    process.env['LEAKED_INTO_STEP'] = 'yes';
    const first = await job.step('probe', { given: 'x' }, { env: { OF_STEP: '2' } });
    delete process.env['LEAKED_INTO_STEP'];
    const seen = JSON.parse(first.outputs['seen'] ?? '') as Record<string, string>;
    expect(seen).toMatchObject({
      INPUT_GIVEN: 'x',
      INPUT_DEFAULTED: '5',
      INPUT_EMPTY: '',
      OF_JOB: '1',
      OF_STEP: '2',
      GITHUB_RUN_ID: '77',
      GITHUB_WORKSPACE: job.workspace,
    });
    expect(seen).not.toHaveProperty('LEAKED_INTO_STEP');
    const second = await job.step('probe', { given: 'y' });
    const later = JSON.parse(second.outputs['seen'] ?? '') as Record<string, string>;
    expect(later['LATER']).toBe('x');
    expect(later['PATH']).toMatch(/^\/opt\/tool\/bin:/);
    expect(later).not.toHaveProperty('OF_STEP');
  });

  it('masks, reads annotations, and keeps what was written unmasked apart', async () => {
    const step = await job.step('probe', { given: 'x' });
    expect(step.log).toContain('the password is ***, the token is ***');
    expect(step.log).toContain('on standard error');
    expect(step.log).toContain('::error::not a command now');
    expect(step.log).not.toContain('only with debug');
    expect(step.raw).toContain('the password is hunter2');
    expect(step.raw).not.toContain('add-mask');
    expect(step.summary).toBe('## *** was here\n');
    expect(step.masks).toEqual(['hunter2']);
    expect(step.annotations).toEqual([{ level: 'warning', title: 'Odd', message: 'look at ***' }]);
    const debug = await job.step('probe', { given: 'x' }, { debug: true });
    expect(debug.log).toContain('debug: only with debug');
  });

  it('hands the state to the post step', async () => {
    const step = await job.step('probe', { given: 'x' });
    expect(step.state).toEqual({ 'token-name': 'DATABASE_URL' });
    const after = await job.post(step);
    expect(after).toMatchObject({ exitCode: 0, log: 'state DATABASE_URL, given x' });
  });

  it('reports exit codes and signals', async () => {
    expect(await job.step('probe', { given: 'fail' })).toMatchObject({ exitCode: 3, signal: null });
    const step = await job.start('probe', { given: 'wait' });
    await step.line(/^waiting$/);
    expect(await step.kill()).toMatchObject({ exitCode: null, signal: 'SIGKILL' });
    await expect(step.line(/^never/)).rejects.toThrow('ended without a line');
  });

  it('cancels with SIGINT, and with SIGKILL what does not listen', async () => {
    const [polite, deaf] = await Promise.all([
      job.start('probe', { given: 'wait' }),
      job.start('probe', { given: 'deaf' }),
    ]);
    await Promise.all([polite.line(/^waiting$/), deaf.line(/^waiting$/)]);
    const asked = performance.now();
    const [one, other] = await Promise.all([polite.cancel(), deaf.cancel()]);
    expect(one).toMatchObject({ exitCode: 1, signal: null });
    expect(other.signal).toBe('SIGKILL');
    expect(other.log.split('\n').slice(-2)).toEqual(['got SIGINT', 'got SIGTERM']);
    expect(performance.now() - asked).toBeGreaterThan(9_900);
  }, 20_000);

  it('ends orphans with the job', async () => {
    const other = await createJob({ dist });
    await other.step('probe', { given: 'orphan' });
    expect(await other.end()).toMatchObject([{ command: expect.stringContaining('setTimeout') as string }]);
    expect(await other.end()).toEqual([]);
  });
});
