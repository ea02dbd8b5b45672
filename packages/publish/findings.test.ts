import { gunzipSync } from 'node:zlib';
import { type Draft, gate, identify } from '@deploy-actions/findings';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { presets } from '../../test/support/github/index.ts';
import { type FindingsReport, publishFindings } from './findings.ts';
import { publishPlan } from './plan.ts';
import { openStudio, pullEvent, type Stage, type Studio } from './test-support.ts';

let studio: Studio;
beforeEach(async () => (studio = await openStudio()));
afterEach(() => studio.end());

const target = { kind: 'database', name: 'shop', version: null } as const;
const draft = (line: number, own: Partial<Draft> = {}): Draft => ({
  rule: { id: 'drop-column', title: 'A column is dropped', help: 'Drop it later.', link: null, tags: [] },
  severity: 'high',
  message: `Column ${line} is dropped.`,
  target,
  subject: null,
  location: { file: 'shop/migrations/0002_drop.py', startLine: line, endLine: line },
  context: `column ${line}`,
  ...own,
});
function reportOf(drafts: Draft[], own: Partial<FindingsReport> = {}): FindingsReport {
  const findings = identify(drafts);
  const verdict = gate(findings, { high: 0 });
  return { purpose: 'migrate-db-production', title: 'Database migration', findings, verdict, ...own };
}
const publish = ({ reporting, context }: Stage, report: FindingsReport) =>
  publishFindings(reporting, context, report);
const comments = () => studio.github.repository.comments.map(({ body }) => body);

