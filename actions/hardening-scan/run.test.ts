import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { InputValues, Outcome } from '@deploy-actions/action-kit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createTestContext, type TestContext } from '../../test/support/context.ts';
import type { definition } from './definition.ts';
import { run } from './run.ts';

type Inputs = InputValues<(typeof definition)['inputs']>;

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hardening-scan-'));
  await mkdir(join(folder, 'base'));
  await mkdir(join(folder, 'workspace'));
});
afterEach(() => rm(folder, { recursive: true }));

async function put(file: string, text: string): Promise<void> {
  await mkdir(dirname(join(folder, file)), { recursive: true });
  await writeFile(join(folder, file), text);
}

async function scan(
  changes: Partial<Inputs> = {},
  environment: NodeJS.ProcessEnv = {},
): Promise<{ outcome: Outcome; test: TestContext; text: string }> {
  const test = createTestContext({ environment: { PATH: process.env['PATH'], ...environment } });
  Object.assign(test.context.facts, { workspace: join(folder, 'workspace'), temp: folder });
  const outcome = await run(
    {
      paths: ['.'],
      baseline: undefined,
      'count-known': false,
      limits: 'critical: 0, high: 5',
      'ignore-file': undefined,
      'ignore-without-date': 'warn',
      sarif: true,
      trivy: 'none',
      engine: 'none',
      timeout: 60_000,
      'github-token': undefined,
      ...changes,
    },
    test.context,
  );
  return { outcome, test, text: test.context.summary.text() };
}

const dockerfile = 'FROM python:3.13-slim\nUSER app\nHEALTHCHECK NONE\n';
const compose =
  'services:\n  ci:\n    image: docker:28\n    volumes: [/var/run/docker.sock:/var/run/docker.sock]\n';
const pod =
  'apiVersion: v1\nkind: Pod\nmetadata: { name: a }\nspec:\n  containers:\n    - { name: a, image: a:1, securityContext: { privileged: true } }\n';

describe('a scan of what is deployed', () => {
  it('passes what gives nothing away', async () => {
    await put('workspace/backend/Dockerfile', dockerfile);
    await put('workspace/backend/dockerfile.ts', 'export {};');
    await put('workspace/backend/Dockerfile.md', '# How it is built');
    await put('workspace/.github/workflows/a.yml', 'x: [');
    const { outcome } = await scan();
    expect(outcome).toMatchObject({
      result: 'succeeded',
      reasonCode: 'ok',
      outputs: { passed: true, findings: 0 },
    });
    expect(outcome.message).toContain('1 file scanned');
  });

  it('says where what is wrong stands, and which benchmark says so', async () => {
    await put('workspace/docker-compose.yml', compose);
    await put('workspace/k8s/pod.yaml', `# comment\n---\n${pod}`);
    const { outcome, text } = await scan();
    expect(outcome).toMatchObject({ result: 'failed', reasonCode: 'findings_over_limit' });
    expect(outcome.report['findings']).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          rule: expect.objectContaining({
            id: 'docker-socket',
            tags: expect.arrayContaining(['CIS-Docker-5.32']),
          }),
          location: { file: 'docker-compose.yml', startLine: 4, endLine: 4 },
        }),
        expect.objectContaining({
          rule: expect.objectContaining({ id: 'privileged' }),
          severity: 'critical',
          location: { file: 'k8s/pod.yaml', startLine: 8, endLine: 8 },
        }),
      ]),
    );
    expect(text).toContain('Kubernetes');
  });

  it('takes the NetworkPolicies of other files', async () => {
    await put('workspace/pod.yaml', pod);
    const ids = ({ report }: Outcome) =>
      (report['findings'] as { rule: { id: string } }[]).map(({ rule }) => rule.id);
    expect(ids((await scan()).outcome)).toContain('network-policy-missing');
    await put(
      'workspace/net/policy.yaml',
      'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: { name: a }\nspec: { podSelector: {} }\n',
    );
    expect(ids((await scan()).outcome)).not.toContain('network-policy-missing');
  });

  it('counts only what the base branch does not have', async () => {
    await put('workspace/docker-compose.yml', `# a line more\n${compose}`);
    await put('base/docker-compose.yml', compose);
    expect((await scan({ baseline: join(folder, 'base') })).outcome).toMatchObject({
      result: 'succeeded',
      outputs: { new: 0 },
    });
    await rm(join(folder, 'base', 'docker-compose.yml'));
    const paths = ['docker-compose.yml'];
    expect((await scan({ baseline: join(folder, 'base'), paths })).outcome.result).toBe('failed');
    expect((await scan({ baseline: join(folder, 'missing') })).outcome.result).toBe('error');
  });

  it('leaves a checkout of the base branch in the workspace out, unless a path names what is in it', async () => {
    await put('workspace/docker-compose.yml', compose);
    await put('workspace/base/docker-compose.yml', compose);
    const baseline = join(folder, 'workspace', 'base');
    const { outcome } = await scan({ baseline });
    expect(outcome).toMatchObject({ result: 'succeeded', outputs: { new: 0 } });
    expect(outcome.message).toContain('1 file scanned');
    for (const named of ['base', 'base/docker-compose.yml'])
      expect((await scan({ baseline, paths: [named] })).outcome.message).toContain('1 file scanned');
  });

  it('takes out what an ignore file names', async () => {
    await put('workspace/docker-compose.yml', compose);
    await put('workspace/.hardeningignore', '# the build server\ndocker-socket exp:2999-12-31\n');
    const { outcome, text } = await scan();
    expect(outcome.result).toBe('succeeded');
    expect(text).toContain('the build server');
  });

  it('says which templates were not scanned', async () => {
    await put('workspace/Dockerfile', dockerfile);
    await put('workspace/chart/Chart.yaml', 'apiVersion: v2\nname: a\n');
    await put('workspace/chart/templates/pod.yaml', pod);
    await put('workspace/k8s/pod.yaml', 'apiVersion: v1\nkind: Pod\nspec: {{ toYaml .spec }}\n');
    const { outcome, test, text } = await scan();
    expect(outcome.message).toContain('1 file scanned, 2 not');
    expect(test.lines.join('\n')).toContain(
      'chart/templates/pod.yaml was not scanned: it is a template of a Helm chart',
    );
    expect(text).toContain('k8s/pod.yaml: it is a template');
  });
});

