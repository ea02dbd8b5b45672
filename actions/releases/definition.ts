import { defineAction, type Problem } from '@deploy-actions/action-kit';
import { parseDuration } from '@deploy-actions/core';
import { checkState, githubInputs, kubernetesTargetInputs, targetInputs } from '@deploy-actions/targets';

const commands = ['list', 'show', 'diff', 'unlock', 'freeze', 'unfreeze'] as const;
type Command = (typeof commands)[number];

/** Inputs that belong to some commands alone: whether each needs it, or may have it. */
const belongs: Record<string, Partial<Record<Command, 'needs' | 'may'>>> = {
  version: { show: 'may' },
  'other-environment': { diff: 'needs' },
  'other-state-directory': { diff: 'may' },
  reason: { unlock: 'needs', freeze: 'needs', unfreeze: 'needs' },
  until: { freeze: 'may' },
};

function checkCommand(inputs: Record<string, unknown> & { command?: Command }): Problem[] {
  const { command } = inputs;
  if (command === undefined) return [];
  const problems: Problem[] = [];
  for (const [input, by] of Object.entries(belongs)) {
    const given = inputs[input] !== undefined;
    if (!given && by[command] === 'needs') {
      problems.push({ input, message: `is missing: \`command: ${command}\` needs it.` });
    }
    if (given && by[command] === undefined) {
      const of = Object.keys(by).map((name) => `\`${name}\``);
      problems.push({
        input,
        message: `is not allowed with \`command: ${command}\`; allowed is it with ${of.join(', ')}.`,
      });
    }
  }
  if (inputs['force'] === true && command !== 'unlock') {
    problems.push({
      input: 'force',
      message: `is not allowed with \`command: ${command}\`; allowed is it with \`unlock\`.`,
    });
  }
  return problems;
}

/** A time with its zone, or so long from now. Undefined when it is neither. */
export function parseUntil(text: string, now = Date.now()): Date | undefined {
  const duration = parseDuration(text);
  if (duration !== undefined) return new Date(now + duration);
  const isTime = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2})$/.test(text);
  const time = isTime ? new Date(text) : undefined;
  return time === undefined || Number.isNaN(time.getTime()) ? undefined : time;
}

function checkUntil(until: string | undefined): Problem[] {
  if (until === undefined) return [];
  const time = parseUntil(until);
  const problem = (what: string) => [
    {
      input: 'until',
      value: until,
      message: `${what}; allowed is a time in the future with its zone, such as 2030-01-07T06:00:00Z, or a duration such as 12h.`,
    },
  ];
  if (time === undefined) return problem('is no time');
  return time.getTime() <= Date.now() ? problem('is over') : [];
}

function checkOther(environment: string | undefined, other: string | undefined): Problem[] {
  return environment !== undefined && environment === other
    ? [
        {
          input: 'other-environment',
          value: other,
          message: 'is the same environment; allowed is another one.',
        },
      ]
    : [];
}

export const definition = defineAction({
  name: 'releases',
  title: 'Releases',
  description:
    'What is deployed where, since when and by which run: lists and shows releases, compares two environments, freezes an environment with a reason, and unlocks one whose holder is gone.',
  icon: 'list',
  color: 'gray-dark',
  mutates: true,
  permissions: {},
  inputs: {
    command: {
      kind: 'enum',
      values: commands,
      required: true,
      description:
        '`list`: every release, newest first. `show`: all about one. `diff`: in what two environments differ. `unlock`: takes the lease from a run that holds it. `freeze`, `unfreeze`: whether anything may be released.',
      example: 'list',
    },
    app: targetInputs.app,
    environment: { ...targetInputs.environment, description: 'The environment that is asked about.' },
    platform: targetInputs.platform,
    state: targetInputs.state,
    'state-directory': targetInputs['state-directory'],
    namespace: kubernetesTargetInputs.namespace,
    kubeconfig: kubernetesTargetInputs.kubeconfig,
    context: kubernetesTargetInputs.context,
    version: {
      kind: 'string',
      pattern: /^[A-Za-z0-9][\w.+-]{0,127}$/,
      allowed: 'letters, digits, dots, hyphens, underscores and +, up to 128',
      description: '`show`: the version, or the first 7 or more letters of its commit. Default: what serves.',
      example: '1.4.2',
    },
    'other-environment': {
      kind: 'string',
      pattern: targetInputs.environment.pattern,
      allowed: targetInputs.environment.allowed,
      description: '`diff`: the environment to compare with.',
      example: 'staging',
    },
    'other-state-directory': {
      kind: 'path',
      within: 'host',
      description:
        '`diff`: `state-directory` of the other environment. Default: what deploy.yml says for it, else its usual place.',
    },
    reason: {
      kind: 'string',
      description:
        '`unlock`, `freeze`, `unfreeze`: why. It is kept in the audit, and shown to whoever is stopped by a freeze.',
      example: 'No releases over the holidays',
    },
    until: {
      kind: 'string',
      description:
        '`freeze`: when it ends by itself: a time such as 2030-01-07T06:00:00Z, or a duration such as `12h`. Default: with `unfreeze`.',
      example: '12h',
    },
    force: {
      kind: 'boolean',
      description:
        '`unlock`: also when the run that holds the lease is known to be alive. It writes nothing more from then on.',
      default: 'false',
    },
    'dry-run': {
      kind: 'boolean',
      description: 'Says what would be changed and writes nothing.',
      default: 'false',
    },
    ...githubInputs,
  },
  outputs: {
    json: {
      description:
        'What was asked for, as JSON: the releases, the release, the differences, the lease or the freeze.',
    },
    version: {
      description:
        'The version that is shown; for the other commands what serves by the ledger. Empty when nothing does.',
    },
    frozen: { description: '`true` while the environment is frozen, else `false`.' },
    holder: { description: 'The page of the run that holds the lease; empty when none does.' },
  },
  check: (inputs) => [
    ...checkCommand(inputs),
    ...checkState(inputs),
    ...checkUntil(inputs.until),
    ...checkOther(inputs.environment, inputs['other-environment']),
  ],
});
