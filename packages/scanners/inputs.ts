import type { InputSpecs, OutputSpecs, Problem } from '@deploy-actions/action-kit';
import { DeployError } from '@deploy-actions/core';
import { parseLimits } from '@deploy-actions/findings';

export const limitsForm = 'Limits such as `critical: 0, high: 5`; `none` for no limit.';

/** The inputs of a scan about its verdict, read from a section of deploy.yml. `usual` names the ignore files that are looked for. */
export function verdictInputs<const Section extends string>(section: Section, limits: string, usual: string) {
  return {
    baseline: {
      kind: 'path',
      within: 'host',
      description:
        'A folder with the base branch. It is scanned in the same way, so that a finding is new only when the change brought it; then only new ones count against the limits.',
      example: 'base',
    },
    'count-known': {
      kind: 'boolean',
      description: 'Whether findings count that the baseline has too.',
      default: 'false',
      config: `${section}.count-known`,
    },
    limits: {
      kind: 'string',
      description: `How many findings of a severity may be there. ${limitsForm}`,
      default: limits,
      config: `${section}.limits`,
    },
    'ignore-file': {
      kind: 'path',
      within: 'workspace',
      description: `Findings to live with for a time: a file of lines, or of YAML. Entries hold to the end of their last day; what is ignored, expired or unused is said. Default: ${usual}, where there is one.`,
      example: 'security/ignore.yaml',
      config: `${section}.ignore-file`,
    },
    'ignore-without-date': {
      kind: 'enum',
      values: ['warn', 'fail'],
      description: 'What to do about ignore entries that have no last day.',
      default: 'warn',
      config: `${section}.ignore-without-date`,
    },
    sarif: {
      kind: 'boolean',
      description: 'Whether everything found goes to code scanning.',
      default: 'true',
      config: `${section}.sarif`,
    },
  } as const satisfies InputSpecs;
}

/** The problem with an input of limits, if there is one. */
export function checkLimits(input: string, text: string | undefined): Problem[] {
  if (text === undefined) return [];
  try {
    parseLimits(text, input);
    return [];
  } catch (thrown) {
    if (!(thrown instanceof DeployError)) throw thrown;
    return [{ input, value: text, message: `is not allowed. ${thrown.remedy ?? thrown.message}` }];
  }
}

/** The outputs of a scan that has a verdict. */
export const verdictOutputs = {
  passed: {
    description: '`true` when every limit was kept, `false` when not; empty when a scan could not run.',
  },
  counts: { description: 'JSON of what counted, by severity.' },
  findings: { description: 'How many findings there are, ignored ones left out.' },
  new: { description: 'How many of them the baseline does not have; empty without a baseline.' },
} as const satisfies OutputSpecs;