describe('findings', () => {
  it('stand on the head of the pull request, in one comment and in code scanning', async () => {
    const event = pullEvent(studio.github);
    const stage = await studio.stage({ event });
    const sarif = { tool: 'migrate-db', targets: [target] };
    await publish(stage, reportOf([draft(3), draft(9)], { sarif, more: '## The plan' }));
    const [check] = studio.github.repository.checkRuns;
    expect(check).toMatchObject({
      name: 'Database migration',
      head_sha: event.head,
      conclusion: 'failure',
      external_id: '7.1/migrate-db-production',
    });
    expect(
      check?.annotations.map(({ path, start_line, annotation_level }) => [
        path,
        start_line,
        annotation_level,
      ]),
    ).toEqual([
      ['shop/migrations/0002_drop.py', 3, 'failure'],
      ['shop/migrations/0002_drop.py', 9, 'failure'],
    ]);
    expect(comments()).toEqual([expect.stringContaining('Column 3 is dropped')]);
    expect(comments()[0]).toMatch(/^<!-- deploy-actions:migrate-db-production -->[^]*## The plan/);
    expect(stage.context.summary.text()).toContain('Too many findings: 2 high where 0 are allowed');
    expect(stage.context.summary.text()).not.toContain('<!--');
    const uploads = studio.github.callsOf(/^POST .*sarifs$/).map(({ body }) => body as { sarif: string });
    expect(uploads.map(({ sarif: text }) => gunzipSync(Buffer.from(text, 'base64')).toString())).toEqual([
      expect.stringContaining('migrate-db-production/database/shop'),
    ]);
    expect(stage.annotations).toEqual([]);
    expect(stage.warnings).toEqual([]);

    await publish(await studio.stage({ event }), reportOf([]));
    expect(comments()).toEqual([expect.stringContaining('Within the limits; findings: none')]);
  });

  it.each([
    ['a fork', presets.fork, 'mallory/helpdesk', 'ada'],
    ['Dependabot', presets.dependabot, 'acme/helpdesk', 'dependabot[bot]'],
  ])('of a run of %s are annotations of the step and its summary', async (_who, permissions, from, actor) => {
    const stage = await studio.stage({ permissions, actor, event: pullEvent(studio.github, from) });
    await publish(stage, reportOf([draft(3)]));
    expect(stage.annotations).toEqual([
      { level: 'warning', message: 'Column 3 is dropped.', file: 'shop/migrations/0002_drop.py' },
    ]);
    expect(stage.context.summary.text()).toContain('Column 3 is dropped');
    expect(stage.warnings).toEqual([]);
    expect(comments()).toEqual([]);
  });

  it('of an environment with any name, and whatever goes wrong, change no outcome', async () => {
    const event = pullEvent(studio.github);
    const stage = await studio.stage({ event });
    await publish(stage, reportOf([draft(3)], { purpose: 'migrate-db-a--b' }));
    expect(comments()).toEqual([expect.stringMatching(/^<!-- deploy-actions:migrate-db-a-b -->/)]);
    await publish(stage, reportOf([draft(3)], { purpose: 'no purpose' }));
    expect(stage.warnings).toEqual([
      expect.stringMatching(/^Database migration could not be published; .*may not be "no purpose"/),
    ]);
  });

  it('need no token', async () => {
    const stage = await studio.stage({ permissions: null });
    await publish(stage, reportOf([draft(3)]));
    expect(stage.annotations).toHaveLength(1);
    expect(stage.context.summary.text()).toContain('Column 3 is dropped');
    expect(studio.github.calls).toEqual([]);
  });

  it('name the permissions that are missing', async () => {
    const stage = await studio.stage({ permissions: { contents: 'read' }, event: pullEvent(studio.github) });
    await publish(stage, reportOf([draft(3)], { sarif: { tool: 'migrate-db', targets: [target] } }));
    for (const permission of ['checks', 'pull-requests', 'security-events']) {
      expect(stage.warnings.join('\n')).toContain(`Add \`${permission}: write\` to the \`permissions\``);
    }
    expect(stage.annotations).toHaveLength(1);
  });

  it('that are too many are cut by severity, and the cut is said', async () => {
    const drafts = Array.from({ length: 620 }, (_, at) => draft(at + 1, at < 500 ? {} : { severity: 'low' }));
    await publish(await studio.stage(), reportOf(drafts));
    const [check] = studio.github.repository.checkRuns;
    expect(check?.annotations).toHaveLength(500);
    expect(check?.annotations.every(({ annotation_level }) => annotation_level === 'failure')).toBe(true);
    expect(check?.output.summary).toContain(
      '120 of 620 findings are not shown here, the least severe: 120 low.',
    );
    expect(studio.github.callsOf(/check-runs/)).toHaveLength(10);

    const stage = await studio.stage({ permissions: null });
    await publish(stage, reportOf(drafts));
    expect(stage.annotations).toHaveLength(20);
    expect(stage.lines.join('\n')).toContain('600 of 620 findings are not shown here');
  });

  it('keep secrets to themselves', async () => {
    const stage = await studio.stage({
      event: pullEvent(studio.github),
      redact: (text) => text.replaceAll('hunter2', '***'),
    });
    const sarif = { tool: 'migrate-db', targets: [target] };
    await publish(
      stage,
      reportOf([draft(3, { message: 'The default is hunter2.' })], { sarif, more: 'hunter2' }),
    );
    const sent = studio.github.calls.map(({ body }) => {
      const { sarif: text } = (body ?? {}) as { sarif?: string };
      return text === undefined ? JSON.stringify(body) : gunzipSync(Buffer.from(text, 'base64')).toString();
    });
    expect(sent.join('\n')).toContain('The default is ***');
    expect(sent.join('\n')).not.toContain('hunter2');
  });
});

describe('a plan', () => {
  const plan = { purpose: 'plan-production', title: 'Plan for production', markdown: 'Start **v2**.' };

  it('is one comment after three pushes, and in the summary of each run', async () => {
    const event = pullEvent(studio.github);
    for (const version of ['v2', 'v3', 'v4']) {
      const stage = await studio.stage({ event });
      await publishPlan(stage.reporting, stage.context, { ...plan, markdown: `Start **${version}**.` });
      expect(stage.context.summary.text()).toContain(`Start **${version}**.`);
    }
    expect(comments()).toEqual([
      '<!-- deploy-actions:plan-production -->\n### Plan for production\n\nStart **v4**.',
    ]);
  });

  it('is in the summary alone where there is no pull request', async () => {
    const stage = await studio.stage();
    await publishPlan(stage.reporting, stage.context, plan);
    expect(stage.context.summary.text()).toContain('Start **v2**.');
    expect(studio.github.calls).toEqual([]);
  });
});

describe('GitHub Enterprise Server', () => {
  it('is told at its own addresses', async () => {
    const enterprise = await openStudio({ enterprise: true });
    try {
      const stage = await enterprise.stage({ event: pullEvent(enterprise.github) });
      await publish(stage, reportOf([draft(3)]));
      expect(enterprise.github.repository.comments).toHaveLength(1);
      expect(enterprise.github.repository.checkRuns).toHaveLength(1);
    } finally {
      await enterprise.end();
    }
  });
});
