// npm run smoke [-- --dist FOLDER]: starts every entry of dist as the runner would, without inputs, and sees that each refuses or
// ends as it should. A bundle can be built without complaint and still not load.
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { ActionDefinition } from '@deploy-actions/action-kit';
import { actions } from '../actions/registry.ts';
import { definitionsOf } from './generate/files.ts';
import { type EndedStep, runStep } from './step.ts';

/** What is wrong with how an entry ended, if anything is. */
function loadingProblems({ text }: EndedStep): string[] {
  return [
    /MODULE_NOT_FOUND/.test(text) ? 'a module is missing' : '',
    /^\s+at .+:\d+:\d+\)?$/m.test(text) ? 'there is a stack trace' : '',
  ].filter((found) => found !== '');
}

const unknownInput = 'no-such-input';

/** What of its inputs an action names when it gets none. */
function needsInput(definition: ActionDefinition): boolean {
  return (
    Object.values(definition.inputs).some((spec) => spec.required === true) ||
    (definition.check?.({}).length ?? 0) > 0
  );
}

function refusalProblems(definition: ActionDefinition, ended: EndedStep): string[] {
  const named = [...Object.keys(definition.inputs), unknownInput].some((name) =>
    ended.text.includes(`- ${name}: `),
  );
  const missing = Object.keys({ ...definition.outputs, result: 1, 'reason-code': 1, report: 1 }).filter(
    (name) => !ended.outputs.has(name),
  );
  return [
    ...loadingProblems(ended),
    ended.code === 1 ? '' : `the exit code is ${ended.code}, not 1`,
    ended.outputs.get('result') === 'refused' ? '' : `result is ${ended.outputs.get('result')}, not refused`,
    ended.outputs.get('reason-code') === 'invalid_input'
      ? ''
      : `reason-code is ${ended.outputs.get('reason-code')}`,
    named ? '' : 'no input is named',
    missing.length === 0 ? '' : `outputs that are not written: ${missing.join(', ')}`,
  ].filter((found) => found !== '');
}

interface Check {
  name: string;
  file: string;
  inputs?: Record<string, string>;
  problems(ended: EndedStep): string[];
}

function checksOf(dist: string, definition: ActionDefinition): Check[] {
  const main = join(dist, definition.name, 'main.mjs');
  const refused = (ended: EndedStep) => refusalProblems(definition, ended);
  const checks: Check[] = [
    {
      name: `${definition.name}/main.mjs, unknown input`,
      file: main,
      inputs: { [unknownInput]: 'x' },
      problems: refused,
    },
  ];
  if (needsInput(definition))
    checks.push({ name: `${definition.name}/main.mjs, no inputs`, file: main, problems: refused });
  if (definition.mutates) {
    checks.push({
      name: `${definition.name}/post.mjs`,
      file: join(dist, definition.name, 'post.mjs'),
      problems: (ended) => [
        ...loadingProblems(ended),
        ...(ended.code === 0 ? [] : [`the exit code is ${ended.code}, not 0`]),
      ],
    });
  }
  return checks;
}

function proxyCheck(dist: string): Check {
  return {
    name: 'bundle/proxy.mjs, no state directory',
    file: join(dist, 'bundle/proxy.mjs'),
    problems: (ended) => [
      ...loadingProblems(ended),
      ...(ended.code === 2 && /state directory/.test(ended.text)
        ? []
        : [`it does not ask for its state directory (exit code ${ended.code})`]),
    ],
  };
}

/** What speaks to a cluster is a chunk of its own, of packages that were not made to be bundled: it is loaded, and finds no kubeconfig. */
function clusterCheck(dist: string): Check {
  return {
    name: 'blue-green-switch/main.mjs, a kubeconfig that is not there',
    file: join(dist, 'blue-green-switch', 'main.mjs'),
    inputs: { platform: 'kubernetes', service: 'web', image: 'web:1', kubeconfig: '/no/such/kubeconfig' },
    problems: (ended) => [
      ...loadingProblems(ended),
      ...(ended.outputs.get('reason-code') === 'not_found'
        ? []
        : [`reason-code is ${ended.outputs.get('reason-code')}, not not_found`]),
    ],
  };
}

/** Entries that nothing above starts: a new one has to be added here. */
async function unknownEntries(dist: string, checks: Check[]): Promise<string[]> {
  const entries = (await readdir(dist, { recursive: true })).filter(
    (path) => path.endsWith('.mjs') && !/^bundle\/(?:\d+\.)?index\.mjs$/.test(path),
  );
  const started = checks.map(({ file }) => file);
  return entries.filter((path) => !started.includes(join(dist, path)));
}

export async function smoke(dist: string): Promise<{ name: string; problems: string[]; text: string }[]> {
  const definitions = await definitionsOf(actions);
  const checks = [
    ...definitions.flatMap((definition) => checksOf(dist, definition)),
    clusterCheck(dist),
    proxyCheck(dist),
  ];
  const found = [];
  for (const { name, file, inputs, problems } of checks) {
    if (!existsSync(file)) found.push({ name, problems: [`${file} is missing`], text: '' });
    else {
      const ended = await runStep(file, { inputs: inputs ?? {} });
      found.push({ name, problems: problems(ended), text: ended.text });
    }
  }
  const unknown = await unknownEntries(dist, checks);
  return [
    ...found,
    ...unknown.map((path) => ({ name: path, problems: ['the smoke test does not know it'], text: '' })),
  ];
}

if (import.meta.main) {
  const at = process.argv.indexOf('--dist');
  const dist = at < 0 ? join(import.meta.dirname, '../dist') : resolve(process.argv[at + 1] ?? '');
  for (const { name, problems, text } of await smoke(dist)) {
    console.log(
      `${problems.length === 0 ? 'ok  ' : 'FAIL'} ${name}${problems.map((problem) => `\n     ${problem}`).join('')}`,
    );
    if (problems.length > 0) {
      console.log(text.replace(/^/gm, '     | '));
      process.exitCode = 1;
    }
  }
}
