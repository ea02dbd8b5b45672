import { gunzipSync, gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Fault, faults, type Permissions, presets } from '../../test/support/github/index.ts';
import { type Annotation, writeCheck } from './checks.ts';
import { createReports } from './reporting.ts';
import { brief } from './retry.ts';
import { type Bench, startBench } from './test-support.ts';

let bench: Bench;
let summary: string[];
let annotations: Annotation[];
beforeEach(async () => {
  bench = await startBench();
  summary = [];
  annotations = [];
});
afterEach(() => bench.stop());

function reportsFor(options: { permissions?: Permissions; readOnly?: string; timeout?: number } = {}) {
  const { readOnly, ...connection } = options;
  return createReports({
    github: bench.connect({ patience: brief, ...connection }),
    log: bench.log.log,
    readOnly,
    instead: {
      summary: (markdown) => void summary.push(markdown),
      annotate: (more) => void annotations.push(...more),
    },
    redact: (text) => text.replaceAll('hunter2', '***'),
  });
}

const annotation = (line: number): Annotation => ({
  path: 'app/models.py',
  start_line: line,
  end_line: line,
  annotation_level: 'warning',
  message: `line ${line}`,
});

const marker = '<!-- deploy-actions:scan -->';
const gzip = gzipSync(
  JSON.stringify({
    version: '2.1.0',
    runs: [{ tool: { driver: { name: 'lint' } }, automationDetails: { id: 'lint/image/' }, results: [] }],
  }),
);
const deployment = {
  environment: 'staging',
  description: 'Release 1.2.0',
  transient: false,
  production: false,
  key: '7/1/staging',
  facts: { version: '1.2.0' },
};
const check = (count = 1) => ({
  name: 'migrations',
  sha: bench.double.head,
  key: '7/1/migrations',
  conclusion: 'failure' as const,
  title: '1 unsafe migration',
  summary: 'A table would be locked.',
  annotations: Array.from({ length: count }, (_, at) => annotation(at + 1)),
});

describe('deployments', () => {
  it('say each phase, with where it is served and its log, in order', async () => {
    const handle = reportsFor().deployment({ ...deployment, sha: bench.double.head });
    void handle.status({ state: 'queued', description: 'Waiting for the lease' });
    void handle.status({
      state: 'in_progress',
      description: 'Shifting: 40 %',
      logUrl: 'https://ci.example/7#step:4',
    });
    void handle.status({
      state: 'success',
      description: 'Serving',
      environmentUrl: 'https://staging.example',
    });
    await handle.done();
    const [made] = bench.double.repository.deployments;
    expect(made).toMatchObject({
      id: await handle.created,
      payload: { version: '1.2.0', key: '7/1/staging' },
    });
    expect(
      made?.statuses.map(({ state, description, log_url, environment_url }) => [
        state,
        description,
        log_url,
        environment_url,
      ]),
    ).toEqual([
      ['queued', 'Waiting for the lease', '', ''],
      ['in_progress', 'Shifting: 40 %', 'https://ci.example/7#step:4', ''],
      ['success', 'Serving', '', 'https://staging.example'],
    ]);
  });

  it('do not wait for checks, and make their elders inactive', async () => {
    await reportsFor().check({ ...check(), conclusion: null });
    for (const key of ['1', '2']) {
      const handle = reportsFor().deployment({ ...deployment, key, sha: bench.double.head });
      await handle.status({ state: 'success', description: 'x'.repeat(300) });
    }
    expect(bench.double.repository.deployments.map(({ statuses }) => statuses.at(-1)?.state)).toEqual([
      'inactive',
      'success',
    ]);
    expect(bench.log.of('warning')).toEqual([]);
  });

  it('are made once, whatever happened to the answer', async () => {
    bench.double.inject({ operation: /^POST .*deployments/, nth: 1, fault: faults.cutAfterEffect });
    bench.double.inject({ operation: /^POST .*statuses/, nth: 1, fault: faults.cutAfterEffect });
    const handle = reportsFor().deployment({ ...deployment, sha: bench.double.head });
    await handle.status({ state: 'in_progress', description: 'Starting' });
    expect(bench.double.repository.deployments).toHaveLength(1);
    expect(bench.double.repository.deployments[0]?.statuses).toHaveLength(1);
    expect(bench.log.of('warning')).toEqual([]);
  });
});

