import { silentLog } from '@deploy-actions/core';
import { afterEach, describe, expect, it } from 'vitest';
import { openRegistries } from './client.ts';
import { anonymous } from './credential.ts';
import {
  type Candidate,
  carryOut,
  changesOf,
  planPromotion,
  type PromotionAccess,
  settlePromotions,
} from './promotion.ts';
import { journalTag, readJournals } from './promotion-journal.ts';
import { describeRelease, describeTakenBack, release } from './release.ts';
import { type ReleaseTag, releaseTags } from './release-tags.ts';
import { type DoubleOptions, type RegistryDouble, startRegistryDouble } from './test-support.ts';

const both = ['linux/amd64', 'linux/arm64'];
const names = ['backend', 'portal'];
const open: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.stop()));
});

type Fetch = typeof fetch;

function accessWith(send: Fetch = fetch): PromotionAccess {
  const registries = openRegistries({
    credentials: anonymous,
    log: silentLog,
    signal: new AbortController().signal,
    mask: () => {},
    fetch: send,
    patience: { attempts: 2, total: 1_000, pause: 1 },
  });
  return { registries, back: registries, log: silentLog, run: 'https://github.example/runs/1' };
}

function tagsOf(version: string, more: string[] = []): ReleaseTag[] {
  return releaseTags(
    ['semver', ...more],
    { ref: `refs/tags/v${version}`, sha: '', run: '', version: undefined },
    'production',
  );
}

/** Two repositories, each with a release 1.4.1 and a candidate for the next. */
async function shop(options?: DoubleOptions) {
  const double = await startRegistryDouble(options);
  open.push(double);
  const images = names.map((name) => ({ name, image: { registry: double.registry, path: `acme/${name}` } }));
  const digests = new Map<string, string>();
  for (const { name, image } of images) {
    for (const tag of ['1.4.1', '1.4', '1', 'production'])
      double.addImage(image.path, tag, both, `${name} old`);
    for (const content of ['new', 'newer'])
      digests.set(
        `${name} ${content}`,
        double.addImage(image.path, `candidate-${content}`, both, `${name} ${content}`),
      );
  }
  const candidates = (version = '1.4.2', content = 'new', more: string[] = ['environment']): Candidate[] =>
    images.map(({ name, image }) => ({
      name,
      image,
      digest: digests.get(`${name} ${content}`) ?? '',
      platforms: both,
      tags: tagsOf(version, more),
    }));
  const state = () =>
    Object.fromEntries(
      images.map(({ name, image }) => {
        const { tags } = double.repository(image.path);
        return [name, Object.fromEntries([...tags].filter(([tag]) => tag !== journalTag))];
      }),
    );
  const promoted = (content = 'new', version = '1.4.2', tags = ['1.4', '1', 'production', version]) =>
    Object.fromEntries(
      names.map((name) => [
        name,
        expect.objectContaining(
          Object.fromEntries(tags.map((tag) => [tag, digests.get(`${name} ${content}`)])),
        ) as unknown,
      ]),
    );
  return { double, images: images.map(({ image }) => image), candidates, state, promoted };
}

async function promote(candidates: readonly Candidate[], access: PromotionAccess) {
  const settled = await settlePromotions(
    candidates.map(({ image }) => image),
    access,
  );
  return { settled, end: await carryOut(await planPromotion(access.registries, candidates), access) };
}

const isWrite = (init: RequestInit | undefined) => !['GET', 'HEAD'].includes(init?.method ?? 'GET');

/** Dead from its n-th write on, which does not take effect: nothing of it is heard again. */
function dyingAt(n: number): { send: Fetch; died: () => boolean } {
  let writes = 0;
  const send: Fetch = async (url, init) => {
    if (isWrite(init)) writes += 1;
    if (writes >= n) throw new Error('dead');
    return fetch(url, init);
  };
  return { send, died: () => writes >= n };
}

/** No tag like this is taken. */
function refusing(tag: RegExp): Fetch {
  return async (url, init) => {
    if (init?.method === 'PUT' && tag.test(String(url)))
      return Response.json(
        { errors: [{ code: 'DENIED', message: 'the tag is protected' }] },
        { status: 400 },
      );
    return fetch(url, init);
  };
}

