import { isRecord, type Json, nearest, variableName } from '@deploy-actions/core';
import type { ActionDefinition, InputSpec, InputSpecs, InputValues, Problem } from './definition.ts';
import { parseValue } from './values.ts';

/** What deploy.yml says for a dotted path, and where; undefined when it says nothing. */
export type ConfigLookup = (path: string) => { value: Json; where: string } | undefined;

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** Text of one value; undefined where YAML may already have lost some of it, as of a version `1.10`. */
function scalarText(value: Json): string | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? String(value) : undefined;
  return typeof value === 'boolean' ? String(value) : textAlone(value);
}

function textAlone(value: Json): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function allTexts(values: Json[]): string[] | undefined {
  const texts = values.map(scalarText).filter((text) => text !== undefined);
  return texts.length === values.length ? texts : undefined;
}

/** A value of deploy.yml as a user would write it in the input. Undefined when it cannot be one of this kind. */
function textOf(spec: InputSpec, value: Json): string | undefined {
  switch (spec.kind) {
    case 'json':
    case 'yaml':
      return JSON.stringify(value);
    case 'boolean':
      return typeof value === 'boolean' ? String(value) : undefined;
    case 'integer':
      return typeof value === 'number' ? String(value) : undefined;
    case 'percentage':
      return typeof value === 'number' ? String(value) : textAlone(value);
    case 'duration':
      return value === 0 ? '0' : textAlone(value);
    case 'integers':
      if (!Array.isArray(value)) return scalarText(value);
      return value.every((item) => typeof item === 'number') ? value.join(',') : undefined;
    case 'list':
    case 'images':
      return Array.isArray(value) ? allTexts(value)?.join('\n') : textAlone(value);
    case 'command':
      if (Array.isArray(value)) return allTexts(value)?.map(quoted).join(' ');
      return textAlone(value);
    case 'map': {
      // As lines, ` A` would be read as `A`, and `#A` as a comment.
      if (!isRecord(value) || !Object.keys(value).every((name) => variableName.test(name))) return undefined;
      const texts = allTexts(Object.values(value));
      return (
        texts &&
        Object.keys(value)
          .map((name, index) => `${name}=${texts[index]}`)
          .join('\n')
      );
    }
    default:
      return textAlone(value);
  }
}

/** What deploy.yml may say for an input of a kind, when what it says is of another. */
function allowedInConfig(spec: InputSpec): string {
  switch (spec.kind) {
    case 'boolean':
      return '`true` or `false`';
    case 'integer':
      return 'a whole number';
    case 'integers':
      return 'whole numbers';
    case 'percentage':
      return 'a number or text such as `20%`';
    case 'duration':
      return 'text such as `10m`';
    case 'list':
    case 'images':
    case 'command':
      return 'text, or a list of texts';
    case 'map':
      return 'a mapping of names to texts; a name has letters, digits and _ . -';
    default:
      return 'text; put it in quotes';
  }
}

export interface InputSources {
  environment: NodeJS.ProcessEnv;
  workspace: string;
  /** Given the inputs alone, because the environment that is asked for decides what deploy.yml says. */
  config(input: (name: string) => string): Promise<ConfigLookup>;
  mask(secret: string): void;
}

export type InputsRead<I extends InputSpecs> =
  { ok: true; inputs: InputValues<I> } | { ok: false; problems: Problem[] };

/** A typo in an input is the likeliest mistake, and the runner only warns about it. */
function unknownInputs(specs: InputSpecs, environment: NodeJS.ProcessEnv): Problem[] {
  const known = Object.keys(specs);
  return Object.keys(environment)
    .filter((key) => key.startsWith('INPUT_'))
    .map((key) => key.slice('INPUT_'.length).toLowerCase())
    .filter((name) => !known.includes(name))
    .map((name) => {
      const meant = nearest(name, known);
      const hint =
        meant === undefined
          ? `Known are ${known.map((n) => `\`${n}\``).join(', ')}`
          : `Did you mean \`${meant}\``;
      return {
        input: name,
        message: `is not an input of this action. ${hint}${meant === undefined ? '.' : '?'}`,
      };
    });
}

function mayHoldSecrets(spec: InputSpec): boolean {
  return spec.kind === 'secret' || spec.kind === 'map';
}

function shown(spec: InputSpec, text: string): { value?: string } {
  if (mayHoldSecrets(spec)) return {};
  return { value: text.length > 200 ? `${text.slice(0, 200)}…` : text };
}

