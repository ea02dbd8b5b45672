import { chmod, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { asStepEnvironment, describeProblem, type InputValues, readInputs } from '@deploy-actions/action-kit';
import { journalTag } from '@deploy-actions/images';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startRegistryDouble } from '../../packages/images/registry/test-support.ts';
import { cancelAfterWrite } from '../../test/support/cancelled-write.ts';
import { createTestContext } from '../../test/support/context.ts';
import { type FaultProxy, startFaultProxy } from '../../test/support/fault-proxy.ts';
import { definition } from './definition.ts';
import { post, run } from './run.ts';
import { createBuildFolder } from './test-support.ts';

const names = ['backend', 'portal', 'worker'];
const platforms = ['linux/amd64'];
const candidate = 'candidate-4f9c1e7ab2d8-81-1';
const ours = ['1.4.2', '1.4', '1', 'sha-4f9c1e7ab2d8'];

// A stand-in for docker that says it has pushed what the test has put at the registry.
const standIn = `#!/bin/sh
case "$*" in
'buildx version') echo "github.com/docker/buildx v0.38.2 abc"; exit 0 ;;
'buildx inspect'*) printf 'Name: b\\nDriver: remote\\nBuildKit version: v0.34.2\\nPlatforms: linux/amd64\\n'; exit 0 ;;
esac
touch "$CALLED"
previous=
for word in "$@"; do
  [ "$previous" = --metadata-file ] && printf '%s' "$METADATA" > "$word"
  previous=$word
done
`;
const dockerfile = `FROM scratch\nUSER 65534\nHEALTHCHECK NONE\n`;

let folder = '';
const open: { stop(): Promise<void> }[] = [];
beforeEach(async () => {
  folder = await createBuildFolder(standIn, dockerfile);
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.stop()));
  await rm(folder, { recursive: true });
});

type Inputs = InputValues<(typeof definition)['inputs']>;

/** A registry with three images that were built, each with the tags `1`, `1.4` and `latest` of before. */
async function shop() {
  const double = await startRegistryDouble();
  const proxy = await startFaultProxy({ target: `http://${double.registry}` });
  open.push(double, proxy);
  const old = names.map((name) => {
    for (const tag of ['1.4', 'latest']) double.addImage(`acme/${name}`, tag, platforms, `${name} old`);
    return double.addImage(`acme/${name}`, '1', platforms, `${name} old`);
  });
  const built = names.map((name) => double.addImage(`acme/${name}`, candidate, platforms, `${name} new`));
  /** The tags that people follow, of each image. */
  const tags = () =>
    names.map((name) =>
      Object.fromEntries(
        [...double.repository(`acme/${name}`).tags].filter(
          ([tag]) => !/^(?:candidate|inputs)-/.test(tag) && tag !== journalTag,
        ),
      ),
    );
  return { double, proxy, old, built, tags };
}
type Shop = Awaited<ReturnType<typeof shop>>;

/** `built`: by the builder of this runner; `merged`: by native runners. */
const ways = ['built', 'merged'] as const;

async function inputsOf(
  { proxy, built }: Shop,
  way: (typeof ways)[number],
  more: Record<string, string>,
): Promise<Inputs> {
  const parts = Object.fromEntries(names.map((name, index) => [name, [built[index]]]));
  const read = await readInputs(definition, {
    environment: asStepEnvironment({
      images: JSON.stringify(Object.fromEntries(names.map((name) => [name, { context: '.' }]))),
      prefix: `${new URL(proxy.url).host}/acme/`,
      platforms: 'linux/amd64',
      rebuild: 'all',
      push: 'tags',
      limits: 'none',
      sarif: 'false',
      ...(way === 'merged' && { merge: JSON.stringify(parts) }),
      ...more,
    }),
    workspace: join(folder, 'workspace'),
    config: async () => () => undefined,
    mask: () => {},
  });
  if (!read.ok) throw new Error(read.problems.map(describeProblem).join('\n'));
  return read.inputs;
}

function stepContext({ built }: Shop, own: { ref?: string; signal?: AbortSignal } = {}) {
  const state = new Map<string, string>();
  const test = createTestContext({
    environment: {
      PATH: `${join(folder, 'bin')}:/usr/bin:/bin`,
      CALLED: join(folder, 'called'),
      METADATA: JSON.stringify(
        Object.fromEntries(names.map((name, index) => [name, { 'containerimage.digest': built[index] }])),
      ),
      SOURCE_DATE_EPOCH: '1700000000',
    },
    ...(own.signal !== undefined && { signal: own.signal }),
    remember: (name, value) => void state.set(name, value),
    recall: (name) => state.get(name) ?? '',
  });
  Object.assign(test.context.facts, {
    workspace: join(folder, 'workspace'),
    temp: join(folder, 'temp'),
    ref: own.ref ?? 'refs/tags/v1.4.2',
    sha: '4f9c1e7ab2d86035c4e1f7a9d3b25e608c7f1a42',
    runId: '81',
    runAttempt: '1',
  });
  return test;
}

