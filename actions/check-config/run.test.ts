import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createTestContext } from '../../test/support/context.ts';
import { run } from './run.ts';

const examples = join(import.meta.dirname, '../../workflows-examples');
const workspaces: string[] = [];
afterEach(async () => {
  for (const workspace of workspaces.splice(0)) await rm(workspace, { recursive: true });
});

async function check(text: string | undefined, environments?: string[], file = '.github/deploy.yml') {
  const workspace = await mkdtemp(join(tmpdir(), 'check-config-'));
  workspaces.push(workspace);
  const path = join(workspace, file);
  if (text !== undefined) {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  }
  const made = createTestContext();
  const context = { ...made.context, facts: { ...made.context.facts, workspace } };
  const outcome = await run({ file: path, environments }, context);
  const problems = outcome.report['problems'] as {
    place: { line: number; column: number };
    path: string;
    environments: string[];
  }[];
  return {
    outcome,
    places: problems.map(({ place, path: at, environments: of }) =>
      `${place.line}:${place.column} ${at} ${of.join(',')}`.trim(),
    ),
    hints: (outcome.report['hints'] as { action: string; message: string }[]).map(
      ({ action, message }) => `${action} ${message}`,
    ),
    summary: context.summary.text(),
    ...made,
  };
}

const good = `app: helpdesk
platform: linux-host
strategy: blue-green
router: { type: embedded-proxy, listen: '127.0.0.1:8080' }
linux-host:
  directory: /srv/helpdesk/{version}
  command: gunicorn --bind 127.0.0.1:{port}
environments:
  staging:
    health: { url: 'https://staging.example.com/health/' }
  production:
    extends: staging
    linux-host: { instances: 4 }
    health: { url: 'https://example.com/health/', timeout: 5m }
`;

describe('a deploy.yml that is right', () => {
  it('is said to be, and how its environments differ', async () => {
    const { outcome, annotations, hints, summary } = await check(good);
    expect(outcome).toMatchObject({
      result: 'succeeded',
      reasonCode: 'ok',
      message: '.github/deploy.yml is right for staging, production. 1 setting may differ by mistake.',
      outputs: { problems: 0 },
    });
    expect(annotations).toEqual([]);
    expect(hints).toEqual([]);
    const parity = JSON.parse(String(outcome.outputs.parity)) as {
      rows: { path: string; verdict: string }[];
    };
    expect(parity).toMatchObject({ environments: ['staging', 'production'], omitted: 0 });
    expect(parity.rows.map(({ path, verdict }) => `${path} ${verdict}`)).toEqual([
      'health.timeout missing',
      'health.url differs',
      'linux-host.instances missing',
    ]);
    expect(summary).toContain('| health.timeout | – | 5m<br><sub>line 14</sub> | **missing** |');
    expect(summary).toContain('differs, expected (an address)');
    expect(summary).toContain('7 settings are the same in all.');
  });

  it.each(readdirSync(examples))('is in the example %s, if it has one', async (name) => {
    const file = join(examples, name, '.github/deploy.yml');
    if (!existsSync(file)) return;
    // What the step says (the image), and what actions would need that the example does not use.
    const images = ['blue-green-switch image', 'canary image'];
    const metrics = ['requests', 'errors', 'response-time'].map((what) => `canary ${what}-metric`);
    const hintsOf: Record<string, string[]> = {
      'kubernetes-blue-green': [...images, ...metrics, 'canary router'],
      'kubernetes-canary': images,
      'kubernetes-rolling': [
        ...images,
        ...metrics,
        'blue-green-switch service',
        'canary service',
        'rollback service',
      ],
    };
    const { places, hints } = await check(readFileSync(file, 'utf8'));
    expect(places).toEqual([]);
    expect(new Set(hints.map((hint) => hint.split(':')[0]))).toEqual(new Set(hintsOf[name]));
  });

  it('may have no environments', async () => {
    const { outcome, summary } = await check('app: helpdesk\nwatch: 5m\n');
    expect(outcome).toMatchObject({ result: 'succeeded', message: '.github/deploy.yml is right.' });
    expect(summary).toBe('');
  });
});

