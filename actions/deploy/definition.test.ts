import { asStepEnvironment, readInputs } from '@deploy-actions/action-kit';
import { parseConfig } from '@deploy-actions/config';
import { describe, expect, it } from 'vitest';
import { definition } from './definition.ts';

async function read(inputs: Record<string, string>, config = '') {
  const given = { environment: 'production', version: '2', strategy: 'canary', ...inputs };
  return readInputs(definition, {
    environment: asStepEnvironment(given),
    workspace: '/workspace',
    config: async () => parseConfig(config, 'production'),
    mask: () => {},
  });
}

const problemsOf = async (inputs: Record<string, string>, config?: string) => {
  const made = await read(inputs, config);
  return made.ok ? [] : made.problems.map(({ input, message }) => `${input} ${message}`);
};

describe('the inputs of deploy', () => {
  it('have names of checks with commas in them', async () => {
    const made = await read(
      { 'github-token': 'x' },
      'checks: { required: ["build (ubuntu, 24)", lint], timeout: 5m }',
    );
    expect(made).toMatchObject({
      inputs: { 'checks-required': ['build (ubuntu, 24)', 'lint'], 'checks-timeout': 300_000 },
    });
  });

  it('need a token where checks are required', async () => {
    expect(await problemsOf({}, 'checks: { required: [lint] }')).toEqual([
      expect.stringMatching(/^github-token is missing/),
    ]);
  });

  it('take the occasion from deploy.yml, and addresses never', async () => {
    expect(await read({}, 'notify: { on: always }')).toMatchObject({ inputs: { 'notify-on': 'always' } });
    await expect(read({}, 'notify: { slack-webhook: "https://hooks.example/x" }')).rejects.toMatchObject({
      reasonCode: 'invalid_config',
    });
  });

  it.each(['slack-webhook', 'webhook-url'])('do not say what is wrong with %s', async (input) => {
    const problems = await problemsOf({ [input]: 'hooks.example/secret' });
    expect(problems).toEqual([expect.stringMatching(`^${input} is not a URL; allowed is`)]);
    expect(problems.join()).not.toContain('secret');
  });

  it('sign nothing that is sent nowhere', async () => {
    expect(await problemsOf({ 'webhook-secret': 'shared' })).toEqual([
      expect.stringMatching(/^webhook-url is missing/),
    ]);
  });
});