describe('a promotion', () => {
  it('gives every image its tags, verified, and is nothing to do the second time', async () => {
    const { double, candidates, state, promoted } = await shop();
    const { end } = await promote(candidates(), accessWith());
    expect(end).toEqual({ kind: 'promoted' });
    expect(state()).toEqual(promoted());
    const writes = () => double.requests.filter((line) => /^(?:PUT|POST|DELETE)/.test(line)).length;
    const before = writes();
    const plan = await planPromotion(accessWith().registries, candidates());
    expect(plan.tags.every(({ kind }) => kind === 'current')).toBe(true);
    expect((await promote(candidates(), accessWith())).end).toEqual({ kind: 'promoted' });
    expect(writes()).toBe(before);
    expect(double.violations).toEqual([]);
  });

  it('writes nothing when a tag of a release is another image, and says all of them', async () => {
    const { double, candidates } = await shop();
    const before = double.requests.filter((line) => !/^(?:GET|HEAD)/.test(line)).length;
    await expect(promote(candidates('1.4.1'), accessWith())).rejects.toMatchObject({
      reasonCode: 'tag_immutable',
      message: expect.stringMatching(/backend:1\.4\.1 is .*portal:1\.4\.1 is /) as string,
    });
    expect(double.requests.filter((line) => !/^(?:GET|HEAD)/.test(line))).toHaveLength(before);
  });

  it('writes nothing when a platform of one image is lost', async () => {
    const { double, candidates, state } = await shop();
    const before = state();
    const { facts } = (await planPromotion(accessWith().registries, candidates())).images[1] ?? {};
    double.repository('acme/portal').manifests.delete(facts?.platforms[0]?.digest ?? '');
    await expect(promote(candidates(), accessWith())).rejects.toMatchObject({
      reasonCode: 'image_unverified',
    });
    expect(state()).toEqual(before);
  });

  it('leaves 1 and latest at a later release, and moves 1.4', async () => {
    const { double, candidates, state, promoted } = await shop();
    const later = names.map((name) => {
      for (const tag of ['1', 'latest']) double.addImage(`acme/${name}`, tag, both, `${name} later`);
      return double.addImage(`acme/${name}`, '1.5.0', both, `${name} later`);
    });
    const chosen = candidates('1.4.2', 'new', ['latest']);
    const plan = await planPromotion(accessWith().registries, chosen);
    expect(plan.tags.filter(({ kind }) => kind === 'kept').map(({ tag, later: by }) => [tag, by])).toEqual(
      names.flatMap(() => [
        ['1', '1.5.0'],
        ['latest', '1.5.0'],
      ]),
    );
    await promote(chosen, accessWith());
    expect(state()).toEqual(promoted('new', '1.4.2', ['1.4', '1.4.2']));
    expect(names.map((name) => state()[name]?.['1'])).toEqual(later);
  });
});

describe('a commit that is built again', () => {
  const origin = { ref: 'refs/heads/main', sha: 'c'.repeat(40), run: '', version: undefined };
  const bySha = `sha-${'c'.repeat(12)}`;

  it('gets its branch, and leaves the tag of the commit at the first image', async () => {
    const { candidates, state } = await shop();
    const tagged = (content: string, rules: string[]) =>
      candidates('', content).map((candidate) => ({
        ...candidate,
        tags: releaseTags(rules, origin, undefined),
      }));
    await promote(tagged('new', ['branch', 'sha']), accessWith());
    const first = names.map((name) => state()[name]?.[bySha]);
    const again = tagged('newer', ['semver', 'branch', 'sha']);
    const released = await release(again, accessWith(), () => {});
    expect(describeRelease(released)).toMatchObject({
      result: 'succeeded',
      reasonCode: 'ok',
      message: `2 tags of 2 images set and verified. ${bySha} stays: it names the first image of this commit.`,
    });
    expect(names.map((name) => state()[name]?.[bySha])).toEqual(first);
    expect(names.map((name) => state()[name]?.['main'])).toEqual(again.map(({ digest }) => digest));

    await promote(tagged('new', ['branch', 'sha']), accessWith());
    const alone = await release(tagged('newer', ['sha']), accessWith(), () => {});
    expect(describeRelease(alone)).toMatchObject({
      result: 'unchanged',
      reasonCode: 'tag_immutable',
      message: expect.stringMatching(
        /^Of this release no tag was set\. .* No tag of this release points at backend, portal/,
      ) as string,
    });
  });
});

