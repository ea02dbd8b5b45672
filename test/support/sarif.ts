// What is wrong with a SARIF file by the schema that OASIS publishes.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv, type ValidateFunction } from 'ajv';

const schemaFile = join(import.meta.dirname, '../../packages/findings/testdata/sarif-schema-2.1.0.json');
const reference = /^(?:[\w.~!$&'()*+,;=:@/?#[\]-]|%[0-9A-F]{2})*$/;

// The published schema has a pattern that is none in Unicode mode.
const ajv = new Ajv({ strict: false, allErrors: true, unicodeRegExp: false })
  .addFormat('uri', { type: 'string', validate: (text) => reference.test(text) && URL.canParse(text) })
  .addFormat('uri-reference', { type: 'string', validate: (text) => reference.test(text) })
  .addFormat('date-time', { type: 'string', validate: (text) => !Number.isNaN(Date.parse(text)) });
let validate: ValidateFunction | undefined;

/** In words; empty when it is valid. */
export function sarifProblems(log: unknown): string {
  validate ??= ajv.compile(JSON.parse(readFileSync(schemaFile, 'utf8')) as object);
  return validate(log) ? '' : ajv.errorsText(validate.errors);
}