function missing(name: string, spec: InputSpec): Problem {
  const example = spec.example === undefined ? '' : `, for example \`${name}: ${spec.example}\``;
  const config = spec.config === undefined ? '' : ` or \`${spec.config}\` in .github/deploy.yml`;
  return { input: name, message: `is required and missing. Give it as an input${example}${config}.` };
}

const variableOf = (name: string) => `INPUT_${name.toUpperCase()}`;

/** Inputs as the runner hands them to an action: for an action that runs another one. */
export function asStepEnvironment(inputs: Record<string, string>): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(inputs).map(([name, value]) => [variableOf(name), value]));
}

/**
 * Reads, masks and checks every input: what the step says, then what deploy.yml says, then the default, then what
 * follows from the others. All problems are found in one go.
 */
export async function readInputs<I extends InputSpecs>(
  definition: ActionDefinition<I>,
  sources: InputSources,
): Promise<InputsRead<I>> {
  const problems = unknownInputs(definition.inputs, sources.environment);
  const given = (name: string) => (sources.environment[variableOf(name)] ?? '').trim();
  const values: Record<string, unknown> = {};
  const failed = new Set<string>();
  const unsaid: [string, InputSpec][] = [];
  for (const [name, spec] of Object.entries<InputSpec>(definition.inputs)) {
    if (spec.kind === 'secret' && given(name) !== '') sources.mask(given(name));
  }
  // Who reads nothing of deploy.yml is not stopped by a mistake in it.
  const readsConfig = Object.values<InputSpec>(definition.inputs).some((spec) => spec.config !== undefined);
  const lookup: ConfigLookup = readsConfig ? await sources.config(given) : () => undefined;

  for (const [name, spec] of Object.entries<InputSpec>(definition.inputs)) {
    const input = given(name);
    const configured = input === '' && spec.config !== undefined ? lookup(spec.config) : undefined;
    const said = configured === undefined ? undefined : textOf(spec, configured.value);
    if (configured !== undefined && said === undefined) {
      problems.push({
        input: name,
        ...shown(spec, JSON.stringify(configured.value)),
        from: configured.where,
        message: `is not allowed; allowed is ${allowedInConfig(spec)}.`,
      });
      failed.add(name);
      continue;
    }
    const text = input !== '' ? input : (said ?? spec.default ?? '');
    const from = configured === undefined ? {} : { from: configured.where };
    if (text.trim() === '') {
      unsaid.push([name, spec]);
      continue;
    }
    const parsed = await parseValue(spec, text.trim(), sources.workspace);
    if ('problem' in parsed) {
      problems.push({ input: name, ...shown(spec, text.trim()), ...from, message: `${parsed.problem}.` });
      failed.add(name);
    } else {
      values[name] = parsed.value;
    }
  }

  const wrong = new Set(failed);
  for (const [name, spec] of unsaid) {
    const { view, asked } = watched(values);
    const value = spec.otherwise?.of(view);
    if (value !== undefined) values[name] = value;
    else if (spec.required === true) {
      // What would follow from an input that is wrong is not missing as well.
      if (![...asked].some((one) => wrong.has(one))) problems.push(missing(name, spec));
      failed.add(name);
    }
  }

  const between = definition.check?.(values as Partial<InputValues<I>>) ?? [];
  problems.push(...between.filter((found) => !failed.has(found.input)));
  if (problems.length === 0) return { ok: true, inputs: values as InputValues<I> };
  // As the inputs are documented; what is no input at all comes first.
  const names = Object.keys(definition.inputs);
  return {
    ok: false,
    problems: problems.toSorted((a, b) => names.indexOf(a.input) - names.indexOf(b.input)),
  };
}

/** The values, and the names of those that were asked for. */
function watched(values: Record<string, unknown>) {
  const asked = new Set<string>();
  const view = new Proxy(values, {
    get(target, name) {
      asked.add(String(name));
      return target[String(name)];
    },
  });
  return { view, asked };
}

/** One line a problem: `weights (from .github/deploy.yml:4:12 canary.weights): "20,x" is not allowed; allowed is …`. */
export function describeProblem({ input, value, from, message }: Problem): string {
  const source = from === undefined ? '' : ` (from ${from})`;
  return `${input}${source}: ${value === undefined ? '' : `${JSON.stringify(value)} `}${message}`;
}
