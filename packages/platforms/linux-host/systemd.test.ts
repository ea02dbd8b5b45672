import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DeployError } from '@deploy-actions/core';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Launch } from './supervisor.ts';
import { environmentFileText, unitText } from './systemd.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'systemd-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const launch = (changes: Partial<Launch> = {}): Launch => ({
  slot: 'blue',
  id: 1,
  marker: 'state:blue:1:x',
  version: '1.2.3',
  program: '/bin/echo',
  arguments: ['--bind', '127.0.0.1:8001'],
  directory: '/srv/app',
  environment: {},
  logFile: '/var/lib/app/slots/blue/1.log',
  stopTimeout: 30_000,
  ...changes,
});

/** What systemd says about a unit. Fails where it cannot be asked: the test would otherwise pass without testing. */
async function verify(text: string): Promise<{ status: number | null; output: string }> {
  const file = join(folder, 'deploy-actions-test-blue-1.service');
  await writeFile(file, text);
  const { status, stderr, stdout, error } = spawnSync('systemd-analyze', ['verify', '--man=no', file], {
    encoding: 'utf8',
  });
  if (error !== undefined) {
    throw new Error('systemd-analyze is needed for this test; it comes with the package systemd.', {
      cause: error,
    });
  }
  // Units of the machine that are looked at along the way may have faults of their own.
  const lines = `${stdout}${stderr}`.split('\n').filter((line) => line.includes('deploy-actions-test'));
  return { status, output: lines.join('\n') };
}

describe('unitText', () => {
  it('is the text of a service', () => {
    expect(unitText(launch(), '/var/lib/app/systemd/unit.env', 'multi-user.target')).toBe(`[Unit]
Description=deploy-actions blue 1: 1.2.3
After=network.target

[Service]
Type=exec
ExecStart="/bin/echo" "--bind" "127.0.0.1:8001"
WorkingDirectory=/srv/app
EnvironmentFile=/var/lib/app/systemd/unit.env
StandardOutput=append:/var/lib/app/slots/blue/1.log
StandardError=inherit
KillMode=mixed
TimeoutStopSec=30000ms
Restart=on-failure
RestartSec=1s

[Install]
WantedBy=multi-user.target
`);
  });

  it.each([
    ['a b', '"a b"'],
    ['', '""'],
    [';', '";"'],
    ['100%', '"100%%"'],
    ['%n %%', '"%%n %%%%"'],
    ['$HOME ${HOME} $$', '"$$HOME $${HOME} $$$$"'],
    ['say "hi"', '"say \\"hi\\""'],
    ['C:\\new\\', '"C:\\\\new\\\\"'],
    ["it's", '"it\'s"'],
    ['two\nlines\tand\x7f', '"two\\x0alines\\x09and\\x7f"'],
    ['日本 é', '"日本 é"'],
  ])('quotes the argument %j', async (argument, quoted) => {
    const text = unitText(launch({ arguments: [argument] }), '/etc/unit.env', 'multi-user.target');
    expect(text).toContain(`ExecStart="/bin/echo" ${quoted}\n`);
    expect(await verify(text)).toEqual({ status: 0, output: '' });
  });

  it('names paths with spaces and percent signs, and a program with a dollar sign', async () => {
    const program = join(folder, 'a 5% $program');
    await writeFile(program, '', { mode: 0o755 });
    const text = unitText(
      launch({ program, directory: '/srv/100% app', logFile: '/var/a b/1.log', version: 'x\\\n%h' }),
      '/var/a %b/unit.env',
      'multi-user.target',
    );
    expect(text).toContain('/a 5%% $program"');
    expect(text).toContain('WorkingDirectory=/srv/100%% app\n');
    expect(text).toContain('EnvironmentFile=/var/a %%b/unit.env\n');
    expect(text).toContain('Description=deploy-actions blue 1: x h\n');
    expect(await verify(text)).toEqual({ status: 0, output: '' });
  });

  it('is one that systemd would complain about when it is wrong', async () => {
    const text = unitText(launch(), '/etc/unit.env', 'multi-user.target');
    for (const wrong of [
      text.replace('"--bind"', '"--bind'),
      text.replace('KillMode=mixed', 'KillMode=some'),
      text.replace('WorkingDirectory=/', 'WorkingDirectory='),
      text.replace('/bin/echo', '/no/such/program'),
    ]) {
      expect((await verify(wrong)).output).not.toBe('');
    }
  });

  it.each(['/srv/app ', '/srv/app\\', '/srv/a\nb'])('refuses the path %j', (directory) => {
    expect(() => unitText(launch({ directory }), '/etc/unit.env', 'multi-user.target')).toThrow(DeployError);
  });

  it('never waits forever for a stop', () => {
    expect(unitText(launch({ stopTimeout: 0 }), '/etc/unit.env', 'x.target')).toContain(
      'TimeoutStopSec=1ms\n',
    );
  });
});

describe('environmentFileText', () => {
  it('means the same values to a shell, whose quoting systemd follows', async () => {
    const file = join(folder, 'unit.env');
    const value = fc.string({ unit: 'grapheme' }).filter((text) => !/[\0\r]/.test(text));
    const values = fc.array(
      fc.oneof(value, fc.constantFrom('a"b', 'a\\', '$HOME', '`id`', "it's", 'a\nb=c', ' # x')),
      {
        minLength: 20,
        maxLength: 20,
      },
    );
    for (const sample of fc.sample(values, { numRuns: 10, seed: 7 })) {
      const environment = Object.fromEntries(sample.map((text, at) => [`V${at}`, text]));
      await writeFile(file, environmentFileText(environment));
      const printed = execFileSync(
        '/bin/sh',
        ['-c', '. "$0"; for n in $(seq 0 19); do eval "printf \'%s\\0\' \\"\\$V$n\\""; done', file],
        {
          encoding: 'utf8',
          env: { PATH: process.env['PATH'] },
        },
      );
      expect(printed.split('\0').slice(0, -1)).toEqual(sample);
    }
  });
});
