// What GitHub's published description says of each operation: which exist, which requests are allowed, what answers look
// like. openapi.json is a small part of it; scripts/extract-github-api.ts says how it is renewed.

import { readFileSync } from 'node:fs';
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';

type Json = null | boolean | number | string | Json[] | JsonObject;
interface JsonObject {
  [key: string]: Json;
}

interface Operation {
  path: Record<string, JsonObject>;
  query: Record<string, JsonObject>;
  body?: JsonObject;
  responses: Record<string, JsonObject | null>;
}

export interface Matched {
  /** Method and template: `GET /repos/{owner}/{repo}/git/ref/{ref}`. */
  operation: string;
  /** Decoded path parameters. */
  parameters: Record<string, string>;
}

export interface Contract {
  match(method: string, path: string): Matched | undefined;
  /** What is not allowed in a request, in words; empty when all is well. */
  requestProblems(matched: Matched, query: Record<string, string>, body: unknown): string[];
  /** What is wrong with an answer of the double itself. */
  responseProblems(operation: string, status: number, body: unknown): string[];
  /** An answer with the properties that are required, where they are not given, made up by the schema. */
  complete(operation: string, status: number, known: unknown): unknown;
}

const source = new URL('./openapi.json', import.meta.url);

let loaded: Contract | undefined;

/** Loaded once: compiling what is used of it takes longer than most tests. */
export function loadContract(): Contract {
  return (loaded ??= load());
}

function load(): Contract {
  const { operations, schemas } = JSON.parse(readFileSync(source, 'utf8')) as {
    operations: Record<string, Operation>;
    schemas: Record<string, JsonObject>;
  };
  const routes = Object.keys(operations).map((operation) => {
    const [method = '', template = ''] = operation.split(' ');
    return { operation, method, pattern: patternOf(template) };
  });
  const ajv = newAjv({ coerceTypes: false });
  const coercing = newAjv({ coerceTypes: true });
  for (const one of [ajv, coercing]) one.addSchema({ $id: 'github', schemas });

  /** Compiled when first needed: a test uses few operations. */
  const compiled = new Map<string, ValidateFunction>();
  function validator(key: string, schema: () => JsonObject, by = ajv): ValidateFunction {
    const known = compiled.get(key);
    if (known !== undefined) return known;
    const made = by.compile(absolute(schema()) as JsonObject);
    compiled.set(key, made);
    return made;
  }
  const operationOf = (name: string): Operation => {
    const operation = operations[name];
    if (operation === undefined) throw new Error(`The description has no ${name}.`);
    return operation;
  };

  return {
    match(method, path) {
      for (const route of routes) {
        const groups = route.method === method ? route.pattern.exec(path)?.groups : undefined;
        if (groups === undefined) continue;
        const parameters = Object.fromEntries(
          Object.entries(groups).map(([name, value]) => [name, decodeURIComponent(value)]),
        );
        return { operation: route.operation, parameters };
      }
      return undefined;
    },

    requestProblems({ operation: name, parameters }, query, body) {
      const operation = operationOf(name);
      const path = validator(`${name} path`, () => objectOf(operation.path), coercing);
      const queried = validator(`${name} query`, () => objectOf(operation.query), coercing);
      const problems = [
        ...problemsOf(path, { ...parameters }, 'path'),
        ...problemsOf(queried, { ...query }, 'query'),
      ];
      if (operation.body === undefined) {
        if (body !== undefined) problems.push('body: this operation takes none');
      } else {
        const { body: schema } = operation;
        problems.push(
          ...problemsOf(
            validator(`${name} body`, () => closed(schema)),
            body ?? {},
            'body',
          ),
        );
      }
      return problems;
    },

    responseProblems(name, status, body) {
      const { responses } = operationOf(name);
      const schema = responses[String(status)];
      if (schema === undefined) {
        // What every operation can answer is not repeated in the description of each.
        return [401, 403, 404, 429].includes(status) || status >= 500
          ? []
          : [`answer: ${status} is not described`];
      }
      if (schema === null) return [];
      return problemsOf(
        validator(`${name} ${status}`, () => schema),
        body,
        `answer ${status}`,
      );
    },

    complete(name, status, known) {
      const schema = operationOf(name).responses[String(status)];
      return schema === undefined || schema === null ? known : filled(schema, known as Json, schemas);
    },
  };
}

