import type { Hit } from './rules.ts';
import { isRoot, untagged } from './shared.ts';

interface Instruction {
  name: string;
  argument: string;
  line: number;
}

/** The instructions of a Dockerfile; lines that end with the escape go on. Undefined for a text that has no FROM. */
export function readDockerfile(text: string): Instruction[] | undefined {
  const instructions: Instruction[] = [];
  const escape = /^#\s*escape\s*=\s*`/im.test(text.split(/\r?\n/, 3).join('\n')) ? '`' : '\\';
  let open: Instruction | undefined;
  /** Ends of here-documents that are still open. */
  let ends: string[] = [];
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    if (ends.length > 0) {
      if (raw.trim() === ends[0]) ends = ends.slice(1);
      continue;
    }
    const line = raw.trim();
    if (line.startsWith('#') || (line === '' && open === undefined)) continue;
    const goesOn = line.endsWith(escape);
    const said = goesOn ? line.slice(0, -1) : line;
    if (open === undefined) {
      const [, name = '', argument = ''] = /^([A-Za-z]+)\s*(.*)$/.exec(said) ?? [];
      open = { name: name.toUpperCase(), argument, line: index + 1 };
    } else open.argument += ` ${said}`;
    if (goesOn) continue;
    if (['RUN', 'COPY', 'ADD'].includes(open.name))
      ends = Array.from(open.argument.matchAll(/<<-?\s*["']?([A-Za-z_]\w*)["']?/g), ([, end = '']) => end);
    instructions.push(open);
    open = undefined;
  }
  if (open !== undefined) instructions.push(open);
  return instructions.some(({ name }) => name === 'FROM') ? instructions : undefined;
}

interface Stage {
  /** `AS` name, or the number. */
  name: string;
  base: string;
  from: Instruction;
  instructions: Instruction[];
}

function stagesOf(instructions: readonly Instruction[]): Stage[] {
  const stages: Stage[] = [];
  for (const instruction of instructions) {
    if (instruction.name === 'FROM') {
      const words = instruction.argument.split(/\s+/).filter((word) => !word.startsWith('--'));
      const name = words[1]?.toLowerCase() === 'as' ? (words[2] ?? '') : String(stages.length);
      stages.push({ name, base: words[0] ?? '', from: instruction, instructions: [] });
    } else stages.at(-1)?.instructions.push(instruction);
  }
  return stages;
}

/** Names of what is secret, but not of files and addresses that lead to it. */
const secretName = /(?:pass(?:word|wd)?|secret|token|api_?key|private_?key|credentials?)$/i;

type DockerfileRule = (stages: readonly Stage[], last: Stage) => Hit[];

/** The instructions that hold for a stage: those of the stages that it is made from, too. */
function inherited(stages: readonly Stage[], stage: Stage): Instruction[] {
  const base = stages.slice(0, stages.indexOf(stage)).find(({ name }) => name === stage.base);
  return base === undefined ? stage.instructions : [...inherited(stages, base), ...stage.instructions];
}

const rootUser: DockerfileRule = (stages, last) => {
  const user = inherited(stages, last).findLast(({ name }) => name === 'USER');
  if (user === undefined)
    return [
      { rule: 'root-user', subject: `stage ${last.name}`, line: last.from.line, message: 'no USER is said' },
    ];
  return isRoot(user.argument)
    ? [
        {
          rule: 'root-user',
          subject: `stage ${last.name}`,
          line: user.line,
          message: `its user is ${user.argument}`,
          severity: 'high',
        },
      ]
    : [];
};

const healthCheck: DockerfileRule = (stages, last) =>
  inherited(stages, last).some(({ name }) => name === 'HEALTHCHECK')
    ? []
    : [
        {
          rule: 'no-health-check',
          subject: `stage ${last.name}`,
          line: last.from.line,
          message: 'no HEALTHCHECK is said',
        },
      ];

const latest: DockerfileRule = (stages) =>
  stages.flatMap((stage, index) => {
    const isStage = stages.slice(0, index).some(({ name }) => name === stage.base);
    const why = isStage || stage.base === 'scratch' ? undefined : untagged(stage.base);
    return why === undefined
      ? []
      : [
          {
            rule: 'latest-tag',
            subject: `stage ${stage.name}`,
            line: stage.from.line,
            message: why,
          } as const,
        ];
  });

function each(
  check: (instruction: Instruction) => Pick<Hit, 'rule' | 'message'> | undefined,
): DockerfileRule {
  return (stages) =>
    stages.flatMap((stage) =>
      stage.instructions.flatMap((instruction) => {
        const found = check(instruction);
        return found === undefined
          ? []
          : [{ ...found, subject: `stage ${stage.name}`, line: instruction.line }];
      }),
    );
}

const secrets = each(({ name, argument }) => {
  if (name !== 'ENV' && name !== 'ARG') return undefined;
  const pairs = Array.from(
    argument.matchAll(/([A-Za-z_]\w*)=("[^"]*"|'[^']*'|\S*)/g),
    ([, key = '', value = '']) => ({
      key,
      value: value.replace(/^["']|["']$/g, ''),
    }),
  );
  const old = /^([A-Za-z_]\w*)\s+([^=]\S*)/.exec(argument);
  if (name === 'ENV' && pairs.length === 0 && old !== null)
    pairs.push({ key: old[1] ?? '', value: old[2] ?? '' });
  const secret = pairs.find(
    ({ key, value }) => secretName.test(key) && value !== '' && !/^\$\{?\w+\}?$/.test(value),
  );
  // The value is not repeated.
  return secret === undefined
    ? undefined
    : { rule: 'secret-in-image', message: `${name} gives ${secret.key} a value` };
});

const updateAlone = each(({ name, argument }) =>
  name === 'RUN' &&
  /\b(?:apt-get|apt|apk|yum|dnf)\s+(?:-\S+\s+)*update\b/.test(argument) &&
  !/\b(?:install|add|upgrade)\b/.test(argument)
    ? { rule: 'update-alone', message: 'package lists are updated, and nothing is installed with them' }
    : undefined,
);

const add = each(({ name, argument }) =>
  name === 'ADD' ? { rule: 'add-instead-of-copy', message: `ADD ${argument.slice(0, 80)}` } : undefined,
);

/** What a Dockerfile makes of an image. `instructions` are of `readDockerfile`. */
export function checkDockerfile(instructions: readonly Instruction[]): Hit[] {
  const stages = stagesOf(instructions);
  const last = stages.at(-1);
  if (last === undefined) return [];
  return [rootUser, healthCheck, latest, secrets, updateAlone, add].flatMap((rule) => rule(stages, last));
}
