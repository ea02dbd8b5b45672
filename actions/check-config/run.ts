import { relative, sep } from 'node:path';
import type { Context, InputValues, Outcome } from '@deploy-actions/action-kit';
import {
  describePlace,
  type Parity,
  parityOf,
  readConfig,
  readConfigText,
  unknownEnvironment,
} from '@deploy-actions/config';
import { DeployError, printable } from '@deploy-actions/core';
import { annotationCommands } from '@deploy-actions/findings';
import { allDefinitions } from './all-definitions.ts';
import { checkValues, type Mistake } from './check.ts';
import type { definition } from './definition.ts';
import { findingsOf } from './findings.ts';
import { hintsTable, mistakesTable, parityTable } from './tables.ts';

type Inputs = InputValues<(typeof definition)['inputs']>;
type Outputs = (typeof definition)['outputs'];

/** Characters of the output; a job's outputs have room for a megabyte. */
const parityLimit = 200_000;
const loggedLimit = 200;

/** The rows that differ, as many as fit; they are in an order in which the last ones matter least. */
function parityOutput({ environments, rows }: Parity): string {
  const different = rows.filter(({ verdict }) => verdict !== 'same').map((row) => JSON.stringify(row));
  let room = parityLimit;
  const kept = different.filter((row) => (room -= row.length + 1) >= 0);
  const omitted = different.length - kept.length;
  return `{"environments":${JSON.stringify(environments)},"rows":[${kept.join(',')}],"omitted":${omitted}}`;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

function inOrder(mistakes: Mistake[]): Mistake[] {
  return mistakes.toSorted((a, b) => a.place.line - b.place.line || a.place.column - b.place.column);
}

export async function run(inputs: Inputs, context: Context): Promise<Outcome<Outputs>> {
  const { log, summary, facts } = context;
  const file = relative(facts.workspace, inputs.file).split(sep).join('/');
  const text = readConfigText(inputs.file, file);
  if (text === undefined) {
    throw new DeployError('invalid_config', `${file} is not there.`, {
      remedy: 'Check the repository out before this step, or name the file by `file`.',
    });
  }

  const document = await readConfig(text, { file });
  const asked = [...new Set(inputs.environments ?? document.environments)];
  const unknown = asked.flatMap((name) => unknownEnvironment(document, name) ?? []);
  const environments = asked.filter((name) => unknownEnvironment(document, name) === undefined);
  const checked = await checkValues(
    document,
    environments.length === 0 ? [''] : environments,
    await allDefinitions(),
    facts.workspace,
  );
  const mistakes = inOrder([
    ...[...document.problems, ...unknown].map((problem) => {
      return { ...problem, remedy: problem.remedy, environments: [] };
    }),
    ...checked.mistakes,
  ]);
  const parity = parityOf(document, environments);

  const shown = annotationCommands(findingsOf(mistakes, file));
  for (const { level, message, properties } of shown.items) context.annotate(level, message, properties);
  for (const { place, message } of mistakes.slice(0, loggedLimit)) {
    // A key may hold line breaks; a problem is one line.
    log.info(`${describePlace(file, place)}: ${printable(message).replaceAll('\n', ' ')}`);
  }
  if (shown.notice !== '') log.info(shown.notice);
  mistakesTable(summary, file, mistakes);
  hintsTable(summary, checked.hints);
  parityTable(summary, parity);

  const suspicious = parity.rows.filter(({ verdict, expected }) => verdict !== 'same' && expected === null);
  const differences =
    suspicious.length === 0 ? '' : ` ${counted(suspicious.length, 'setting')} may differ by mistake.`;
  const scope = environments.length === 0 ? '' : ` for ${environments.join(', ')}`;
  const isGood = mistakes.length === 0;
  return {
    result: isGood ? 'succeeded' : 'refused',
    reasonCode: isGood ? 'ok' : 'invalid_config',
    message: isGood
      ? `${file} is right${scope}.${differences}`
      : `${file} has ${counted(mistakes.length, 'problem')}; each is shown on its line.`,
    remedy: isGood ? undefined : 'Mend them; the JSON Schema of the file is deploy.schema.json.',
    outputs: { problems: mistakes.length, parity: parityOutput(parity) },
    report: { file, problems: mistakes, hints: checked.hints, parity },
  };
}
