import { DeployError, type Place } from '@deploy-actions/core';

/** The kinds of mistake, by what is to be done about them. */
export type ConfigRule = 'not-yaml' | 'wrong-shape' | 'unknown-key' | 'wrong-extends' | 'unknown-environment';

/** What is wrong in a deploy.yml, and where. */
export interface ConfigProblem {
  rule: ConfigRule;
  place: Place;
  /** Dotted, from the top of the file: `environments.production.health.timeout`; '' for the whole file. */
  path: string;
  message: string;
  /** What is allowed. */
  remedy?: string | undefined;
}

/** Takes note of a mistake. */
export type Report = (problem: ConfigProblem) => void;

/** How many problems an error names; a file with more has one cause for most of them. */
const namedLimit = 20;

/** `.github/deploy.yml:14:7`: a place as compilers write it, so that editors and terminals lead there. */
export function describePlace(file: string, { line, column }: Place): string {
  return `${file}:${line}:${column}`;
}

/** The problems as one error; all of them, so that nobody mends a file one push at a time. */
export function configError(file: string, problems: readonly ConfigProblem[]): DeployError {
  const [first, ...more] = problems;
  if (first !== undefined && more.length === 0) {
    return new DeployError('invalid_config', `${describePlace(file, first.place)}: ${first.message}`, {
      remedy: first.remedy,
    });
  }
  const lines = problems
    .slice(0, namedLimit)
    .map(({ place, message, remedy }) =>
      [`- ${describePlace(file, place)}: ${message}`, ...(remedy === undefined ? [] : [remedy])].join(' '),
    );
  if (problems.length > namedLimit) lines.push(`- … and ${problems.length - namedLimit} more.`);
  return new DeployError(
    'invalid_config',
    `${file} has ${problems.length} problems; nothing was touched.\n${lines.join('\n')}`,
    { remedy: 'Mend them; the JSON Schema of the file is deploy.schema.json.' },
  );
}