describe('a promotion of what is written out', () => {
  it('never gives v1.4.2 to another image', async () => {
    const { double, candidates } = await shop();
    double.addImage('acme/portal', 'v1.4.2', both, 'published before');
    const tags = releaseTags(
      ['v1.4.2'],
      { ref: 'refs/heads/main', sha: '', run: '', version: undefined },
      undefined,
    );
    await expect(
      promote(
        candidates().map((candidate) => ({ ...candidate, tags })),
        accessWith(),
      ),
    ).rejects.toMatchObject({ reasonCode: 'tag_immutable' });
  });

  it.each([true, false])('leaves latest where it is for a pre-release; there before: %s', async (isThere) => {
    const { double, candidates, state } = await shop();
    const before = isThere
      ? names.map((name) => double.addImage(`acme/${name}`, 'latest', both, `${name} old`))
      : [undefined, undefined];
    const chosen = candidates('1.5.0-rc.1', 'new', ['latest']);
    const plan = await planPromotion(accessWith().registries, chosen);
    expect(plan.tags.find(({ tag }) => tag === 'latest')).toMatchObject({
      kind: 'kept',
      why: '1.5.0-rc.1 is a pre-release',
    });
    await promote(chosen, accessWith());
    expect(names.map((name) => state()[name]?.['latest'])).toEqual(before);
    expect(state()['portal']).toHaveProperty(['1.5.0-rc.1']);
  });
});

describe('a promotion that fails', () => {
  it.each([
    'acme/backend/manifests/1.4.2$',
    'acme/portal/manifests/1.4.2$',
    'acme/portal/manifests/production$',
  ])('puts back what it wrote: %s is refused', async (tag) => {
    const { double, candidates, state, images } = await shop();
    const before = state();
    const { end } = await promote(candidates(), accessWith(refusing(new RegExp(tag))));
    expect(end).toMatchObject({ kind: 'taken-back', left: [], why: { reasonCode: 'registry_rejected' } });
    expect(state()).toEqual(before);
    expect(await readJournals(accessWith().registries, images)).toEqual([]);
    expect(double.violations).toEqual([]);
  });

  it('takes new tags away where the registry deletes manifests alone', async () => {
    const { candidates, state } = await shop({ deletes: 'manifests' });
    const before = state();
    const { end } = await promote(candidates(), accessWith(refusing(/portal\/manifests\/production$/)));
    expect(end).toMatchObject({ kind: 'taken-back', left: [] });
    expect(state()).toEqual(before);
  });

  it('says which new tags stay where the registry deletes none', async () => {
    const { candidates, state } = await shop({ deletes: 'nothing' });
    const before = state();
    const { end } = await promote(candidates(), accessWith(refusing(/portal\/manifests\/production$/)));
    expect(end).toMatchObject({
      kind: 'taken-back',
      left: [
        expect.stringContaining('acme/portal:1.4.2 is new and stays'),
        expect.stringContaining('acme/backend:1.4.2 is new and stays'),
      ],
    });
    for (const name of names) expect(state()[name]).toMatchObject(before[name] ?? {});
  });

  it('leaves alone what somebody else moved meanwhile', async () => {
    const { double, candidates, state } = await shop();
    const chosen = candidates();
    const plan = await planPromotion(accessWith().registries, chosen);
    const other = double.addImage('acme/portal', 'production', both, 'somebody else');
    const end = await carryOut(plan, accessWith());
    expect(end).toMatchObject({ kind: 'taken-back', left: [], why: { reasonCode: 'state_conflict' } });
    expect(state()['portal']?.['production']).toBe(other);
    expect(state()['backend']).not.toHaveProperty(['1.4.2']);
  });

  it('has done nothing where it may not write', async () => {
    const { candidates, state } = await shop();
    const before = state();
    const forbidden: Fetch = async (url, init) =>
      isWrite(init) ? Response.json({ errors: [{ code: 'DENIED' }] }, { status: 403 }) : fetch(url, init);
    await expect(promote(candidates(), accessWith(forbidden))).rejects.toMatchObject({
      reasonCode: 'permission_denied',
    });
    expect(state()).toEqual(before);
  });

  it('goes without a journal where the registry takes none', async () => {
    for (const repository of ['', 'portal/manifests/']) {
      const { candidates, state, promoted, images } = await shop();
      const none = refusing(new RegExp(`${repository}${journalTag}$`));
      const { end } = await promote(candidates(), accessWith(none));
      expect(end).toEqual({ kind: 'promoted' });
      expect(state()).toEqual(promoted());
      expect(await readJournals(accessWith().registries, images)).toEqual([]);
    }
  });
});

