import {
  directivesOf,
  inherited,
  type Instruction,
  readDockerfile,
  type Stage,
  stageNamed,
  stagesOf,
} from './instructions.ts';
import { argumentsIn, fillIn } from './variables.ts';

/** Something from outside of the context that a build reads. */
export interface OutsideSource {
  /** As the builder would resolve it: `python:3.11-slim`, `ghcr.io/acme/base@sha256:…`. */
  image: string;
  line: number;
}

export interface OutsideSources {
  images: OutsideSource[];
  /** What only the builder can say, in words with its line: then nobody knows beforehand whether anything changed. */
  unknown: string[];
}

export interface DockerfileBuild {
  /** Arguments of the build; they win over defaults. */
  args: Readonly<Record<string, string>>;
  /** The stage that is built; undefined for the last. */
  target: string | undefined;
}

/** The words of an instruction that begin with `--`, by name. */
function flagsOf({ argument }: Instruction, name: string): string[] {
  return Array.from(argument.matchAll(/(?:^|\s)--([a-z-]+)=(\S+)/g))
    .filter(([, flag]) => flag === name)
    .map(([, , value = '']) => value);
}

/** Stages and images that an instruction takes files from. */
function takenFrom(instruction: Instruction): string[] {
  if (instruction.name === 'COPY') return flagsOf(instruction, 'from');
  if (instruction.name !== 'RUN') return [];
  return flagsOf(instruction, 'mount').flatMap((mount) =>
    mount.split(',').flatMap((part) => (part.startsWith('from=') ? [part.slice('from='.length)] : [])),
  );
}

/** The values that hold in FROM: what ARG says before the first one, or the build. */
export function globalArguments(
  instructions: readonly Instruction[],
  args: Readonly<Record<string, string>>,
): Map<string, string> {
  const values = new Map<string, string>();
  for (const { name, argument } of instructions) {
    if (name === 'FROM') break;
    if (name !== 'ARG') continue;
    for (const { name: variable, value } of argumentsIn(argument)) {
      const given = Object.hasOwn(args, variable) ? args[variable] : undefined;
      const said = given ?? (value === undefined ? undefined : fillIn(value, values));
      if (said !== undefined) values.set(variable, said);
    }
  }
  return values;
}

/** What the builder gives every stage that asks for it: a word, not an address. */
const ofBuilder = new Map(
  ['TARGET', 'BUILD'].flatMap((side) =>
    ['PLATFORM', 'OS', 'ARCH', 'VARIANT'].map((what) => [`${side}${what}`, 'any'] as const),
  ),
);

/** Takes into `values` what an instruction of a stage gives to those after it. `env` has the names that ARG does not change any more. */
function learn(
  { name, argument }: Instruction,
  values: Map<string, string>,
  env: Set<string>,
  given: { args: Readonly<Record<string, string>>; globals: ReadonlyMap<string, string> },
): void {
  const set = (variable: string, value: string | undefined) =>
    value === undefined ? values.delete(variable) : values.set(variable, value);
  if (name === 'ARG') {
    for (const { name: variable, value } of argumentsIn(argument)) {
      if (env.has(variable)) continue;
      const own =
        value === undefined
          ? (given.globals.get(variable) ?? ofBuilder.get(variable))
          : fillIn(value, values);
      set(variable, Object.hasOwn(given.args, variable) ? given.args[variable] : own);
    }
  } else if (name === 'ENV') {
    // `ENV NAME some text` is one variable.
    const [, only, text = ''] = /^([A-Za-z_]\w*)\s+(.*)$/s.exec(argument.trim()) ?? [];
    const said = only === undefined ? argumentsIn(argument) : [{ name: only, value: text }];
    const before = new Map(values);
    for (const { name: variable, value = '' } of said) {
      env.add(variable);
      set(variable, fillIn(value, before));
    }
  }
}

