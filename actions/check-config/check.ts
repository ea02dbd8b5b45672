import {
  type ActionDefinition,
  asStepEnvironment,
  describeProblem,
  type InputSpec,
  type Problem,
  readInputs,
} from '@deploy-actions/action-kit';
import type { ConfigDocument, ConfigRule } from '@deploy-actions/config';
import type { Place } from '@deploy-actions/core';

/** A mistake in deploy.yml. */
export interface Mistake {
  rule: ConfigRule | 'wrong-value' | 'wrong-combination';
  place: Place;
  /** Dotted; as the environment has it, where it is about a value. */
  path: string;
  message: string;
  remedy: string | undefined;
  /** Whose value it is, inherited or not; empty for what is wrong whatever the environment. */
  environments: string[];
}

/** What the file leaves to the inputs of a step, though what it says makes it necessary. */
export interface Hint {
  action: string;
  message: string;
  environments: string[];
}

export interface Checked {
  mistakes: Mistake[];
  hints: Hint[];
}

interface Read {
  definition: ActionDefinition;
  /** '' for the top of the file alone. */
  environment: string;
  document: ConfigDocument;
  workspace: string;
}

/** The problems that a step would have with the file, which gives its environment and nothing else. */
async function problemsOf({ definition, environment, document, workspace }: Read): Promise<Problem[]> {
  const given = environment !== '' && 'environment' in definition.inputs ? { environment } : {};
  const read = await readInputs(definition, {
    environment: asStepEnvironment(given),
    workspace,
    config: async () => (path) => {
      const found = document.find(environment, path);
      return found.state === 'set' ? { value: found.value, where: found.origin.where } : undefined;
    },
    mask: () => {},
  });
  return read.ok ? [] : read.problems;
}

/** The problems that come from what the file says: without it, a step would not have them. */
async function problemsOfFile(read: Read): Promise<Problem[]> {
  const keyOf = ({ input, value, message }: Problem) => JSON.stringify([input, value, message]);
  const empty: ConfigDocument = { ...read.document, find: () => ({ state: 'absent' }) };
  const anyway = new Set((await problemsOf({ ...read, document: empty })).map(keyOf));
  return (await problemsOf(read)).filter(
    (problem) => (problem.input === 'environment' && read.environment !== '') || !anyway.has(keyOf(problem)),
  );
}

/** What one action makes of the file for one environment. */
async function judge(read: Read): Promise<Checked> {
  const { definition, environment, document } = read;
  const mistakes: Mistake[] = [];
  const hints: Hint[] = [];
  const find = (config: string) => document.find(environment, config);
  const canJudge = Object.values<InputSpec>(definition.inputs).every(
    ({ required, config }) => required !== true || config === undefined || find(config).state === 'set',
  );
  const environments = environment === '' ? [] : [environment];
  for (const { from, ...problem } of await problemsOfFile(read)) {
    if (problem.input === 'environment' && environment !== '') {
      mistakes.push({
        rule: 'unknown-environment',
        place: document.placeOf(environment),
        path: `environments.${environment}`,
        message: 'No step can ask for an environment with this name.',
        remedy: `For ${definition.name}, ${describeProblem(problem)}`,
        environments: [],
      });
      continue;
    }
    const path = definition.inputs[problem.input]?.config;
    const found = path === undefined ? undefined : find(path);
    if (path !== undefined && found?.state === 'set' && (from !== undefined || canJudge)) {
      mistakes.push({
        rule: from === undefined ? 'wrong-combination' : 'wrong-value',
        place: found.origin.place,
        path,
        message: describeProblem({ ...problem, input: path }),
        remedy: undefined,
        environments,
      });
    } else hints.push({ action: definition.name, message: describeProblem(problem), environments });
  }
  return { mistakes, hints };
}

/** Each once, with all environments that have it. */
function merged<Item extends { environments: string[] }>(
  items: readonly Item[],
  keyOf: (item: Item) => unknown[],
) {
  const byKey = new Map<string, Item>();
  for (const item of items) {
    const key = JSON.stringify(keyOf(item));
    const known = byKey.get(key);
    const environments = [...new Set([...(known?.environments ?? []), ...item.environments])];
    byKey.set(key, { ...(known ?? item), environments });
  }
  return [...byKey.values()];
}

/**
 * Holds every value of the environments against the inputs of every action that reads it, by the very code that a step reads them
 * with; so the two cannot disagree. A rule between inputs is judged where deploy.yml has all of them that are required; where
 * it has not, or what the rule misses could be given by the step, it is a hint. `environments`: [''] for the top alone.
 */
export async function checkValues(
  document: ConfigDocument,
  environments: readonly string[],
  definitions: readonly ActionDefinition[],
  workspace: string,
): Promise<Checked> {
  const all: Checked[] = [];
  for (const definition of definitions) {
    const reads = Object.values<InputSpec>(definition.inputs).some(({ config }) => config !== undefined);
    for (const environment of reads ? environments : []) {
      all.push(await judge({ definition, environment, document, workspace }));
    }
  }
  return {
    mistakes: merged(
      all.flatMap(({ mistakes }) => mistakes),
      ({ place, message }) => [place, message],
    ),
    hints: merged(
      all.flatMap(({ hints }) => hints),
      ({ action, message }) => [action, message],
    ),
  };
}