describe('a registry whose tags cannot be changed', () => {
  /** Every tag of a repository like this is taken once. */
  const immutable =
    (double: RegistryDouble, path: RegExp, status = 400): Fetch =>
    async (url, init) => {
      const [, repository = '', tag = ''] = /\/v2\/(.+)\/manifests\/(.+)$/.exec(String(url)) ?? [];
      if (init?.method === 'PUT' && path.test(repository) && double.repository(repository).tags.has(tag))
        return Response.json({ errors: [{ code: 'TAG_INVALID', message: 'immutable' }] }, { status });
      return fetch(url, init);
    };
  const only = (candidates: Candidate[]) =>
    candidates.map((candidate) => ({ ...candidate, tags: candidate.tags.filter(({ moves }) => !moves) }));

  it.each([
    [/acme/, 400],
    [/portal/, 400],
    [/acme/, 403],
    [/portal/, 403],
  ])('%s, with %i: takes one promotion after the other', async (path, status) => {
    const { double, candidates, images, promoted, state } = await shop();
    const access = accessWith(immutable(double, path, status));
    expect((await promote(only(candidates()), access)).end).toEqual({ kind: 'promoted' });
    expect(state()).toEqual(promoted('new', '1.4.2', ['1.4.2']));
    expect(await readJournals(access.registries, images)).toEqual([]);
    expect(await promote(only(candidates('1.4.3', 'newer')), access)).toMatchObject({
      settled: [],
      end: { kind: 'promoted' },
    });
    expect(state()).toEqual(promoted('newer', '1.4.3', ['1.4.3']));
  });

  it('has put back what it wrote when a later tag is refused, and takes the next promotion', async () => {
    const { double, candidates, images, state } = await shop();
    const before = state();
    const access = accessWith(immutable(double, /acme/));
    // 1.4 is there, and may not move.
    expect((await promote(candidates(), access)).end).toMatchObject({ kind: 'taken-back', left: [] });
    expect(state()).toEqual(before);
    expect(await readJournals(access.registries, images)).toEqual([]);
    expect((await promote(only(candidates()), access)).end).toEqual({ kind: 'promoted' });
  });

  it('does not stop at a note that was open when they were made so', async () => {
    const { double, candidates, promoted, state } = await shop();
    await promote(only(candidates()), accessWith(dyingAt(10).send)).catch(() => {});
    const access = accessWith(immutable(double, /acme/));
    const { settled, end } = await promote(only(candidates('1.4.3', 'newer')), access);
    expect([...settled.map((each) => each.end), end]).toEqual([{ kind: 'promoted' }, { kind: 'promoted' }]);
    expect(state()).toEqual(promoted('new', '1.4.2', ['1.4.2']));
    expect(state()).toEqual(promoted('newer', '1.4.3', ['1.4.3']));
  });

  it('is released when the note cannot be closed at its end', async () => {
    const { double, candidates, images, state, promoted } = await shop();
    let isClosed = false;
    const closed: Fetch = async (url, init) =>
      isClosed && init?.method === 'PUT' && String(url).endsWith(journalTag)
        ? Response.json({ errors: [{ code: 'DENIED' }] }, { status: 403 })
        : fetch(url, init).finally(() => {
            isClosed ||= init?.method === 'PUT' && String(url).endsWith('portal/manifests/1.4.2');
          });
    expect((await promote(candidates(), accessWith(closed))).end).toEqual({ kind: 'promoted' });
    expect(state()).toEqual(promoted());
    expect(await readJournals(accessWith().registries, images)).toHaveLength(1);
    expect((await promote(candidates(), accessWith())).end).toEqual({ kind: 'promoted' });
    expect(await readJournals(accessWith().registries, images)).toEqual([]);
    expect(double.violations).toEqual([]);
  });
});

