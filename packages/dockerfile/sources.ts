import {
  directivesOf,
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
 * Undefined for a text without FROM, or without the target.
 */
export function outsideSources(text: string, { args, target }: DockerfileBuild): OutsideSources | undefined {
  const instructions = readDockerfile(text);
  if (instructions === undefined) return undefined;
  const stages = stagesOf(instructions);
  const needed = stagesFor(stages, target);
  if (needed === undefined) return undefined;
  const values = globalArguments(instructions, args);
  const images: OutsideSource[] = [];
  const unknown: string[] = [];
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
    for (const instruction of stage.instructions) {
      for (const from of takenFrom(instruction)) add(from, instruction.line, before);
      if (instruction.name === 'ADD' && isUnpinnedAddress(instruction))
        unknown.push(`line ${instruction.line}: ADD fetches an address without --checksum`);
    }
  }
  return { images, unknown };
}

function isUnpinnedAddress(instruction: Instruction): boolean {
  if (flagsOf(instruction, 'checksum').length > 0) return false;
  return /(?:^|\s)(?:https?:\/\/|git@|git:\/\/|ssh:\/\/)/.test(instruction.argument);
}