/** Merged, an image has an index of its own, over the same manifests. */
const digestsAt = ({ double }: Shop) =>
  names.map((name) => double.repository(`acme/${name}`).tags.get(candidate) ?? '');

const protectedTag = (proxy: FaultProxy, path: RegExp) =>
  proxy.program([{ method: 'PUT', path, fault: { kind: 'answer', status: 400 } }]);

describe.each(ways)('push: tags, %s', (way) => {
  it('gives every image the tags of the release', async () => {
    const made = await shop();
    const { context } = stepContext(made);
    const outcome = await run(await inputsOf(made, way, {}), context);
    expect(outcome).toMatchObject({ result: 'succeeded', reasonCode: 'ok', outputs: { candidate } });
    expect(outcome.message).toContain('12 tags of 3 images set and verified');
    const digests = digestsAt(made);
    for (const [index, found] of made.tags().entries())
      expect(found).toEqual({
        ...Object.fromEntries(ours.map((tag) => [tag, digests[index]])),
        latest: made.old[index],
      });
    const details = JSON.parse(String(outcome.outputs.details)) as Record<string, { tags: string[] }>;
    expect(details['portal']?.tags).toEqual([candidate, ...ours.slice(0, 1), 'sha-4f9c1e7ab2d8', '1.4', '1']);
    expect(context.summary.text()).toContain('- tagged 1.4.2, ');
  });

  it('puts all tags back when the registry refuses one of the last image', async () => {
    const made = await shop();
    const before = made.tags();
    protectedTag(made.proxy, /\/acme\/worker\/manifests\/1\.4\.2$/);
    const outcome = await run(await inputsOf(made, way, {}), stepContext(made).context);
    expect(outcome).toMatchObject({ result: 'rolled-back', reasonCode: 'reverted', outputs: { candidate } });
    expect(outcome.message).toContain('All tags are what they were');
    expect(made.tags()).toEqual(before);
  });

  it('never gives a version to another image, and leaves 1 and latest at a later release', async () => {
    const made = await shop();
    for (const name of names) made.double.addImage(`acme/${name}`, '1.5.0', platforms, `${name} later`);
    const inputs = await inputsOf(made, way, { tags: 'semver, latest' });
    const outcome = await run(inputs, stepContext(made).context);
    expect(outcome.message).toContain('1 stays: 1.5.0 is later, latest stays: 1.5.0 is later');
    for (const [index, found] of made.tags().entries())
      expect(found).toMatchObject({ '1': made.old[index], latest: made.old[index] });
    made.double.addImage('acme/portal', '1.4.2', platforms, 'published before');
    const before = made.tags();
    expect(await run(inputs, stepContext(made).context)).toMatchObject({
      result: 'refused',
      reasonCode: 'tag_immutable',
      message: expect.stringContaining('acme/portal:1.4.2') as string,
    });
    expect(made.tags()).toEqual(before);
  });

  it('puts all tags back when it is cancelled, and its post step does where it could not', async () => {
    for (const isBackBroken of [false, true]) {
      const made = await shop();
      const before = made.tags();
      const signal = cancelAfterWrite(made.proxy, '/v2/acme/portal/manifests/1', isBackBroken);
      const { context } = stepContext(made, { signal });
      const inputs = await inputsOf(made, way, {});
      expect(await run(inputs, context)).toMatchObject({
        reasonCode: isBackBroken ? 'revert_failed' : 'cancelled',
      });
      if (isBackBroken) {
        made.proxy.program([]);
        await post(inputs, { ...context, signal: new AbortController().signal });
      }
      expect(made.tags()).toEqual(before);
    }
  });

  it.each([
    ['only latest', 'semver, latest', 'Only `latest` follows'],
    ['no tag', 'semver', 'No tag follows'],
  ])('is refused before anything is built where it comes to %s', async (_what, tags, message) => {
    const made = await shop();
    const { context } = stepContext(made, { ref: 'refs/heads/main' });
    const writes = () => made.double.requests.filter((line) => !/^(?:GET|HEAD)/.test(line));
    await expect(run(await inputsOf(made, way, { tags }), context)).rejects.toMatchObject({
      reasonCode: 'invalid_input',
      message: expect.stringContaining(message) as string,
    });
    expect(writes()).toEqual([]);
    await expect(chmod(join(folder, 'called'), 0o600)).rejects.toThrow('ENOENT');
  });
});
