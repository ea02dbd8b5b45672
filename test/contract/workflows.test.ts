// What the workflows promise that users call or copy: own actions as they are shipped, those of others by commit, and rights
// for what is used and no more.
import { globSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { isRecord, parseYaml } from '@deploy-actions/core';
import { describe, expect, it } from 'vitest';
import { actions } from '../../actions/registry.ts';
import { workflowsIn } from '../../scripts/check/readme-workflows.ts';
import { definitionsOf, rootAction } from '../../scripts/generate/files.ts';
import { reusableWorkflow } from '../../scripts/generate/workflows.ts';
import { calledBy, jobsOf } from '../workflows/permissions.ts';

const root = join(import.meta.dirname, '../..');
const read = (path: string) => readFile(join(root, path), 'utf8');
const found = (pattern: string) => globSync(pattern, { cwd: root }).toSorted();

const definitions = await definitionsOf(actions);
const { version } = JSON.parse(await read('package.json')) as { version: string };
const shipped = found('scripts/generate/workflows/*.yml').map((path) => basename(path));

interface Workflow {
  name: string;
  text: string;
  /** How it has to name the suite's actions. */
  at: string;
}

const callable = await Promise.all(
  shipped.map(async (name): Promise<Workflow> => {
    const path = `.github/workflows/${name}`;
    return { name: path, text: await read(path), at: `v${version}` };
  }),
);
const copied = await Promise.all(
  found('workflows-examples/*/.github/workflows/*.yml').map(async (path): Promise<Workflow> => ({
    name: path,
    text: await read(path),
    at: 'v1',
  })),
);
const shown = await Promise.all(
  found('workflows-examples/*/README.md').map(async (path) =>
    [...workflowsIn(await read(path))].map(([title, text]): Workflow => ({
      name: `«${title}» in ${path}`,
      text,
      at: 'v1',
    })),
  ),
);

type Mapping = Record<string, unknown>;
const mapping = (value: unknown): Mapping => (isRecord(value) ? value : {});

/** Of a reusable workflow. */
async function callOf(
  path: string,
): Promise<Record<'inputs' | 'secrets' | 'outputs', Record<string, Mapping>>> {
  const on = mapping(mapping(await parseYaml(await read(path)))['on']);
  const call = mapping(on['workflow_call']);
  const part = (name: string) => mapping(call[name]) as Record<string, Mapping>;
  return { inputs: part('inputs'), secrets: part('secrets'), outputs: part('outputs') };
}

/** The steps of a job that use an action. */
function usesOf(job: Mapping): { uses: string; inputs: Mapping }[] {
  const steps = Array.isArray(job['steps']) ? job['steps'].map(mapping) : [];
  return steps.flatMap((step) =>
    typeof step['uses'] === 'string' ? [{ uses: step['uses'], inputs: mapping(step['with']) }] : [],
  );
}

/** The name and the version of an own action. */
function ownAction(uses: string): { name: string; at: string } | undefined {
  const [, name = rootAction, at = ''] = /^org\/deploy-actions(?:\/([^@]+))?@(.+)$/.exec(uses) ?? [];
  return at === '' ? undefined : { name, at };
}

describe.each(shipped)('the reusable workflow %s', (name) => {
  it('is the same in the repository and in a version tag', async () => {
    expect(await read(`dist/.github/workflows/${name}`)).toBe(await read(`.github/workflows/${name}`));
  });

  it('is there to be called, and says what it takes and gives', async () => {
    const document = mapping(await parseYaml(await read(`.github/workflows/${name}`)));
    expect(Object.keys(mapping(document['on']))).toEqual(['workflow_call']);
    const { inputs, secrets, outputs } = await callOf(`.github/workflows/${name}`);
    for (const [what, { description }] of Object.entries({ ...inputs, ...secrets, ...outputs })) {
      expect(description, what).toMatch(/[.`]$/);
    }
    for (const [what, { required, default: otherwise }] of Object.entries(inputs)) {
      expect(otherwise === undefined, `${what}: either required or with a default`).toBe(required === true);
    }
  });

  it('asks for one approval: no two jobs name the same environment', async () => {
    const jobs = Object.values(await jobsOf(await read(`.github/workflows/${name}`)));
    const environments = jobs.map((job) => job['environment']).filter((one) => one !== undefined);
    expect(new Set(environments).size).toBe(environments.length);
  });
});

describe.each([...callable, ...copied, ...shown.flat()])('$name', ({ text, at }) => {
  it('uses own actions of one version with inputs that they have, and those of others by commit', async () => {
    for (const job of Object.values(await jobsOf(text))) {
      for (const { uses, inputs } of usesOf(job)) {
        const own = ownAction(uses);
        if (own === undefined) {
          expect(uses).toMatch(/^[^@]+@[0-9a-f]{40}$/);
          continue;
        }
        expect(own.at).toBe(at);
        const definition = definitions.find(({ name }) => name === own.name);
        expect(Object.keys(definition?.inputs ?? {}), uses).toEqual(
          expect.arrayContaining(Object.keys(inputs)),
        );
      }
    }
  });

  it('gives each job the rights of what it uses, and no others', async () => {
    expect(mapping(await parseYaml(text))['permissions']).toEqual({});
    for (const [id, job] of Object.entries(await jobsOf(text))) {
      const used = usesOf(job).map(({ uses }) => ownAction(uses)?.name ?? uses.replace(/@.*/, ''));
      const called = calledBy(job);
      const useful = [
        ...used.flatMap((name) =>
          Object.entries(definitions.find((one) => one.name === name)?.permissions ?? {}),
        ),
        ...(used.includes('actions/checkout') ? [['contents', 'read']] : []),
        ...(called === undefined
          ? []
          : Object.values(await jobsOf(await read(called))).flatMap((inner) =>
              Object.entries(mapping(inner['permissions'])),
            )),
      ].map(([name, level]) => `${name}: ${level as string}`);
      const asked = Object.entries(mapping(job['permissions'])).map(
        ([name, level]) => `${name}: ${level as string}`,
      );
      expect(useful, id).toEqual(expect.arrayContaining(asked));
      // What a called workflow asks for and is not given makes GitHub refuse the run.
      if (called !== undefined) {
        const missing = useful.filter(
          (right) => !asked.includes(right) && !asked.includes(right.replace(': read', ': write')),
        );
        expect(missing, id).toEqual([]);
      }
    }
  });

  it('calls reusable workflows as they are', async () => {
    for (const job of Object.values(await jobsOf(text))) {
      const called = calledBy(job);
      if (called === undefined) continue;
      const { inputs, secrets } = await callOf(called);
      const given = Object.keys(mapping(job['with']));
      expect(Object.keys(inputs)).toEqual(expect.arrayContaining(given));
      const required = Object.keys(inputs).filter((name) => inputs[name]?.['required'] === true);
      expect(given).toEqual(expect.arrayContaining(required));
      expect(Object.keys(secrets)).toEqual(expect.arrayContaining(Object.keys(mapping(job['secrets']))));
    }
  });

  it('never cancels a deployment, and never runs code of strangers with a token that writes', async () => {
    const document = mapping(await parseYaml(text));
    const triggers = Object.keys(mapping(document['on']));
    expect(triggers).not.toContain('pull_request_target');
    const groups = [document, ...Object.values(await jobsOf(text))].map((one) => mapping(one['concurrency']));
    const cancels = groups.some((group) => (group['cancel-in-progress'] ?? false) !== false);
    expect(cancels).toBe(triggers.join() === 'pull_request');
  });
});

describe('a template', () => {
  const made = (uses: string) => reusableWorkflow(`    - uses: ${uses}\n`, '1.2.3', ['canary'], 'x.yml');

  it('names own actions by the version, and those of others by commit', () => {
    expect(made('org/deploy-actions@version')).toContain('    - uses: org/deploy-actions@v1.2.3\n');
    expect(made('org/deploy-actions/canary@version')).toContain('uses: org/deploy-actions/canary@v1.2.3\n');
    expect(made('actions/checkout@pinned')).toMatch(
      /uses: actions\/checkout@[0-9a-f]{40} # v\d+\.\d+\.\d+\n/,
    );
  });

  it.each([
    'org/deploy-actions/canry@version',
    'org/deploy-actions/canary@v1',
    'actions/checkout@v7',
    'somebody/else@pinned',
    './canary@version',
  ])('is refused when it uses %s', (uses) => {
    expect(() => made(uses)).toThrow('scripts/generate/workflows/x.yml');
  });
});
