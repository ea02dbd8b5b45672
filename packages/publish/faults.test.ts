import { once } from 'node:events';
import { createServer } from 'node:net';
import { gate, identify } from '@deploy-actions/findings';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Fault, faults } from '../../test/support/github/index.ts';
import { trackDeployment } from './deployment.ts';
import { publishFindings } from './findings.ts';
import { publishPlan } from './plan.ts';
import { openStudio, pullEvent, type Stage, type Studio } from './test-support.ts';

let studio: Studio;
beforeEach(async () => (studio = await openStudio()));
afterEach(() => studio.end());

const target = { kind: 'database', name: 'shop', version: null } as const;
const findings = identify(
  Array.from({ length: 60 }, (_, at) => ({
    rule: { id: 'drop-column', title: 'A column is dropped', help: '', link: null, tags: [] },
    severity: 'high' as const,
    message: `Column ${at} is dropped.`,
    target,
    subject: null,
    location: { file: 'shop/migrations/0002_drop.py', startLine: at + 1, endLine: at + 1 },
    context: `column ${at}`,
  })),
);

/** Everything that an action may report, once; the milliseconds that it took. */
async function reportAll({ reporting, context }: Stage, withSarif = true): Promise<number> {
  const began = performance.now();
  const tracker = trackDeployment(reporting, context, {
    environment: 'production',
    version: '2',
    strategy: 'canary',
    commit: 'run',
  });
  tracker.phase('Starting');
  await tracker.end({ result: 'succeeded', message: '2 serves.', serving: '2' });
  const verdict = gate(findings, { high: 0 });
  const sarif = withSarif ? { sarif: { tool: 'lint', targets: [target] } } : {};
  await publishFindings(reporting, context, { purpose: 'lint', title: 'Lint', findings, verdict, ...sarif });
  await publishPlan(reporting, context, { purpose: 'plan', title: 'Plan', markdown: 'Start **v2**.' });
  return performance.now() - began;
}

const base = '/repos/{owner}/{repo}';
/** Every call that reports, with the permission that it needs. */
const calls: Record<string, string> = {
  [`POST ${base}/deployments`]: 'deployments',
  [`GET ${base}/deployments`]: 'deployments',
  [`POST ${base}/deployments/{deployment_id}/statuses`]: 'deployments',
  [`GET ${base}/deployments/{deployment_id}/statuses`]: 'deployments',
  [`POST ${base}/check-runs`]: 'checks',
  [`PATCH ${base}/check-runs/{check_run_id}`]: 'checks',
  'graphql viewer': 'pull-requests',
  [`GET ${base}/issues/{issue_number}/comments`]: 'pull-requests',
  [`POST ${base}/issues/{issue_number}/comments`]: 'pull-requests',
  [`PATCH ${base}/issues/comments/{comment_id}`]: 'pull-requests',
  [`POST ${base}/code-scanning/sarifs`]: 'security-events',
  [`GET ${base}/code-scanning/sarifs/{sarif_id}`]: 'security-events',
};
const kinds: Record<string, Fault> = {
  '401': faults.badCredentials,
  '403': faults.missingPermission,
  '404': faults.notFound,
  '409': faults.conflict,
  '422': faults.unprocessable,
  '429 with a time': faults.secondaryLimit(429, 2),
  '500': faults.serverError,
  'a cut': faults.cut,
  'a cut after the effect': faults.cutAfterEffect,
};
const cases = Object.entries(calls).flatMap(([operation, permission]) =>
  Object.entries(kinds).map(([kind, fault]) => ({ operation, permission, kind, fault })),
);

/** A pull request whose comment, and an environment whose deployment, there is already. */
async function prepared() {
  const event = pullEvent(studio.github);
  const first = await studio.stage({ event });
  await publishPlan(first.reporting, first.context, { purpose: 'plan', title: 'Plan', markdown: 'Old.' });
  const tracker = trackDeployment(first.reporting, first.context, {
    environment: 'production',
    version: '1',
    strategy: 'canary',
    commit: 'run',
  });
  await tracker.end({ result: 'succeeded', message: '1 serves.', serving: '1' });
  return event;
}

/** What was created is found again; a comment that somebody deleted is written anew. */
function mended({ kind, operation }: (typeof cases)[number]): boolean {
  if (kind === 'a cut after the effect')
    return operation.startsWith('POST ') && !operation.endsWith('/sarifs');
  return kind === '404' && operation.startsWith('PATCH ') && operation.includes('/comments/');
}

describe('whatever GitHub does', () => {
  it.each(cases)('$kind at $operation: nothing throws, and it is said', async (given) => {
    const { operation, permission, kind, fault } = given;
    const event = await prepared();
    studio.github.inject({ operation, fault });
    const stage = await studio.stage({ event, sleep: async () => {} });
    await reportAll(stage);
    expect(studio.github.callsOf(operation).length).toBeGreaterThan(0);
    const said = stage.warnings.join('\n');
    expect(stage.warnings).toHaveLength(mended(given) ? 0 : 1);
    if (!mended(given)) expect(said).toContain('does not change the result');
    if (kind === '403')
      expect(said).toContain(`Add \`${permission}: write\` to the \`permissions\` of the job.`);
    expect(stage.context.summary.text()).toContain('Column 7 is dropped');
    expect(stage.context.summary.text()).toContain('Start **v2**.');
    if (permission === 'checks' && !mended(given)) expect(stage.annotations.length).toBeGreaterThan(0);
  });

  it('late answers at every call cost a few seconds, once', async () => {
    studio.github.inject({ fault: faults.late(20_000) });
    const stage = await studio.stage({ event: pullEvent(studio.github) });
    expect(await reportAll(stage)).toBeLessThan(12_000);
    expect(stage.warnings[0]).toMatch(/^The deployment: GitHub was not done with it after 4/);
    expect(stage.warnings.join('\n')).toContain(
      'The check «Lint»: not written to GitHub, which did not answer',
    );
    expect(stage.annotations).toHaveLength(10);
    expect(stage.context.summary.text()).toContain('Start **v2**.');
  });

  it('a server that refuses connections, or never answers, costs the same', async () => {
    const silent = createServer((socket) => void socket.on('error', () => {})).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const address = silent.address();
    const apiUrl = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
    const event = pullEvent(studio.github);
    expect(await reportAll(await studio.stage({ apiUrl, event }))).toBeLessThan(12_000);
    silent.close();
    const refused = await studio.stage({ apiUrl: 'http://127.0.0.1:1', event });
    expect(await reportAll(refused)).toBeLessThan(12_000);
    expect(refused.warnings[0]).toMatch(/fetch failed|ECONNREFUSED|bad port/);
  });

  it('a cancelled run still says so, within 2 s', async () => {
    const cancel = new AbortController();
    const event = pullEvent(studio.github);
    const stage = await studio.stage({ event, signal: cancel.signal });
    cancel.abort();
    await reportAll(stage, false);
    expect(stage.warnings).toEqual([]);
    expect(studio.github.repository.deployments.at(-1)?.statuses.at(-1)?.state).toBe('success');

    studio.github.inject({ fault: faults.late(20_000) });
    const stuck = await studio.stage({ event, signal: cancel.signal });
    expect(await reportAll(stuck)).toBeLessThan(3_800);
    expect(stuck.warnings[0]).toMatch(/was not done with it after 2/);
  });
});
