import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig, parseConfig } from './load.ts';

const text = `
health:
  url: https://example.com/health/
  timeout: 5m
environments:
  production:
    health:
      timeout: 10m
  staging:
`;

describe('a deploy.yml', () => {
  it('says the environment’s own before the common, and where', async () => {
    const lookup = await parseConfig(text, 'production');
    expect(lookup('health.timeout')).toEqual({
      value: '10m',
      where: '.github/deploy.yml environments.production.health.timeout',
    });
    expect(lookup('health.url')).toEqual({
      value: 'https://example.com/health/',
      where: '.github/deploy.yml health.url',
    });
    expect(lookup('health.interval')).toBeUndefined();
  });

  it.each(['staging', ''])('says the common for %j', async (environment) => {
    expect((await parseConfig(text, environment))('health.timeout')).toMatchObject({ value: '5m' });
  });

  it.each(['', '# nothing\n', 'environments:\n'])('may say nothing: %j', async (empty) => {
    expect((await parseConfig(empty, 'production'))('health.url')).toBeUndefined();
  });

  it.each([
    ['an unknown environment', text, 'prod', /no environment "prod"/, /production, staging/],
    ['an unknown key', 'helth: {}', '', /helth is not a known key/, /health/],
    ['an unknown key below', 'health: { tiemout: 1s }', '', /health\.tiemout/, /timeout/],
    [
      'an unknown key of another environment',
      'environments: { production: {}, staging: { x: 1 } }',
      'production',
      /environments\.staging\.x/,
      /health/,
    ],
    ['no mapping', '- a', '', /must be a mapping/, undefined],
    ['environments that are none', 'environments: [a]', '', /environments must be a mapping/, undefined],
    [
      'an environment that is none',
      'environments: { production: 1 }',
      '',
      /environments\.production must be/,
      undefined,
    ],
    ['no YAML', 'a: [', '', /is not valid YAML/, undefined],
    ['a key twice', 'health: {}\nhealth: {}', '', /duplicated mapping key/, undefined],
  ])('with %s is refused', async (_name, content, environment, message, remedy) => {
    const refused = await parseConfig(content, environment).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(refused).toMatchObject({ reasonCode: 'invalid_config', message: expect.stringMatching(message) });
    if (remedy !== undefined) expect(refused).toMatchObject({ remedy: expect.stringMatching(remedy) });
  });
});

describe('the workspace', () => {
  let workspace = '';
  beforeAll(async () => {
    workspace = await mkdtemp(join(tmpdir(), 'config-test-'));
  });
  afterAll(() => rm(workspace, { recursive: true }));

  it('needs no deploy.yml', async () => {
    expect((await loadConfig(workspace, 'production'))('health.url')).toBeUndefined();
  });

  it('has it in .github', async () => {
    await mkdir(join(workspace, '.github'));
    await writeFile(join(workspace, '.github/deploy.yml'), text);
    expect((await loadConfig(workspace, 'production'))('health.timeout')).toMatchObject({ value: '10m' });
  });

  it('with one that cannot be read is refused', async () => {
    await rm(join(workspace, '.github/deploy.yml'));
    await mkdir(join(workspace, '.github/deploy.yml'));
    await expect(loadConfig(workspace, '')).rejects.toMatchObject({ reasonCode: 'invalid_config' });
  });
});
