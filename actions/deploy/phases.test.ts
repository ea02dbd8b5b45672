import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Outcome } from '@deploy-actions/action-kit';
import { parseConfig } from '@deploy-actions/config';
import { createFileStore } from '@deploy-actions/release-engine';
import { describe, expect, it } from 'vitest';
import { createTestContext } from '../../test/support/context.ts';
import { type Asked, commitOf, type Inputs } from './phase.ts';
import { phases } from './phases.ts';
import { notesOf, watchOf } from './shift.ts';

const given: Inputs = {
  environment: 'production',
  version: '2',
  image: undefined,
  kubeconfig: undefined,
  strategy: 'blue-green',
  'watch-after': 10_000,
  'checks-required': undefined,
  'checks-timeout': 600_000,
  'break-freeze': undefined,
  'notify-on': 'failure',
  'slack-webhook': undefined,
  'webhook-url': undefined,
  'webhook-secret': undefined,
  'prometheus-token': undefined,
  'prometheus-password': undefined,
  'dry-run': false,
  'github-token': undefined,
};

const asked = async (config: string, inputs: Partial<Inputs> = {}): Promise<Asked> => ({
  inputs: { ...given, ...inputs },
  config: await parseConfig(config, 'production'),
});

const host = `
app: helpdesk
platform: linux-host
linux-host: { directory: "/srv/helpdesk/{version}", command: ./serve }
`;
const proxy = `${host}router: { type: embedded-proxy, listen: "127.0.0.1:8080" }\n`;
const nginx = `${host}router: { type: nginx, nginx: { upstream-file: /etc/nginx/helpdesk.conf } }\n`;
const database = 'database: { migrator: django }\n';

async function prepared(config: string, inputs?: Partial<Inputs>) {
  const all = await asked(config, inputs);
  const { context } = createTestContext();
  const made = await Promise.all(
    phases
      .filter((phase) => phase.isWanted(all))
      .map(async (phase) => ({ name: phase.name, made: await phase.prepare(all, context) })),
  );
  const problems = made.flatMap((one) => (Array.isArray(one.made) ? one.made : []));
  const ready = (name: string) => {
    const one = made.find((phase) => phase.name === name)?.made;
    if (one === undefined || Array.isArray(one)) throw new Error(`${name} is not ready`);
    return one;
  };
  return { names: made.map(({ name }) => name), ready, problems: problems.map(({ input }) => input) };
}

const outcome = (more: Partial<Outcome>): Outcome => ({
  ...{ result: 'succeeded', reasonCode: 'ok', message: '', outputs: {}, report: {} },
  ...more,
});

describe('the phases of a deployment', () => {
  it('are those that are asked for, in order', async () => {
    expect((await prepared(proxy + database)).names).toEqual([
      ...['preflight', 'migrate', 'shift', 'watch', 'postflight'],
    ]);
    expect((await prepared(proxy, { 'watch-after': 0 })).names).toEqual(['preflight', 'shift', 'postflight']);
  });

  it('need nothing more than what is there', async () => {
    expect((await prepared(proxy + database)).problems).toEqual([]);
  });

  it('say all that is missing together, before any of them runs', async () => {
    const { problems } = await prepared(
      'app: helpdesk\nhealth: { url: "http://x/", command: x }\ndatabase: { migrator: django, directory: "a\\0b" }',
    );
    expect(problems).toEqual(
      expect.arrayContaining(['platform', 'router', 'directory', 'command', 'directory']),
    );
  });

  it.each([
    ['a canary', '', 'canary'],
    ['a watch with limits', 'analysis: { max-error-rate: 1 }', 'blue-green'],
  ] as const)(
    'find out before traffic moves that there are no figures for %s',
    async (_what, more, strategy) => {
      expect((await prepared(nginx + more, { strategy })).problems).toContain('analysis');
      expect((await prepared(proxy + more, { strategy })).problems).toEqual([]);
    },
  );

  it('judge no limits that nobody asked for', async () => {
    expect((await prepared(nginx)).problems).toEqual([]);
  });
});

