import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describeProblem, type InputSpec, readInputs } from '@deploy-actions/action-kit';
import { beforeAll, describe, expect, it } from 'vitest';
import { actions } from '../../actions/registry.ts';
import { definitionsOf } from '../../scripts/generate/files.ts';
import { runStep, type StepOptions } from '../../scripts/step.ts';
import { wrongValuesFor } from './wrong-values.ts';

const definitions = await definitionsOf(actions);
const dist = join(import.meta.dirname, '../../dist');
const crash = join(import.meta.dirname, '../support/crash.mjs');

/** The values of these may be secret, so a message must not repeat them. */
const unsaid: InputSpec['kind'][] = ['secret', 'map'];

const cases = definitions.flatMap((definition) =>
  Object.entries<InputSpec>(definition.inputs).flatMap(([input, spec]) =>
    wrongValuesFor(spec).map((wrong) => ({ definition, input, spec, wrong })),
  ),
);

async function problemsWith(definition: (typeof definitions)[number], inputs: Record<string, string>) {
  const read = await readInputs(definition, {
    environment: Object.fromEntries(
      Object.entries(inputs).map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value]),
    ),
    workspace: '/workspace',
    config: async () => () => undefined,
    mask: () => {},
  });
  return read.ok ? [] : read.problems;
}

describe('every action, every input, every class of wrong value', () => {
  it('is more than a few', () => {
    expect(cases.length).toBeGreaterThan(100);
    expect(new Set(cases.map(({ definition }) => definition.name)).size).toBe(definitions.length);
  });

  it.each(cases)('$definition.name: $input with $wrong.class', async ({ definition, input, spec, wrong }) => {
    const found = (await problemsWith(definition, { [input]: wrong.text })).find(
      (problem) => problem.input === input,
    );
    expect(found, `${JSON.stringify(wrong.text)} is accepted`).toBeDefined();
    const message = found === undefined ? '' : describeProblem(found);
    expect(message).toContain(input);
    expect(message).toContain('allowed');
    if (unsaid.includes(spec.kind)) expect(found?.value).toBeUndefined();
    else expect(message).toContain(JSON.stringify(wrong.text.slice(0, 200)).slice(1, -1));
  });

  it.each(definitions)('$name: names the input that a misspelt one was meant to be', async (definition) => {
    for (const input of Object.keys(definition.inputs).filter((name) => name.length > 4)) {
      const misspelt = `${input.slice(0, -1)}${input.endsWith('x') ? 'y' : 'x'}`;
      if (misspelt in definition.inputs) continue;
      const found = (await problemsWith(definition, { [misspelt]: 'x' })).find(
        (problem) => problem.input === misspelt,
      );
      expect(found?.message).toMatch(/Did you mean `[a-z0-9-]+`\?/);
    }
  });
});

/**
 * Runs an action with every mutation logged, but for what the runner asks for: outputs, summary, report, compile cache.
 */
async function watched(file: string, options: StepOptions) {
  let mutations = '';
  let left: string[] = [];
  const ended = await runStep(file, {
    ...options,
    nodeOptions: ['--import', crash],
    environment: ({ runner, temp }) => ({
      CRASH_LOG: join(runner, 'mutations'),
      CRASH_IGNORE: [...['output', 'summary', 'state'].map((name) => join(runner, name)), temp].join(','),
    }),
    async after({ runner, workspace }) {
      mutations = await readFile(join(runner, 'mutations'), 'utf8');
      left = await readdir(workspace, { recursive: true });
    },
  });
  return { ended, mutations, left };
}

describe('the built action, in a process of its own', () => {
  describe.each(definitions)('$name', ({ name, inputs }) => {
    const kinds = Object.entries<InputSpec>(inputs)
      .map(([input, spec]) => ({
        input,
        wrong: wrongValuesFor(spec).filter(({ text }) => !text.includes('\0')),
      }))
      .filter(({ wrong }) => wrong.length > 0);
    const rounds = Math.min(3, Math.max(...kinds.map(({ wrong }) => wrong.length)));

    it.each(Array.from({ length: rounds }, (_, round) => round))(
      'refuses all wrong inputs at once and changes nothing (round %i)',
      async (round) => {
        const given = Object.fromEntries(
          kinds.map(({ input, wrong }) => [input, wrong[round % wrong.length]?.text ?? '']),
        );
        const { ended, mutations, left } = await watched(join(dist, name, 'main.mjs'), { inputs: given });
        expect(ended.code).toBe(1);
        expect(ended.outputs.get('result')).toBe('refused');
        expect(ended.outputs.get('reason-code')).toBe('invalid_input');
        for (const { input } of kinds) expect(ended.text).toContain(`- ${input}: `);
        expect(mutations).toBe('');
        expect(left).toEqual([]);
      },
    );
  });

  it('would be seen to change something', async () => {
    const script = "require('node:fs').writeFileSync('made', '')";
    const { mutations, left } = await watched('--eval', { args: [script] });
    expect(mutations).toContain('made');
    expect(left).toEqual(['made']);
  });
});

describe('deploy.yml', () => {
  let ended: Awaited<ReturnType<typeof runStep>>;

  beforeAll(async () => {
    ended = await runStep(join(dist, 'health-check/main.mjs'), {
      async before({ workspace }) {
        await mkdir(join(workspace, '.github'));
        await writeFile(
          join(workspace, '.github/deploy.yml'),
          'health:\n  url: http://127.0.0.1:1/\n  tiemout: 5s\n',
        );
      },
    });
  });

  it('with a key that nothing reads is refused, naming the key and the known ones', () => {
    expect(ended.outputs.get('result')).toBe('refused');
    expect(ended.outputs.get('reason-code')).toBe('invalid_config');
    expect(ended.text).toContain('health.tiemout');
    expect(ended.text).toContain('timeout');
  });
});
