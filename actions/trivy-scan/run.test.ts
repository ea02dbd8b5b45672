import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { InputValues, Outcome } from '@deploy-actions/action-kit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createTestContext, type TestContext } from '../../test/support/context.ts';
import { definition } from './definition.ts';
import { run } from './run.ts';

// A stand-in for Trivy that answers as Trivy 0.69 was seen to: it copies recorded reports, and fails with its exit codes and words. The
// real one runs in test/platforms.

type Inputs = InputValues<(typeof definition)['inputs']>;

const recorded = join(import.meta.dirname, '../../packages/scanners/testdata');
let folder = '';

const standIn = `#!/bin/sh
echo "$*" >> "$CALLS"
output= what= download= previous=
for word in "$@"; do
  [ "$previous" = --output ] && output=$word
  [ "$word" = --download-db-only ] && download=1
  previous=$word
done
case "$1" in
version) echo '{"Version":"0.69.1"}'; exit 0 ;;
convert) echo '{}' > "$output"; exit 0 ;;
esac
if [ -n "$download" ]; then
  if [ -e "$NO_DATABASE" ]; then
    echo '2026-01-01T00:00:00Z	FATAL	Fatal error	run error: init error: DB error: failed to download vulnerability DB: connection refused' >&2
    exit 1
  fi
  mkdir -p "$CACHE/db"
  printf '{"Version":2,"UpdatedAt":"%s"}' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" > "$CACHE/db/metadata.json"
  exit 0
fi
case " $* " in
*/clean:*) cp "$RECORDED/clean.json" "$output" ;;
" fs "*) cp "$RECORDED/fs.json" "$output" ;;
*' cut '*) head -c 500 "$RECORDED/fs.json" > "$output" ;;
*' nothing '*) ;;
*' missing '*)
  echo '2026-01-01T00:00:00Z	FATAL	Fatal error	run error: image scan error: scan error: unable to find the specified image "missing"' >&2
  exit 1 ;;
*) cp "$RECORDED/image.json" "$output" ;;
esac
`;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trivy-scan-'));
  await mkdir(join(folder, 'bin'));
  await mkdir(join(folder, 'workspace'));
  await writeFile(join(folder, 'bin', 'trivy'), standIn);
  await chmod(join(folder, 'bin', 'trivy'), 0o755);
});
afterEach(() => rm(folder, { recursive: true }));

const calls = async () => (await readFile(join(folder, 'calls'), 'utf8')).trim().split('\n');

async function scan(changes: Partial<Inputs>): Promise<{ outcome: Outcome; test: TestContext }> {
  const test = createTestContext({
    environment: {
      PATH: `${join(folder, 'bin')}:${process.env['PATH']}`,
      CALLS: join(folder, 'calls'),
      CACHE: join(folder, 'cache'),
      NO_DATABASE: join(folder, 'no-database'),
      RECORDED: recorded,
    },
  });
  Object.assign(test.context.facts, { workspace: join(folder, 'workspace'), temp: join(folder, 'temp') });
  const outcome = await run(
    {
      targets: ['image:registry.example/helpdesk-backend:1.4.2'],
      baseline: undefined,
      'count-known': false,
      scanners: ['vuln', 'secret', 'misconfig'],
      limits: 'critical: 0, high: 5',
      'misconfiguration-limits': 'critical: 0',
      'licence-limits': 'none',
      secrets: 'fail',
      'ignore-unfixed': false,
      'ignore-file': undefined,
      'ignore-without-date': 'warn',
      vex: undefined,
      sbom: 'none',
      'output-directory': undefined,
      sarif: true,
      'trivy-version': undefined,
      'trivy-sha256': undefined,
      'trivy-mirror': new URL('https://trivy.example/releases'),
      'cache-directory': join(folder, 'cache'),
      'database-mirrors': undefined,
      'max-database-age': 7 * 86_400_000,
      offline: false,
      timeout: 60_000,
      'github-token': undefined,
      ...changes,
    },
    test.context,
  );
  return { outcome, test };
}