describe('a repository that cannot be written any more', () => {
  /** No answer of it from the moment on that a write like this was sent. */
  function downAfter(write: RegExp, path: RegExp): { send: Fetch; up: () => void } {
    let isDown: boolean | undefined = false;
    const send: Fetch = async (url, init) => {
      if (isDown === true && path.test(String(url))) throw new Error('down');
      const answer = await fetch(url, init);
      if (isDown === false && init?.method === 'PUT' && write.test(String(url))) isDown = true;
      return answer;
    };
    return { send, up: () => (isDown = undefined) };
  }

  it('keeps no other from what it was; the next run that reaches it puts back the rest', async () => {
    const { candidates, images, state } = await shop();
    const before = state();
    const down = downAfter(/portal\/manifests\/1\.4\.2$/, /portal/);
    const { end } = await promote(candidates(), accessWith(down.send));
    const left = end.kind === 'taken-back' ? end.left : [];
    expect(left.length).toBeGreaterThan(0);
    expect(left.every((line) => line.includes('acme/portal:'))).toBe(true);
    expect(state()['backend']).toEqual(before['backend']);
    expect(state()['portal']).toHaveProperty(['1.4.2']);
    // Found from there alone, it is taken back too: that it was noted at the other one is looked for.
    down.up();
    await settlePromotions(images.slice(1), accessWith(down.send));
    expect(state()).toEqual(before);
    expect(await readJournals(accessWith().registries, images)).toEqual([]);
  });

  it('stands in the way of the other alone with a way out that is said', async () => {
    const { double, candidates } = await shop();
    const { send } = downAfter(/portal\/manifests\/1\.4\.2$/, /portal/);
    await promote(candidates(), accessWith(send));
    const backend = candidates('1.4.3', 'newer').slice(0, 1);
    const [first] = await settlePromotions(
      backend.map(({ image }) => image),
      accessWith(send),
    );
    expect(first?.end).toMatchObject({ kind: 'taken-back' });
    if (first?.end.kind === 'taken-back')
      expect(describeTakenBack(first.end).remedy).toContain(`delete the tag \`${journalTag}\` in the others`);
    double.repository('acme/backend').tags.delete(journalTag);
    expect((await promote(backend, accessWith(send))).end).toEqual({ kind: 'promoted' });
  });

  it.each([403, 404])('has done nothing where one of them answers %i to the note', async (status) => {
    const { double, candidates, images, state } = await shop();
    const before = state();
    const closed: Fetch = async (url, init) =>
      isWrite(init) && String(url).includes('portal')
        ? Response.json({ errors: [{ code: 'DENIED' }] }, { status })
        : fetch(url, init);
    const ended = await promote(candidates(), accessWith(closed)).catch((thrown: unknown) => thrown);
    if (status === 403) expect(ended).toMatchObject({ reasonCode: 'permission_denied' });
    else expect(ended).toMatchObject({ end: { kind: 'taken-back', left: [] } });
    expect(state()).toEqual(before);
    expect(await readJournals(accessWith().registries, images)).toEqual([]);
    expect(double.violations).toEqual([]);
  });
});

describe('a promotion that was killed', () => {
  // Two repositories: an upload of two requests and a journal that is over and open each, four tags, two journals.
  const writes = 14;
  // Of the uploads one stands for all: they change nothing that anybody follows.
  const moments = [1, 4, ...Array.from({ length: writes - 6 }, (_, index) => index + 7)];

  async function killedAt(n: number) {
    const made = await shop();
    const few = (version?: string, content?: string) =>
      made.candidates(version, content).map((candidate) => ({
        ...candidate,
        tags: candidate.tags.filter(({ tag }) => tag.length > 3),
      }));
    const before = made.state();
    const dying = dyingAt(n);
    await promote(few(), accessWith(dying.send)).catch(() => {});
    const promoted = (content?: string, version = '1.4.2') =>
      made.promoted(content, version, [version, 'production']);
    return { ...made, candidates: few, before, promoted, died: dying.died() };
  }

  it('had so many writes', async () => {
    expect((await killedAt(writes)).died).toBe(true);
    expect((await killedAt(writes + 1)).died).toBe(false);
  });

  it.each(moments)('before write %i is finished by the next run', async (n) => {
    const { double, candidates, state, promoted, images } = await killedAt(n);
    const { end } = await promote(candidates(), accessWith());
    expect(end).toEqual({ kind: 'promoted' });
    expect(state()).toEqual(promoted());
    expect(await readJournals(accessWith().registries, images)).toEqual([]);
    expect(double.violations).toEqual([]);
  });

  it.each(moments)('before write %i is finished before another release', async (n) => {
    const { candidates, state, promoted } = await killedAt(n);
    const { end } = await promote(candidates('1.4.3', 'newer'), accessWith());
    expect(end).toEqual({ kind: 'promoted' });
    expect(state()).toEqual(promoted('newer', '1.4.3'));
    // Both images have the release, or none has.
    expect(new Set(names.map((name) => '1.4.2' in (state()[name] ?? {}))).size).toBe(1);
  });

  it.each(moments)('before write %i is taken back whole when the next run fails', async (n) => {
    const { candidates, state, promoted, before } = await killedAt(n);
    // The last tag that is written; where it was written before the kill, there is nothing left to fail.
    const { end, settled } = await promote(
      candidates(),
      accessWith(refusing(/portal\/manifests\/production$/)),
    ).catch((thrown: unknown) => ({ end: { kind: 'taken-back', thrown }, settled: [] }));
    const failed = [end, ...settled.map((each) => each.end)].some(({ kind }) => kind === 'taken-back');
    expect(state()).toEqual(failed ? before : promoted());
  });

  it.each(moments)('before write %i can be taken back by its own run', async (n) => {
    const { candidates, state, before, images } = await killedAt(n);
    await settlePromotions(images, accessWith(), 'https://github.example/runs/1');
    expect(state()).toEqual(before);
    expect(changesOf(await planPromotion(accessWith().registries, candidates()))).toHaveLength(4);
  });
});
