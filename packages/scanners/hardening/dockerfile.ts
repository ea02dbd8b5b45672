import {
  fillIn,
  globalArguments,
  inherited,
  type Instruction,
  type Stage,
  stageNamed,
  stagesFor,
  stagesOf,
} from '@deploy-actions/dockerfile';
import type { Hit } from './rules.ts';
import { isRoot, untagged } from './shared.ts';

/** Names of what is secret, but not of files and addresses that lead to it. */
const secretName = /(?:pass(?:word|wd)?|secret|token|api_?key|private_?key|credentials?)$/i;

type DockerfileRule = (stages: readonly Stage[], last: Stage) => Hit[];

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

/** What is known of a Dockerfile where it is built from. */
export interface DockerfileBuild {
  /** Arguments of the build, by which a base may be named. */
  args: Readonly<Record<string, string>>;
  /** The stage that is built; undefined for the last. */
  target: string | undefined;
}

/** Bases that are whatever a tag points at on the day of the build. */
function unpinned(
  instructions: readonly Instruction[],
  stages: readonly Stage[],
  { args, target }: DockerfileBuild,
): Hit[] {
  const values = globalArguments(instructions, args);
  return (stagesFor(stages, target) ?? []).flatMap((stage): Hit[] => {
    const base = fillIn(stage.base, values) ?? stage.base;
    const isStage = stageNamed(stages.slice(0, stages.indexOf(stage)), base) !== undefined;
    if (isStage || base === 'scratch' || /@sha256:[0-9a-f]{64}$/.test(base)) return [];
    const message = `the base ${base} is not pinned by a digest`;
    return [{ rule: 'unpinned-base', subject: `stage ${stage.name}`, line: stage.from.line, message }];
  });
}

/** Package lists that stay in the image: what another instruction removes is in its layer all the same. */
function keptLists(stages: readonly Stage[], last: Stage): Hit[] {
  return inherited(stages, last).flatMap((instruction): Hit[] => {
    const { name, argument, documents, line } = instruction;
    const script = `${argument}\n${documents}`;
    const kept =
      name === 'RUN' &&
      /\bapt(?:-get)?\s+(?:-\S+\s+)*update\b/.test(script) &&
      !/\brm\s+-\w*r\w*\s[^;&|]*\/var\/lib\/apt\/lists/.test(script) &&
      !/--mount=\S*(?:target|dst|destination)=\/var\/lib\/apt/.test(script);
    const message = 'the package lists of apt stay in the layer';
    return kept ? [{ rule: 'kept-package-lists', subject: `stage ${last.name}`, line, message }] : [];
  });
}

/**
 * What a Dockerfile makes of an image. `instructions` are of `readDockerfile`. Where it is built from, `build` is given: then bases and
 * package lists are looked at, too.
 */
export function checkDockerfile(instructions: readonly Instruction[], build?: DockerfileBuild): Hit[] {
  const stages = stagesOf(instructions);
  const last = build?.target === undefined ? stages.at(-1) : stageNamed(stages, build.target);
  if (last === undefined) return [];
  const hits = [rootUser, healthCheck, latest, secrets, updateAlone, add].flatMap((rule) =>
    rule(stages, last),
  );
  return build === undefined
    ? hits
    : [...hits, ...unpinned(instructions, stages, build), ...keptLists(stages, last)];
}