describe('a scan without a verdict is an error', () => {
  it.each([
    [
      'a manifest that is no YAML',
      'pod.yaml',
      'apiVersion: v1\nkind: Pod\nspec: [\n',
      /pod.yaml cannot be read: line \d/,
    ],
    ['a Compose file that is none', 'compose.yaml', 'services: [', /compose.yaml cannot be read/],
    ['a Dockerfile without FROM', 'Dockerfile', 'RUN true\n', /no FROM/],
    ['nothing to scan', 'readme.yml', 'a: 1\n', /nothing to scan/],
  ])('%s', async (_what, file, text, why) => {
    await put(`workspace/${file}`, text);
    expect((await scan()).outcome).toMatchObject({
      result: 'error',
      message: expect.stringMatching(why),
      outputs: { passed: undefined },
    });
  });
});

/** A program in a folder for PATH, as a script of sh. */
async function program(name: string, script: string): Promise<NodeJS.ProcessEnv> {
  await put(`bin/${name}`, `#!/bin/sh\n${script}\n`);
  await chmod(join(folder, 'bin', name), 0o755);
  return { PATH: `${join(folder, 'bin')}:${process.env['PATH']}` };
}

describe('with a Trivy on PATH', () => {
  const standIn = `case "$1" in version) echo '{"Version":"0.69.3"}'; exit 0;; esac
output= previous=
for word in "$@"; do [ "$previous" = --output ] && output=$word; previous=$word; done
ls files > "${'$'}{0%/bin/trivy}/seen"
cp '${join(import.meta.dirname, '../../packages/scanners/testdata/hardening/trivy-config.json')}' "$output"`;

  it('what both find is one finding, and Trivy is shown the files that were looked at alone', async () => {
    const environment = await program('trivy', standIn);
    for (const file of ['Dockerfile', 'deployment.yaml', 'docker-compose.yml'])
      await put(
        `workspace/${file}`,
        await readFile(join(import.meta.dirname, '../../packages/scanners/testdata/hardening', file), 'utf8'),
      );
    await put('workspace/node_modules/a/Dockerfile', 'FROM a');
    const limits = 'none';
    const { outcome, text } = await scan({ trivy: 'on-path', limits }, environment);
    const alone = await scan({ limits });
    expect(outcome.outputs['findings']).toBe(Number(alone.outcome.outputs['findings']) + 1);
    expect(text).toContain('Trivy DS-0002');
    expect(text).toContain("Trivy's configuration scan");
    expect(alone.text).toContain('no Trivy was asked');
    expect(await readFile(join(folder, 'seen'), 'utf8')).toBe('Dockerfile\ndeployment.yaml\n');
  });

  it('an entry of an ignore file may name the check of Trivy', async () => {
    const environment = await program('trivy', standIn);
    const file = join(import.meta.dirname, '../../packages/scanners/testdata/hardening/Dockerfile');
    await put('workspace/Dockerfile', await readFile(file, 'utf8'));
    await put('workspace/.hardeningignore', 'DS-0002 exp:2999-12-31\n');
    const { text } = await scan({ trivy: 'on-path' }, environment);
    expect(text).toContain('ignored: root-user');
  });

  it('a scan that did not come to its end is an error', async () => {
    const environment = await program(
      'trivy',
      `case "$1" in version) echo '{"Version":"0.69.3"}';; *) exit 1;; esac`,
    );
    await put('workspace/Dockerfile', dockerfile);
    expect((await scan({ trivy: 'on-path' }, environment)).outcome).toMatchObject({
      result: 'error',
      reasonCode: 'scan_failed',
      outputs: { passed: undefined },
    });
  });
});