/** The sources of ADD as they are written, in words or as JSON, without quotes. */
function sourcesOfAdd({ argument }: Instruction): string[] {
  const written = argument.replace(/^(?:\s*--[a-z-]+(?:=\S*)?(?=\s))*/, '').trim();
  const words = listOf(written) ?? written.split(/\s+/).map((word) => word.replace(/["'[\],]/g, ''));
  return words.slice(0, -1);
}

function listOf(written: string): string[] | undefined {
  if (!written.startsWith('[')) return undefined;
  try {
    const list: unknown = JSON.parse(written);
    return Array.isArray(list) ? list.map(String) : undefined;
  } catch {
    // The builder, too, reads it as words then.
    return undefined;
  }
}

/** What a builder fetches with ADD, from the web or with git. */
const address = /^(?:(?:https?|git|ssh):\/\/|[\w.-]+@[\w.-]+:)/i;

/** Why nobody can tell beforehand what an ADD reads, in words; undefined for one of files, or with a checksum. */
function unknownAdd(instruction: Instruction, values: ReadonlyMap<string, string>): string | undefined {
  if (flagsOf(instruction, 'checksum').length > 0) return undefined;
  for (const written of sourcesOfAdd(instruction)) {
    const source = fillIn(written, values);
    if (source === undefined)
      return `line ${instruction.line}: ADD ${written} has a variable without a value, and no --checksum`;
    if (address.test(source)) return `line ${instruction.line}: ADD fetches an address without --checksum`;
  }
  return undefined;
}

/** The stages that a target is made of; undefined when there is no such target. */
export function stagesFor(stages: readonly Stage[], target: string | undefined): Stage[] | undefined {
  const last = target === undefined ? stages.at(-1) : stageNamed(stages, target);
  if (last === undefined) return undefined;
  const needed = new Set<Stage>();
  const add = (stage: Stage) => {
    if (needed.has(stage)) return;
    needed.add(stage);
    const before = stages.slice(0, stages.indexOf(stage));
    for (const name of [stage.base, ...stage.instructions.flatMap(takenFrom)]) {
      const other = stageNamed(before, name);
      if (other !== undefined) add(other);
    }
  };
  add(last);
  return stages.filter((stage) => needed.has(stage));
}

/**
 * The images that a build starts from or takes files from, and its front end. Stages that the target does not need are left out.
 * Undefined for a text without FROM, or without the target; a target may stand behind a here-document that does not end.
 */
export function outsideSources(text: string, { args, target }: DockerfileBuild): OutsideSources | undefined {
  const instructions = readDockerfile(text);
  if (instructions === undefined) return undefined;
  const unknown = instructions.flatMap(({ name, line, unended }) =>
    unended === undefined
      ? []
      : [`line ${line}: the here-document of ${name} has no end: no line after it is ${unended}`],
  );
  const stages = stagesOf(instructions);
  const needed = stagesFor(stages, target);
  if (needed === undefined) return unknown.length > 0 ? { images: [], unknown } : undefined;
  const values = globalArguments(instructions, args);
  const images: OutsideSource[] = [];
  const add = (written: string, line: number, before: readonly Stage[]) => {
    const image = fillIn(written, values);
    if (image === undefined) unknown.push(`line ${line}: ${written} has a variable without a value`);
    else if (image !== 'scratch' && stageNamed(before, image) === undefined) images.push({ image, line });
  };
  const frontEnd = directivesOf(text).get('syntax');
  if (frontEnd !== undefined) images.push({ image: frontEnd.split(/\s/)[0] ?? '', line: 1 });
  for (const stage of needed) {
    const before = stages.slice(0, stages.indexOf(stage));
    add(stage.base, stage.from.line, before);
    const own = new Map<string, string>();
    const env = new Set<string>();
    for (const instruction of inherited(stages, stage)) {
      learn(instruction, own, env, { args, globals: values });
      // What the stage is made from has its turn as the stage that it is.
      if (!stage.instructions.includes(instruction)) continue;
      for (const from of takenFrom(instruction)) add(from, instruction.line, before);
      const why = instruction.name === 'ADD' ? unknownAdd(instruction, own) : undefined;
      if (why !== undefined) unknown.push(why);
    }
  }
  return { images, unknown };
}
