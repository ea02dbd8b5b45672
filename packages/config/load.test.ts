import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DeployError, messageOf } from '@deploy-actions/core';
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
      where: '.github/deploy.yml:8:16 environments.production.health.timeout',
    });
    expect(lookup('health.url')).toEqual({
      value: 'https://example.com/health/',
      where: '.github/deploy.yml:3:8 health.url',
    });
    expect(lookup('health.interval')).toBeUndefined();
  });

  it.each(['staging', ''])('says the common for %j', async (environment) => {
    expect((await parseConfig(text, environment))('health.timeout')).toMatchObject({ value: '5m' });
  });

  it.each(['', '# nothing\n', 'environments:\n'])('may say nothing: %j', async (empty) => {
    expect((await parseConfig(empty, 'production'))('health.url')).toBeUndefined();
  });

  it.each<[string, string, string, string, string | undefined]>([
    [
      'an unknown environment',
      text,
      'prodction',
      '5:1: There is no environment "prodction".',
      'Did you mean `production`? There are `production`, `staging`. Use one of these, or add it.',
    ],
    [
      'an unknown key',
      'helth: {}',
      '',
      '1:1: helth is not a known key.',
      'Did you mean `health`? Known keys are',
    ],
    [
      'an unknown key below',
      'health:\n  url: x\n  tiemout: 1s\n',
      '',
      '3:3: health.tiemout is not a known key.',
      'Did you mean `timeout`? Known keys below health are `body`, ',
    ],
    [
      'an unknown key of another environment',
      'environments: { production: {}, staging: { x: 1 } }',
      'production',
      '1:44: environments.staging.x is not a known key.',
      'Known keys are',
    ],
    [
      'a value for a section',
      'health: 5',
      '',
      '1:9: health must be a mapping of settings.',
      'Known keys below it are',
    ],
    ['no mapping', '# list\n- a', '', '2:1: The file must be a mapping of settings.', undefined],
    [
      'environments that are none',
      'environments: [a]',
      '',
      '1:15: environments must be a mapping of environments by name.',
      undefined,
    ],
    [
      'an environment that is none',
      'environments: { production: 1 }',
      '',
      '1:29: environments.production must be a mapping of settings.',
      undefined,
    ],
    ['no YAML', 'a: [', '', '1:5: This is not valid YAML: ', undefined],
    [
      'a key twice',
      'health: {}\nhealth: {}',
      '',
      '2:1: This is not valid YAML: the key `health` is there twice, here and at 1:1.',
      undefined,
    ],
    [
      'a merge key',
      'health: &h\n  url: x\nprobe:\n  <<: *h\n',
      '',
      '4:3: probe.<< is not a known key.',
      'Merge keys',
    ],
    [
      'extends at the top',
      'extends: x',
      '',
      '1:1: extends is not a known key.',
      '`extends` stands below an environment.',
    ],
    [
      'environments in one',
      'environments: {a: {environments: {}}}',
      '',
      '1:20: environments.a.environments is not a known key.',
      'Known',
    ],
    ['a key of everything', 'constructor: 1', '', '1:1: constructor is not a known key.', 'Known'],
  ])('with %s is refused', async (_name, content, environment, message, remedy) => {
    const refused = await parseConfig(content, environment).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(refused).toMatchObject({
      reasonCode: 'invalid_config',
      message: expect.stringContaining(`.github/deploy.yml:${message}`),
    });
    if (remedy !== undefined) expect((refused as DeployError).remedy).toContain(remedy);
  });

  it('is refused with all that is wrong, in the order of the file', async () => {
    const content = 'helth: {}\nhealth:\n  url: 1\n  url: 2\nenvironments:\n  a: { extends: b }\n  c: 1\n';
    const refused = await parseConfig(content, 'a').catch((thrown: unknown) => messageOf(thrown));
    expect(String(refused).split('\n')).toEqual([
      '.github/deploy.yml has 4 problems; nothing was touched.',
      expect.stringContaining('- .github/deploy.yml:1:1: helth is not a known key. Did you mean `health`?'),
      '- .github/deploy.yml:4:3: This is not valid YAML: the key `url` is there twice, here and at 3:3.',
      expect.stringContaining(':6:17: environments.a.extends names "b", which is no environment.'),
      '- .github/deploy.yml:7:6: environments.c must be a mapping of settings.',
    ]);
  });

  it('names twenty of a thousand mistakes', async () => {
    const content = Array.from({ length: 1_000 }, (_, index) => `key-${index}: 1`).join('\n');
    const message = await parseConfig(content, '').catch(messageOf);
    expect(String(message).split('\n')).toHaveLength(22);
    expect(message).toContain('… and 980 more');
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

  it('with one that is not UTF-8 is refused', async () => {
    await rm(join(workspace, '.github/deploy.yml'), { recursive: true });
    await writeFile(join(workspace, '.github/deploy.yml'), Buffer.from('app: caf\xe9\n', 'latin1'));
    await expect(loadConfig(workspace, '')).rejects.toMatchObject({
      reasonCode: 'invalid_config',
      message: '.github/deploy.yml:1:1: The file cannot be read: it is not UTF-8.',
    });
  });
});
