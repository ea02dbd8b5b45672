import { randomBytes } from 'node:crypto';
import { describeProblem, type InputValues, readInputs } from '@deploy-actions/action-kit';
import { journalTag } from '@deploy-actions/images';
import { afterEach, describe, expect, it } from 'vitest';
import { startRegistryDouble } from '../../packages/images/registry/test-support.ts';
import { cancelAfterWrite } from '../../test/support/cancelled-write.ts';
import { createTestContext } from '../../test/support/context.ts';
import { startFaultProxy } from '../../test/support/fault-proxy.ts';
import { definition } from './definition.ts';
import { post, run } from './run.ts';

type Inputs = InputValues<(typeof definition)['inputs']>;

const names = ['backend', 'portal'];
const both = ['linux/amd64', 'linux/arm64'];
const password = randomBytes(12).toString('hex');
const open: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.stop()));
});

/** Inputs as a workflow gives them. */
async function read(given: Record<string, string>): Promise<Inputs> {
  const result = await readInputs(definition, {
    environment: Object.fromEntries(
      Object.entries(given).map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value]),
    ),
    workspace: '/',
    config: async () => () => undefined,
    mask: () => {},
  });
  if (!result.ok) throw new Error(result.problems.map(describeProblem).join('\n'));
  return result.inputs;
}

/** A registry with a login, and two images that wait for their promotion. */
async function registryWithCandidates() {
  const double = await startRegistryDouble({ auth: { scheme: 'bearer', username: 'robot', password } });
  open.push(double);
  const digests = names.map((name) => {
    double.addImage(`acme/${name}`, '1.4', both, `${name} old`);
    return double.addImage(`acme/${name}`, 'candidate-1', both, `${name} new`);
  });
  const referencesAt = (registry: string) =>
    names.map((name, index) => `${registry}/acme/${name}@${digests[index]}`);
  const inputsAt = (registry: string, more: Record<string, string> = {}) => {
    const references = referencesAt(registry);
    return read({
      images: names.map((name, index) => `${name}=${references[index]}`).join('\n'),
      'scan-passed': 'true',
      scanned: JSON.stringify(Object.fromEntries(references.map((each) => [`image:${each}`, 'report.json']))),
      tags: 'semver, environment',
      version: '1.4.2',
      environment: 'production',
      registry,
      username: 'robot',
      password,
      ...more,
    });
  };
  const tags = () => names.map((name) => Object.fromEntries(double.repository(`acme/${name}`).tags));
  return { double, digests, inputsAt, tags, references: referencesAt(double.registry) };
}

function stepContext(signal = new AbortController().signal) {
  const state = new Map<string, string>();
  const test = createTestContext({
    environment: {},
    signal,
    remember: (name, value) => void state.set(name, value),
    recall: (name) => state.get(name) ?? '',
  });
  return { ...test, state };
}