describe('with an engine', () => {
  const recorded = join(import.meta.dirname, '../../packages/scanners/testdata/engine');
  const docker = `case "$1" in
info) cat '${recorded}/info.json';;
network) cat '${recorded}/bridge.json';;
ps) echo 0123;;
inspect) cat '${recorded}/containers.json';;
esac`;

  it('its settings and its containers are looked at, too, and a change is not blamed for them', async () => {
    await put('workspace/Dockerfile', dockerfile);
    await put('base/Dockerfile', dockerfile);
    const environment = { ...(await program('docker', docker)), DOCKER_HOST: 'unix:///nowhere.sock' };
    const { outcome, text } = await scan({ engine: 'docker-host' }, environment);
    expect(outcome.message).toContain('1 file scanned, the engine and 2 containers');
    expect(outcome.result).toBe('failed');
    expect(text).toContain('it is privileged');
    expect(text).toContain('CIS Docker 2.15');
    const compared = await scan({ engine: 'docker-host', baseline: join(folder, 'base') }, environment);
    expect(compared.outcome).toMatchObject({ result: 'succeeded', outputs: { new: 0 } });
  });

  it('is looked at only where DOCKER_HOST is set', async () => {
    await put('workspace/Dockerfile', dockerfile);
    const { outcome, text } = await scan({ engine: 'docker-host' }, await program('docker', docker));
    expect(outcome).toMatchObject({ result: 'succeeded', outputs: { findings: 0 } });
    expect(text).toContain('Engine: not looked at, because DOCKER\\_HOST is not set.');
  });

  it.each([
    ['does not answer', 'echo "Cannot connect to the Docker daemon" >&2; exit 1', 'unreachable'],
    ['answers with an error', `echo '{"ServerErrors":["Cannot connect to it"]}'`, 'unreachable'],
    ['answers nonsense', 'echo hello', 'scan_failed'],
  ])('that %s is told, and an error where it is required', async (_what, script, reasonCode) => {
    await put('workspace/Dockerfile', dockerfile);
    const environment = { ...(await program('docker', script)), DOCKER_HOST: 'unix:///nowhere.sock' };
    const { outcome, text } = await scan({ engine: 'docker-host' }, environment);
    if (reasonCode === 'unreachable') {
      expect(outcome.result).toBe('succeeded');
      expect(text).toMatch(/Engine: not looked at: .*Cannot connect to/);
    } else expect(outcome.result).toBe('error');
    expect((await scan({ engine: 'required' }, environment)).outcome).toMatchObject({
      result: 'error',
      reasonCode,
    });
  });
});
