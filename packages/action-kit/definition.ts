import type { Json, ReasonCode } from '@deploy-actions/core';

interface Otherwise {
  /** For the documentation: `the name of the service`. */
  means: string;
  /** Undefined: there is none either, and an input that is required is missing. */
  of(inputs: Readonly<Record<string, unknown>>): unknown;
}

interface InputBase {
  description: string;
  required?: true;
  /** As a user would write it. Applied after deploy.yml, so it is not repeated in action.yml for such inputs. */
  default?: string;
  example?: string;
  /** Where deploy.yml says the same: a dotted path below the environment (or below the top level). */
  config?: string;
  /** What the input is where nothing says it, by what the other inputs are. */
  otherwise?: Otherwise;
  /** An expression that is the default in action.yml, where the runner evaluates it: `${{ github.token }}`. */
  expression?: string;
}

/** The kinds of input, each with what limits its values. */
export type InputSpec = InputBase &
  (
    | { kind: 'string'; pattern?: RegExp; allowed?: string }
    | { kind: 'boolean' }
    | { kind: 'integer'; min?: number; max?: number }
    | { kind: 'percentage' }
    | { kind: 'duration'; min?: string; max?: string }
    | { kind: 'enum'; values: readonly string[] }
    | {
        kind: 'list';
        /** Default: commas and lines. */
        separator?: 'lines';
        /** Of each item. */
        pattern?: RegExp;
        allowed?: string;
      }
    | { kind: 'integers'; min: number; max: number }
    | { kind: 'map' }
    | { kind: 'command' }
    | { kind: 'image' }
    | { kind: 'images' }
    | { kind: 'path'; within: 'workspace' | 'host' }
    | { kind: 'url' }
    | { kind: 'secret' }
    | { kind: 'json' }
    | { kind: 'yaml' }
  );

export type InputSpecs = Record<string, InputSpec>;

export interface ImageReference {
  /** Everything before the tag or digest, as written: `ghcr.io/acme/backend`. */
  repository: string;
  tag: string | undefined;
  digest: string | undefined;
}

/** What a value of each kind is in `run`: durations in milliseconds, percentages from 0 to 100, paths absolute. */
interface ValueByKind {
  string: string;
  boolean: boolean;
  integer: number;
  percentage: number;
  duration: number;
  enum: string;
  list: string[];
  integers: number[];
  map: Record<string, string>;
  command: string[];
  image: ImageReference;
  images: ImageReference[];
  path: string;
  url: URL;
  secret: string;
  json: Json;
  yaml: Json;
}

type Value<S extends InputSpec> = S extends { kind: 'enum'; values: readonly (infer V)[] }
  ? V
  : ValueByKind[S['kind']];

/** The type of `inputs` in `run`: optional only where there is neither `required` nor a default. */
export type InputValues<I extends InputSpecs> = {
  [K in keyof I]: I[K] extends { required: true } | { default: string }
    ? Value<I[K]>
    : Value<I[K]> | undefined;
};

export interface OutputSpec {
  description: string;
}

export type OutputSpecs = Record<string, OutputSpec>;

export const results = [
  'succeeded',
  'unchanged',
  'planned',
  'refused',
  'failed',
  'rolled-back',
  'inconclusive',
  'superseded',
  'cancelled',
  'error',
] as const;
export type Result = (typeof results)[number];

/** With these results the step is green. */
export const goodResults: readonly Result[] = ['succeeded', 'unchanged', 'planned'];

export interface Problem {
  input: string;
  /** As the user wrote it; absent for secrets and for what is missing. */
  value?: string;
  /** Where in deploy.yml it is said; absent when the step or nobody said it. */
  from?: string;
  /** What is wrong, and what is allowed. */
  message: string;
}

/** The single source of an action: action.yml, documentation, types and the contract tests come from it. */
export interface ActionDefinition<I extends InputSpecs = InputSpecs, O extends OutputSpecs = OutputSpecs> {
  name: string;
  title: string;
  description: string;
  icon: string;
  color: 'blue' | 'green' | 'orange' | 'purple' | 'red' | 'yellow' | 'gray-dark' | 'white' | 'black';
  /** Whether it changes anything: then it has `dry-run` and a post step that settles what a cancelled run left. */
  mutates: boolean;
  /** Rights the token of the workflow needs, such as `deployments: write`. */
  permissions: Record<string, 'read' | 'write'>;
  inputs: I;
  outputs: O;
  /** Rules between inputs, checked together with the single ones, before anything is touched. */
  check?(inputs: Partial<InputValues<I>>): Problem[];
}

/** What every action has besides its own outputs. */
export const commonOutputs = {
  result: { description: `One of ${results.map((result) => `\`${result}\``).join(', ')}.` },
  'reason-code': { description: 'A stable code for why; the closed list is in docs/reason-codes.md.' },
  report: { description: 'Path of a JSON file that says what was seen, done, and is serving now.' },
} as const satisfies OutputSpecs;

export function defineAction<const I extends InputSpecs, const O extends OutputSpecs>(
  definition: ActionDefinition<I, O>,
): ActionDefinition<I, O> {
  return definition;
}

/** How a run ended. Every declared output is given; `undefined` is written as an empty string. */
export interface Outcome<O extends OutputSpecs = OutputSpecs> {
  result: Result;
  reasonCode: ReasonCode;
  /** One or two sentences: what happened and what is serving now. */
  message: string;
  /** What to do next, when it did not go well. */
  remedy?: string | undefined;
  outputs: { [K in keyof O]: string | number | boolean | undefined };
  /** Becomes the report file. Never secrets. */
  report: Record<string, unknown>;
}
