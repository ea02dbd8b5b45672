import { describePlace } from '@deploy-actions/config';
import { type Finding, identify, type Rule } from '@deploy-actions/findings';
import type { Mistake } from './check.ts';

const rules: Record<Mistake['rule'], Pick<Rule, 'title' | 'help'>> = {
  'not-yaml': {
    title: 'deploy.yml is not valid YAML',
    help: 'Mend the syntax. One document, no key twice, spaces for indentation, anchors before their aliases.',
  },
  'wrong-shape': {
    title: 'A value stands where settings belong',
    help: 'Write the settings of the section below its key.',
  },
  'unknown-key': {
    title: 'A key that nothing reads',
    help: 'Take a key of deploy.schema.json; editors suggest them when they know the schema.',
  },
  'wrong-extends': {
    title: 'An environment extends what it cannot',
    help: 'Name another environment of the file, and let no environment come back to itself.',
  },
  'unknown-environment': {
    title: 'An environment that the file does not have',
    help: 'Add it below `environments`, or name one that is there.',
  },
  'wrong-value': {
    title: 'A value that is not allowed',
    help: 'Write a value of the form that the input of the actions allows.',
  },
  'wrong-combination': {
    title: 'Values that do not go together',
    help: 'Change one of them. In an environment, `~` unsets what would be inherited.',
  },
};

/** The mistakes of the file as findings, for whatever shows findings. */
export function findingsOf(mistakes: readonly Mistake[], file: string): Finding[] {
  return identify(
    mistakes.map(({ rule, place, path, message, remedy, environments }) => ({
      rule: { id: `deploy-yml/${rule}`, ...rules[rule], link: null, tags: ['configuration'] },
      severity: 'high' as const,
      message: [
        `${describePlace(file, place)}: ${message}`,
        ...(remedy === undefined ? [] : [remedy]),
        ...(environments.length === 0 ? [] : [`(For ${environments.join(', ')}.)`]),
      ].join(' '),
      target: { kind: 'files' as const, name: file, version: null },
      subject: null,
      location: { file, startLine: place.line, endLine: place.line },
      // Syntax has no path; its message without places stays when lines move.
      context: path === '' ? message.replaceAll(/\d+:\d+/g, '') : path,
    })),
  );
}