describe('a scan', () => {
  it('passes a clean image', async () => {
    const { outcome } = await scan({ targets: ['image:registry.example/clean:1'] });
    expect(outcome).toMatchObject({
      result: 'succeeded',
      reasonCode: 'ok',
      outputs: { passed: true, findings: 0 },
    });
  });

  it('fails one with a critical finding or a secret, and says which', async () => {
    const { outcome, test } = await scan({ sbom: 'cyclonedx' });
    expect(outcome).toMatchObject({
      result: 'failed',
      reasonCode: 'findings_over_limit',
      outputs: { passed: false, findings: 6 },
    });
    expect(outcome.message).toContain('1 critical where 0 are allowed');
    expect(test.context.summary.text()).toContain('CVE-2019-1549');
    expect(JSON.parse(String(outcome.outputs['sboms']))).toEqual({
      'image:registry.example/helpdesk-backend:1.4.2': expect.stringMatching(/\.cdx\.json$/),
    });
  });

  it('asks for the database once, whatever the number of targets, and scans each once', async () => {
    await scan({ targets: ['image:registry.example/clean:1', 'image:registry.example/clean:2', 'fs:.'] });
    const made = await calls();
    expect(made.filter((line) => line.includes('--download-db-only'))).toHaveLength(1);
    expect(made.filter((line) => line.includes('--skip-db-update'))).toHaveLength(3);
  });

  it('counts only what the baseline does not have', async () => {
    const { outcome } = await scan({ baseline: ['image:registry.example/helpdesk-backend:1.4.1'] });
    expect(outcome).toMatchObject({ result: 'succeeded', outputs: { passed: true, findings: 6, new: 0 } });
    expect((await scan({ baseline: ['image:registry.example/clean:1'] })).outcome).toMatchObject({
      result: 'failed',
      outputs: { new: 6 },
    });
  });

  it('takes out what an ignore file names, and says so', async () => {
    const ignored =
      'CVE-2019-14697 exp:2999-12-31\nstripe-secret-token exp:2999-12-31\nCVE-2019-1549 exp:2020-01-01\n';
    await writeFile(join(folder, 'workspace', '.trivyignore'), ignored);
    const { outcome, test } = await scan({});
    expect(outcome).toMatchObject({ result: 'succeeded', outputs: { findings: 4 } });
    expect(test.lines).toContain('.trivyignore:3: CVE-2019-1549 was ignored to 2020-01-01; it counts again.');
    expect(test.context.summary.text()).toContain('ignored: stripe-secret-token');
  });

  it('wants last days in an ignore file when told to', async () => {
    await writeFile(join(folder, 'workspace', '.trivyignore'), 'CVE-2019-14697\n');
    await expect(scan({ 'ignore-without-date': 'fail' })).rejects.toMatchObject({
      reasonCode: 'invalid_config',
    });
    expect((await scan({})).test.lines).toContain(
      'Ignore entries without a last day: CVE-2019-14697 (.trivyignore:1).',
    );
  });
});

describe('a scan that could not run is an error, neither passed nor findings', () => {
  it.each([
    ['a target that does not exist', 'image:missing', /unable to find the specified image/],
    ['a report that was cut', 'image:cut', /not JSON/],
    ['no report', 'image:nothing', /wrote no report/],
  ])('%s', async (_what, target, why) => {
    const { outcome } = await scan({ targets: ['image:registry.example/clean:1', target] });
    expect(outcome).toMatchObject({
      result: 'error',
      reasonCode: 'scan_failed',
      message: expect.stringMatching(why),
      outputs: { passed: undefined, counts: undefined },
    });
  });

  it('a Trivy that is neither there nor to be had', async () => {
    await rm(join(folder, 'bin', 'trivy'));
    const { outcome } = await scan({ 'trivy-version': '0.70.0' });
    expect(outcome).toMatchObject({
      result: 'error',
      reasonCode: 'tool_rejected',
      message: expect.stringContaining('0.70.0'),
    });
    const { outcome: tampered } = await scan({ 'trivy-version': '0.69.4', 'trivy-sha256': 'a'.repeat(64) });
    expect(tampered).toMatchObject({ result: 'error', message: expect.stringContaining('tampered') });
  });

  it('a Trivy on PATH that was tampered with', async () => {
    await writeFile(join(folder, 'bin', 'trivy'), `#!/bin/sh\necho '{"Version":"0.69.5"}'\n`);
    expect((await scan({})).outcome).toMatchObject({ result: 'error', reasonCode: 'tool_rejected' });
  });

  it(
    'a database that cannot be downloaded, unless a kept one is young enough',
    { timeout: 60_000 },
    async () => {
      await scan({ targets: ['image:registry.example/clean:1'] });
      await writeFile(join(folder, 'no-database'), '');
      const { outcome, test } = await scan({ targets: ['image:registry.example/clean:1'] });
      expect(outcome.result).toBe('succeeded');
      expect(test.context.summary.text()).toMatch(/a kept copy, .* old/);
      const { outcome: tooOld } = await scan({
        targets: ['image:registry.example/clean:1'],
        'max-database-age': 0,
      });
      expect(tooOld).toMatchObject({
        result: 'error',
        reasonCode: 'scan_failed',
        message: expect.stringContaining('connection refused'),
      });
    },
  );
});

describe('inputs of trivy-scan', () => {
  const problems = (inputs: Parameters<NonNullable<typeof definition.check>>[0]) =>
    definition.check?.(inputs).map(({ input }) => input);
  it.each([
    [{ targets: ['backend:1'] }, ['targets']],
    [{ targets: ['fs:.'], baseline: ['fs:a', 'fs:b'] }, ['baseline']],
    [{ scanners: ['vulns'] }, ['scanners']],
    [{ limits: 'high 5' }, ['limits']],
    [{ 'trivy-sha256': 'a'.repeat(64) }, ['trivy-sha256']],
    [{ targets: ['fs:.', 'image:a'], baseline: ['fs:a', 'image:b'], scanners: ['vuln'], limits: 'none' }, []],
  ])('%j', (inputs, wrong) => {
    expect(problems(inputs)).toEqual(wrong);
  });
});