describe('promote-images', () => {
  it('sets all tags by digest, then has nothing to do', async () => {
    const { double, digests, inputsAt, tags, references } = await registryWithCandidates();
    const { context } = stepContext();
    const inputs = await inputsAt(double.registry);
    const outcome = await run(inputs, context);
    expect(outcome).toMatchObject({ result: 'succeeded', reasonCode: 'ok', outputs: { written: 8 } });
    expect(outcome.outputs.images).toBe(
      names.map((name, index) => `${name}=${references[index]}`).join('\n'),
    );
    expect(JSON.parse(String(outcome.outputs.tags))).toEqual({
      backend: ['1.4.2', '1.4', '1', 'production'],
      portal: ['1.4.2', '1.4', '1', 'production'],
    });
    for (const [index, image] of tags().entries()) {
      const digest = digests[index];
      expect(image).toMatchObject({ '1.4.2': digest, '1.4': digest, '1': digest, production: digest });
    }
    expect(context.summary.text()).toContain('| backend | `1.4` |');
    expect(await run(inputs, context)).toMatchObject({ result: 'unchanged', reasonCode: 'already_current' });
    expect(double.violations).toEqual([]);
  });

  it('shows the plan with dry-run and writes nothing', async () => {
    const { double, inputsAt, tags } = await registryWithCandidates();
    const before = tags();
    const { context } = stepContext();
    const outcome = await run(await inputsAt(double.registry, { 'dry-run': 'true' }), context);
    expect(outcome).toMatchObject({ result: 'planned', reasonCode: 'dry_run' });
    expect(outcome.message).toContain('8 tags would be set');
    expect(context.summary.text()).toMatch(/`1\.4` \| `\w{12}` \| moves from \w{12}/);
    expect(tags()).toEqual(before);
    expect(double.requests.filter((line) => /^(?:PUT|POST|DELETE)/.test(line))).toEqual([]);
  });

  it.each([
    ['that did not pass', { 'scan-passed': 'false' }, 'findings_over_limit'],
    ['of nothing', { scanned: '[]' }, 'image_not_scanned'],
    ['of tags', { scanned: '["image:acme/backend:1.4.2"]' }, 'image_not_scanned'],
  ])('refuses with a scan %s, before a write', async (_what, given, reasonCode) => {
    const { double, inputsAt, tags } = await registryWithCandidates();
    const before = tags();
    const outcome = await run(await inputsAt(double.registry, given), stepContext().context);
    expect(outcome).toMatchObject({ result: 'refused', reasonCode });
    expect(tags()).toEqual(before);
  });

  it('takes an index as scanned when all its platforms were, and not when one was', async () => {
    const { double, digests, inputsAt } = await registryWithCandidates();
    const children = names.map((name, index) => {
      const body =
        double
          .repository(`acme/${name}`)
          .manifests.get(digests[index] ?? '')
          ?.body.toString() ?? '';
      return (JSON.parse(body) as { manifests: { digest: string }[] }).manifests.map(({ digest }) => digest);
    });
    const withScanned = async (scanned: string[]) =>
      run(await inputsAt(double.registry, { scanned: JSON.stringify(scanned) }), stepContext().context);
    expect(await withScanned(children.flat().slice(1))).toMatchObject({
      reasonCode: 'image_not_scanned',
      message: expect.stringMatching(/backend .* this digest was not scanned/) as string,
    });
    expect(await withScanned(children.flat())).toMatchObject({ result: 'succeeded' });
  });

  it('refuses a tag of a release that is another image', async () => {
    const { double, inputsAt, tags } = await registryWithCandidates();
    double.addImage('acme/portal', '1.4.2', both, 'published before');
    const before = tags();
    const outcome = await run(await inputsAt(double.registry), stepContext().context);
    expect(outcome).toMatchObject({ result: 'refused', reasonCode: 'tag_immutable' });
    expect(tags()).toEqual(before);
  });

  it('refuses before a write what comes to latest alone, or to no tag', async () => {
    const { double, inputsAt } = await registryWithCandidates();
    const { context } = stepContext();
    Object.assign(context.facts, { ref: 'refs/heads/main' });
    for (const [tags, message] of [
      ['semver, latest', 'Only `latest` follows'],
      ['semver', 'No tag follows'],
    ]) {
      await expect(
        run(await inputsAt(double.registry, { tags: tags ?? '', version: '' }), context),
      ).rejects.toMatchObject({
        reasonCode: 'invalid_input',
        message: expect.stringContaining(message ?? '') as string,
      });
    }
    expect(double.requests).toEqual([]);
  });

  it('wants the platforms that were built', async () => {
    const { double, inputsAt } = await registryWithCandidates();
    const details = JSON.stringify({
      backend: { platforms: ['linux/amd64', 'linux/s390x'] },
    });
    const outcome = await run(await inputsAt(double.registry, { details }), stepContext().context);
    expect(outcome).toMatchObject({ result: 'refused', reasonCode: 'image_unverified' });
    expect(outcome.message).toContain('linux/s390x');
  });

  it('puts all tags back when one cannot be written, and says why', async () => {
    const { double, inputsAt, tags } = await registryWithCandidates();
    const before = tags();
    const proxy = await startFaultProxy({ target: `http://${double.registry}` });
    open.push(proxy);
    proxy.program([
      {
        method: 'PUT',
        path: '/v2/acme/portal/manifests/production',
        fault: {
          kind: 'answer',
          status: 400,
          body: { errors: [{ code: 'DENIED', message: 'the quota is used up' }] },
        },
      },
    ]);
    const { context, lines } = stepContext();
    const outcome = await run(await inputsAt(proxy.url.replace('http://', '')), context);
    expect(outcome).toMatchObject({ result: 'rolled-back', reasonCode: 'reverted' });
    expect(outcome.message).toContain('the quota is used up');
    expect(tags().map(({ [journalTag]: _journal, ...rest }) => rest)).toEqual(before);
    expect([...lines, context.summary.text(), JSON.stringify(outcome)].join('\n')).not.toContain(password);
  });

  it('puts all tags back when it is cancelled, and the post step does where it could not', async () => {
    const { double, inputsAt, tags } = await registryWithCandidates();
    const before = tags();
    const proxy = await startFaultProxy({ target: `http://${double.registry}` });
    open.push(proxy);
    const inputs = await inputsAt(proxy.url.replace('http://', ''));
    for (const isBackBroken of [false, true]) {
      const signal = cancelAfterWrite(proxy, '/v2/acme/portal/manifests/1', isBackBroken);
      const { context } = stepContext(signal);
      const outcome = await run(inputs, context);
      expect(outcome).toMatchObject(
        isBackBroken ? { reasonCode: 'revert_failed' } : { result: 'cancelled', reasonCode: 'cancelled' },
      );
      if (isBackBroken) {
        proxy.program([]);
        await post(inputs, { ...context, signal: new AbortController().signal });
      }
      expect(tags().map(({ [journalTag]: _journal, ...rest }) => rest)).toEqual(before);
    }
  });
});

describe('the inputs of promote-images', () => {
  const reference = `ghcr.io/acme/backend@sha256:${'a'.repeat(64)}`;
  const right = { images: reference, 'scan-passed': 'true', scanned: '[]' };

  it('may be few', async () => {
    expect((await read(right)).images).toEqual([reference]);
  });

  it.each([
    ['an image by tag', { images: 'ghcr.io/acme/backend:1.4.2' }, 'images: .*no image by digest'],
    ['an image twice', { images: `${reference}, other=${reference}` }, 'one image a repository'],
    ['no image', { images: '' }, 'images: is required'],
    ['a name twice', { images: `a=${reference}, a=${reference.replace('backend', 'other')}` }, 'has a twice'],
    ['details without platforms', { details: '{"backend":{}}' }, 'details: is not allowed'],
    ['no verdict', { 'scan-passed': '' }, 'scan-passed: is required'],
    ['a scan of numbers', { scanned: '[1]' }, 'scanned: is not allowed'],
    ['latest alone', { tags: 'latest' }, 'tags: '],
    ['no environment', { tags: 'environment' }, 'environment: is missing'],
    ['half a login', { username: 'robot', registry: 'ghcr.io' }, 'password: is missing'],
  ])('are refused: %s', async (_what, given, message) => {
    await expect(read({ ...right, ...given })).rejects.toThrow(new RegExp(message));
  });
});