describe('checks', () => {
  it('120 annotations take three calls, and the last one concludes', async () => {
    const made = await reportsFor().check(check(120));
    expect(
      bench.double.calls.map(({ operation, body }) => {
        const { status, output } = body as { status: string; output: { annotations: unknown[] } };
        return [operation.split(' ')[0], status, output.annotations.length];
      }),
    ).toEqual([
      ['POST', 'in_progress', 50],
      ['PATCH', 'in_progress', 50],
      ['PATCH', 'completed', 20],
    ]);
    const [run] = bench.double.repository.checkRuns;
    expect(run).toMatchObject({ id: made?.id, conclusion: 'failure', status: 'completed' });
    expect(run?.annotations.map(({ start_line }) => start_line)).toEqual(
      Array.from({ length: 120 }, (_, at) => at + 1),
    );
  });

  it('go on and are concluded later, by the same run', async () => {
    const reports = reportsFor();
    const started = await reports.check({ ...check(0), conclusion: null });
    expect(bench.double.repository.checkRuns[0]).toMatchObject({ status: 'in_progress', conclusion: null });
    await reports.check(check(60), started?.id);
    expect(bench.double.repository.checkRuns).toHaveLength(1);
    expect(bench.double.repository.checkRuns[0]).toMatchObject({ conclusion: 'failure' });
    expect(bench.double.repository.checkRuns[0]?.annotations).toHaveLength(60);
  });

  it.each([1, 2, 3])('have each annotation once when answer %i is lost', async (nth) => {
    bench.double.inject({ operation: /^(?:POST|PATCH) /, nth, fault: faults.cutAfterEffect });
    await reportsFor().check(check(120));
    const [run, ...others] = bench.double.repository.checkRuns;
    expect(others).toEqual([]);
    expect(new Set(run?.annotations.map(({ start_line }) => start_line)).size).toBe(120);
    expect(run?.annotations).toHaveLength(120);
    expect(run?.conclusion).toBe('failure');
  });

  it('are found again behind a newer check of that name', async () => {
    bench.double.inject({ operation: /^POST /, nth: 1, fault: faults.cutAfterEffect });
    const { checkRuns } = bench.double.repository;
    const sleep = async () =>
      void checkRuns.push({ ...checkRuns[0]!, id: 9_000, external_id: '8/1/migrations' });
    const made = await writeCheck(bench.connect({ sleep }), check());
    expect(made.id).toBe(checkRuns[0]?.id);
    expect(checkRuns).toHaveLength(2);
  });

  it('cut what is too long in bytes, and say so', async () => {
    await reportsFor().check({
      ...check(),
      summary: '```\n' + 'é'.repeat(99).concat('\n').repeat(400),
      text: 'ü\n'.repeat(30_000),
    });
    const { summary: text, text: details } = bench.double.repository.checkRuns[0]!.output;
    expect(text).toContain('did not fit');
    expect(text?.match(/```/g)).toHaveLength(2);
    expect(details).toContain('did not fit');
  });
});

describe('comments', () => {
  const write = (body: string, reports = reportsFor()) =>
    reports.comment({ pullRequest: bench.double.repository.pulls[0]!.number, marker, body });

  it('three pushes, one comment', async () => {
    const pull = bench.double.openPull();
    const done = [];
    for (const body of ['first', 'second', 'third']) done.push((await write(body))?.done);
    done.push((await write('third'))?.done);
    expect(done).toEqual(['created', 'updated', 'updated', 'unchanged']);
    expect(bench.double.repository.comments).toMatchObject([
      { issue: pull.number, body: `${marker}\nthird` },
    ]);
  });

  it('never touch what others wrote, even with the same marker', async () => {
    const { number } = bench.double.openPull();
    const mona = { login: 'github-actions', id: 7, type: 'User' as const };
    const at = '2030-01-01T00:00:00Z';
    bench.double.repository.comments.push({
      id: 1,
      issue: number,
      user: mona,
      body: `${marker}\nmine`,
      created_at: at,
      updated_at: at,
    });
    await write('ours');
    expect(bench.double.repository.comments.map(({ body }) => body)).toEqual([
      `${marker}\nmine`,
      `${marker}\nours`,
    ]);
  });

  it('are found behind 250 others, and doubles of runs at the same time are removed', async () => {
    const { number } = bench.double.openPull();
    const comments = bench.double.repository.comments;
    const at = '2030-01-01T00:00:00Z';
    const mona = { login: 'mona', id: 7, type: 'User' as const };
    for (let id = 1; id <= 250; id++)
      comments.push({ id, issue: number, user: mona, body: 'x', created_at: at, updated_at: at });
    await write('one');
    comments.push({ ...comments.at(-1)!, id: 9_000 });
    expect((await write('two'))?.done).toBe('updated');
    expect(comments.filter(({ body }) => body.startsWith(marker)).map(({ body }) => body)).toEqual([
      `${marker}\ntwo`,
    ]);
  });

  it('are made once, whatever happened to the answer, and anew when deleted', async () => {
    bench.double.openPull();
    bench.double.inject({ operation: /^POST .*comments/, nth: 1, fault: faults.cutAfterEffect });
    await write('one');
    expect(bench.double.repository.comments).toHaveLength(1);
    bench.double.behave();
    bench.double.inject({ operation: /^PATCH /, nth: 1, fault: faults.notFound });
    expect((await write('two'))?.done).toBe('created');
  });

  it('fit, whatever is written', async () => {
    bench.double.openPull();
    await write('é '.repeat(20).concat('\n').repeat(5_000));
    expect(bench.double.repository.comments[0]?.body).toContain('did not fit');
  });
});

describe('code scanning', () => {
  const upload = (reports = reportsFor()) =>
    reports.sarif({ gzip, sha: bench.double.head, ref: 'refs/heads/main' });

  it('gets the file and says when it is processed', async () => {
    expect(await upload()).toMatchObject({ state: 'complete' });
    const [analysis] = bench.double.repository.analyses;
    expect(analysis?.runs).toEqual([{ tool: 'lint', category: 'lint/image/', results: 0 }]);
    expect(analysis?.sarif).toEqual(JSON.parse(gunzipSync(gzip).toString()));
  });

  it('that is not switched on is a warning in GitHub’s words', async () => {
    bench.double.repository.codeScanning = false;
    expect(await upload()).toBeUndefined();
    expect(bench.log.of('warning')).toEqual([expect.stringContaining('Advanced Security must be enabled')]);
  });

  it('that does not take the file says why', async () => {
    bench.double.inject({
      operation: /^GET .*sarif_id/,
      fault: {
        kind: 'answer',
        answer: { status: 200, body: { processing_status: 'failed', errors: ['rule 3 is odd'] } },
      },
    });
    expect(await upload()).toBeUndefined();
    expect(bench.log.of('warning')).toEqual([expect.stringContaining('rule 3 is odd')]);
  });
});

describe('a report that fails', () => {
  const every = async (reports = reportsFor()) => {
    const pull = bench.double.repository.pulls[0] ?? bench.double.openPull();
    const handle = reports.deployment({ ...deployment, sha: bench.double.head });
    await handle.status({ state: 'in_progress', description: 'Starting' });
    await handle.done();
    return {
      deployment: await handle.created,
      check: await reports.check(check(60)),
      comment: await reports.comment({ pullRequest: pull.number, marker, body: 'Plan' }),
      sarif: await reports.sarif({ gzip, sha: bench.double.head, ref: 'refs/heads/main' }),
    };
  };
  const operations: Record<string, [string, RegExp]> = {
    'POST /repos/{owner}/{repo}/deployments': ['deployments: write', /the deployment/],
    'POST /repos/{owner}/{repo}/deployments/{deployment_id}/statuses': [
      'deployments: write',
      /the status of the deployment/,
    ],
    'POST /repos/{owner}/{repo}/check-runs': ['checks: write', /the check/],
    'PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}': ['checks: write', /the check/],
    'graphql viewer': ['pull-requests: write', /the comment/],
    'GET /repos/{owner}/{repo}/issues/{issue_number}/comments': ['pull-requests: write', /the comment/],
    'POST /repos/{owner}/{repo}/issues/{issue_number}/comments': ['pull-requests: write', /the comment/],
    'POST /repos/{owner}/{repo}/code-scanning/sarifs': [
      'security-events: write',
      /the analysis for code scanning/,
    ],
    'GET /repos/{owner}/{repo}/code-scanning/sarifs/{sarif_id}': ['security-events: write', /the analysis/],
  };
  const lasting: Record<string, Fault> = {
    '401': faults.badCredentials,
    '403': faults.missingPermission,
    '404': faults.notFound,
    '409': faults.conflict,
    '422': faults.unprocessable,
    '429 for an hour': faults.secondaryLimit(429, 3_600),
    '503 throughout': faults.unavailable,
    'cut throughout': faults.cut,
  };
  const cases = Object.entries(operations).flatMap(([operation, [permission, what]]) =>
    Object.entries(lasting).map(([name, fault]) => ({ operation, permission, what, name, fault })),
  );

  it.each(cases)(
    '$name at $operation: one clear warning, and the other reports are written',
    async ({ operation, permission, what, fault, name }) => {
      bench.double.inject({ operation, fault });
      const written = await every();
      const warnings = bench.log.of('warning');
      expect(warnings).toHaveLength(1);
      expect(warnings[0]).toMatch(what);
      expect(warnings[0]).toContain('this does not change the result');
      if (name === '403')
        expect(warnings[0]).toContain(`Add \`${permission}\` to the \`permissions\` of the job.`);
      expect(Object.values(written).filter((result) => result !== undefined).length).toBeGreaterThanOrEqual(
        3,
      );
    },
  );

  it.each([
    ['500 once', faults.serverError],
    ['a cut once', faults.cut],
    ['a cut once after it took effect', faults.cutAfterEffect],
    ['a cut once in the answer', faults.cutInAnswer],
    ['a limit once', faults.secondaryLimit(403, 2)],
  ])('%s at each call: everything is written, once', async (_what, fault) => {
    for (const operation of Object.keys(operations)) bench.double.inject({ operation, nth: 1, fault });
    expect(Object.values(await every())).not.toContain(undefined);
    expect(bench.log.of('warning')).toEqual([]);
    const { deployments, checkRuns, comments } = bench.double.repository;
    expect([deployments.length, checkRuns.length, comments.length]).toEqual([1, 1, 1]);
    expect(deployments[0]?.statuses).toHaveLength(1);
    expect(checkRuns[0]?.annotations).toHaveLength(60);
  });

  it('is said once, not with every status', async () => {
    bench.double.inject({ operation: /statuses/, fault: faults.missingPermission });
    const handle = reportsFor().deployment({ ...deployment, sha: bench.double.head });
    for (const description of ['one', 'two', 'three'])
      void handle.status({ state: 'in_progress', description });
    await handle.done();
    expect(bench.log.of('warning')).toHaveLength(1);
  });

  it('goes to the summary and the annotations instead', async () => {
    await every(reportsFor({ permissions: presets.restricted }));
    expect(annotations).toHaveLength(60);
    expect(summary).toEqual([expect.stringContaining('### 1 unsafe migration'), 'Plan']);
    expect(bench.log.of('warning')).toHaveLength(4);
  });

  it.each([
    ['a fork', presets.fork],
    ['Dependabot', presets.dependabot],
    ['a token without permissions', presets.none],
  ])('of %s is no fault: it is said, and nothing warns', async (readOnly, permissions) => {
    const written = await every(reportsFor({ permissions, readOnly }));
    expect(Object.values(written).every((result) => result === undefined)).toBe(true);
    expect(bench.log.of('warning')).toEqual([]);
    expect(bench.log.of('info')).toHaveLength(4);
    expect(bench.log.of('info')[0]).toContain(`because ${readOnly}`);
    expect(annotations).toHaveLength(60);
    expect(summary).toHaveLength(2);
  });
});

it('sends no secrets', async () => {
  const { number } = bench.double.openPull();
  const reports = reportsFor();
  await reports.comment({ pullRequest: number, marker, body: 'password hunter2' });
  await reports.check({
    ...check(),
    summary: 'hunter2',
    annotations: [{ ...annotation(1), message: 'hunter2' }],
  });
  const handle = reports.deployment({
    ...deployment,
    sha: bench.double.head,
    facts: { nested: ['hunter2'] },
  });
  await handle.status({ state: 'failure', description: 'refused hunter2' });
  expect(JSON.stringify(bench.double.calls)).not.toContain('hunter2');
  expect(JSON.stringify(bench.double.calls)).toContain('refused ***');
});