function newAjv(options: { coerceTypes: boolean }): Ajv {
  return new Ajv({
    ...options,
    strict: false,
    allErrors: true,
    formats: {
      int64: true,
      email: /^[^@\s]+@[^@\s]+$/,
      // GitHub answers an empty text where there is no address.
      uri: (text: string) => text === '' || URL.canParse(text),
      'date-time': (text: string) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/.test(text) && !isNaN(Date.parse(text)),
    },
  });
}

/** References and the path of a file hold slashes; clients send them as they are or encoded. */
function patternOf(template: string): RegExp {
  const source = template.replace(/\{(\w+)\}/g, (_all, name: string) =>
    name === 'ref' ? `(?<${name}>.+?)` : `(?<${name}>[^/]+)`,
  );
  return new RegExp(`^${source}$`);
}

function absolute(schema: Json): Json {
  if (Array.isArray(schema)) return schema.map(absolute);
  if (typeof schema !== 'object' || schema === null) return schema;
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [
      key,
      key === '$ref' && typeof value === 'string' ? value.replace('#/', 'github#/') : absolute(value),
    ]),
  );
}

const objectOf = (properties: Record<string, JsonObject>): JsonObject => ({
  type: 'object',
  properties,
  additionalProperties: false,
});

/** GitHub ignores what it does not know; here a misspelt property has to be seen. */
function closed(schema: JsonObject): JsonObject {
  const properties = schema['properties'] as Record<string, JsonObject> | undefined;
  const items = schema['items'] as JsonObject | undefined;
  return {
    ...schema,
    ...(items === undefined ? {} : { items: closed(items) }),
    ...(properties === undefined
      ? {}
      : {
          properties: Object.fromEntries(
            Object.entries(properties).map(([name, value]) => [name, closed(value)]),
          ),
          additionalProperties: schema['additionalProperties'] ?? false,
        }),
  };
}

function problemsOf(validate: ValidateFunction, value: unknown, where: string): string[] {
  if (validate(value)) return [];
  return (validate.errors ?? []).map(
    ({ instancePath, message, params }: ErrorObject) =>
      `${where}${instancePath} ${message ?? 'is not allowed'} ${JSON.stringify(params)}`,
  );
}

function filled(schema: JsonObject, known: Json | undefined, schemas: Record<string, JsonObject>): Json {
  const reference = schema['$ref'];
  if (typeof reference === 'string') {
    const target = schemas[reference.slice('#/schemas/'.length)];
    return target === undefined ? (known ?? null) : filled(target, known, schemas);
  }
  const choices = (schema['anyOf'] ?? schema['oneOf']) as JsonObject[] | undefined;
  if (choices !== undefined && schema['properties'] === undefined) {
    if (known === null || (known === undefined && choices.some(({ type }) => type === 'null'))) return null;
    return filled(choices[0] ?? {}, known, schemas);
  }
  const types = [schema['type'] ?? []].flat();
  if (known === undefined) {
    if (types.includes('null')) return null;
    if (Array.isArray(schema['enum'])) return schema['enum'][0] ?? null;
    if (types.includes('string')) return madeUpText(schema['format']);
    if (types.includes('integer') || types.includes('number')) return 0;
    if (types.includes('boolean')) return false;
    if (types.includes('array')) return [];
  }
  if (Array.isArray(known)) {
    return known.map((item) => filled((schema['items'] as JsonObject | undefined) ?? {}, item, schemas));
  }
  const properties = schema['properties'] as Record<string, JsonObject> | undefined;
  if (known === null || (known !== undefined && typeof known !== 'object')) return known;
  if (properties === undefined) return known ?? {};
  const out: JsonObject = { ...known };
  const required = (schema['required'] as string[] | undefined) ?? [];
  for (const [name, property] of Object.entries(properties)) {
    if (known?.[name] === undefined && !required.includes(name)) continue;
    out[name] = filled(property, known?.[name], schemas);
  }
  return out;
}

function madeUpText(format: Json | undefined): string {
  if (format === 'uri') return 'https://api.github.example/';
  if (format === 'date-time') return '2000-01-01T00:00:00Z';
  return '';
}