describe('a deploy.yml with mistakes', () => {
  it('is refused with all of them, each on its line', async () => {
    const { outcome, annotations, places, summary, lines } = await check(`
app: 1.10
helth: {}
health:
  timeout: 10
  interval: 5x
environments:
  staging:
    extends: stagin
    health: { timeout: 1m }
  production:
    router: { type: traefik }
    health: { interval: 2s, headers: { Authorization: [hunter2] } }
`);
    expect(outcome).toMatchObject({
      result: 'refused',
      reasonCode: 'invalid_config',
      message: '.github/deploy.yml has 7 problems; each is shown on its line.',
      outputs: { problems: 7 },
    });
    expect(places).toEqual([
      '2:6 app staging,production',
      '3:1 helth',
      '5:12 health.timeout production',
      '6:13 health.interval staging',
      '9:14 environments.staging.extends',
      '12:21 router.type production',
      '13:38 health.headers production',
    ]);
    expect(annotations).toHaveLength(7);
    expect(annotations[0]).toEqual({
      level: 'error',
      file: '.github/deploy.yml',
      message:
        '.github/deploy.yml:2:6: app: "1.1" is not allowed; allowed is text; put it in quotes. (For staging, production.)',
    });
    expect(annotations[1]?.message).toMatch(
      /^\.github\/deploy\.yml:3:1: helth is not a known key\. Did you mean `health`\?/,
    );
    expect(lines).toContain(
      '.github/deploy.yml:6:13: health.interval: "5x" is not a duration; allowed is a duration such as 90s, 10m or 1h30m, at least 100ms, at most 10m.',
    );
    expect(summary.replaceAll('<wbr>', '')).toContain('| .github/deploy.yml:12:21 | router.type:');
    expect(JSON.stringify([outcome, summary, lines, annotations])).not.toContain('hunter2');
  });

  it('that is no YAML has one', async () => {
    const { places, annotations } = await check('app: [\n');
    expect(places).toEqual(['2:1']);
    expect(annotations[0]?.message).toContain('deploy.yml:2:1: This is not valid YAML: ');
  });

  it('is judged by the rules between inputs', async () => {
    const text = good.replace('instances: 4', 'instances: 4, port-range: 8100-8102');
    const { places, annotations } = await check(text);
    expect(places).toEqual(['13:45 linux-host.port-range production']);
    expect(annotations[0]?.message).toContain(
      'has fewer ports than the 8 that two versions of 4 instances need',
    );
  });

  it('is judged by no rule about what a step may still say', async () => {
    const { outcome, hints } = await check(good.replace(", listen: '127.0.0.1:8080'", ''));
    expect(outcome.result).toBe('succeeded');
    expect(hints).toContainEqual(
      expect.stringMatching(/^blue-green-switch listen: is missing: the embedded proxy needs/),
    );
  });

  it('is checked for the environments that are asked for', async () => {
    const text = 'environments:\n  a: { watch: x }\n  b: { watch: y }\n';
    expect((await check(text, ['b'])).places).toEqual(['3:15 watch b']);
    const { places, annotations } = await check(text, ['b', 'c']);
    expect(places).toEqual(['1:1 environments', '3:15 watch b']);
    expect(annotations[0]?.message).toContain('There is no environment "c".');
  });

  it('names no environment that a step could not name', async () => {
    const { places, annotations } = await check('environments:\n  my env: {}\n');
    expect(places).toEqual(['2:3 environments.my env']);
    expect(annotations[0]?.message).toContain('No step can ask for an environment with this name.');
  });

  it('gives the runner no command', async () => {
    const { lines, places } = await check('"x\\n::stop-commands::y": 1\n"z\\r::error::a": 1\n');
    expect(places).toHaveLength(2);
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.flatMap((line) => line.split(/[\r\n]/)).filter((line) => line.startsWith('::'))).toEqual([]);
  });

  it('may be another file', async () => {
    const { annotations } = await check('x: 1\n', undefined, 'ops/deploy.yml');
    expect(annotations[0]?.message).toMatch(/^ops\/deploy\.yml:1:1: /);
  });

  it('with hundreds says how many, and shows what fits', async () => {
    const { outcome, annotations, summary } = await check(
      Array.from({ length: 500 }, (_, index) => `x${index}: 1`).join('\n'),
    );
    expect(outcome.outputs.problems).toBe(500);
    expect(annotations).toHaveLength(10);
    expect(summary).toContain('_300 more rows are in the report file._');
  });
});

describe('what cannot be read', () => {
  it('is refused when it is not there', async () => {
    await expect(check(undefined)).rejects.toMatchObject({
      reasonCode: 'invalid_config',
      message: '.github/deploy.yml is not there.',
    });
  });
});