describe('the watch', () => {
  it.each([
    ['is left to the phase after the shift', '', {}, { watch: '0' }],
    ['is the shift’s own, too, where that is asked for', 'watch: 5m', {}, {}],
    ['is the shift’s own where the old version is stopped after it', 'keep-previous: false', {}, {}],
    ['is the shift’s own where there is no phase for it', '', { 'watch-after': 0 }, {}],
    ['is that of each weight in a canary', '', { strategy: 'canary' }, {}],
  ] as const)('%s', async (_what, config, inputs, expected) => {
    expect(watchOf(await asked(config, inputs))).toEqual(expected);
  });
});

describe('the preflight', () => {
  it('refuses an environment with a rolling update that is unfinished, before the database is migrated', async () => {
    const state = await mkdtemp(join(tmpdir(), 'preflight-'));
    try {
      const release = { version: '1' };
      await createFileStore(join(state, 'state')).write(
        'journal',
        {
          ...{ id: 'a', strategy: 'rolling', run: { id: '7', url: '', actor: '' }, startedAt: '' },
          ...{ from: null, to: { slot: 'deployment/helpdesk', release }, phase: 'starting' },
        },
        0,
      );
      const { ready } = await prepared(`${proxy}state-directory: ${state}\n`);
      await expect(ready('preflight').run(createTestContext().context, new Map())).rejects.toMatchObject({
        reasonCode: 'unfinished_release',
        message: expect.stringContaining('deployment/helpdesk'),
      });
    } finally {
      await rm(state, { recursive: true });
    }
  });
});

describe('what is done', () => {
  const finding = (severity: string) => ({ report: { findings: [{ severity }] } });

  it.each([
    ['safe', {}, 'The migrations stay: the check of the plan found them safe for the earlier version.'],
    ['safe enough', finding('warning'), 'found them safe'],
    [
      'not safe',
      finding('error'),
      'although the check of the plan says that the earlier version may not work',
    ],
    [
      'backed up',
      { outputs: { 'backup-file': '/backups/1.dump' } },
      'The backup from before is /backups/1.dump.',
    ],
  ])('to the database stays: %s', async (_how, more, words) => {
    const { ready } = await prepared(proxy + database);
    expect(ready('migrate').undo?.(outcome(more))).toMatchObject({
      kind: 'stays',
      why: expect.stringContaining(words),
    });
  });

  it('to the traffic goes back to an earlier version, where there is one', async () => {
    const { undo } = (await prepared(proxy)).ready('shift');
    expect(undo?.(outcome({ outputs: { 'previous-version': '1' } }))).toMatchObject({ kind: 'back' });
    expect(undo?.(outcome({ outputs: { 'previous-version': undefined } }))).toMatchObject({
      kind: 'stays',
      why: '2 keeps the traffic: there is no earlier version to give it back to.',
    });
  });

  it('is nothing in the phases that only look', async () => {
    const { ready } = await prepared(proxy);
    for (const name of ['preflight', 'watch', 'postflight']) expect(ready(name).undo).toBeUndefined();
  });
});

describe('what the ledger is told', () => {
  it('of the database are the migrations of this release', () => {
    const migrations = [
      { app: 'tickets', name: '0004_priority' },
      { app: 'users', name: '0002_email' },
    ];
    expect(notesOf(outcome({ report: { plan: { migrations } } }))).toEqual({
      notes: { migration: 'tickets.0004_priority, users.0002_email' },
    });
    expect(notesOf(outcome({ report: { plan: { migrations: [] } } }))).toEqual({});
    expect(notesOf(undefined)).toEqual({});
  });
});

it('releases the commit that the version names, else that of the run', () => {
  const sha = 'a'.repeat(40);
  expect(commitOf(sha, 'b')).toBe(sha);
  expect(commitOf('1.4.2', 'b')).toBe('b');
});
