// Renews what the GitHub double knows of GitHub's API: the operations below out of the published descriptions, without their prose.
// The packages are large (400 MB unpacked) and needed for this alone, so they are installed somewhere else:
//
//   npm install --prefix FOLDER @octokit/openapi@23 @octokit/graphql-schema@15
//   node scripts/extract-github-api.ts FOLDER
//
// Writes test/support/github/openapi.json (the operations, with JSON Schema in the place of OpenAPI's dialect) and
// test/support/github/schema.graphql (the types and fields below).
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse, print, visit } from 'graphql';

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type Record_ = { [key: string]: Json };

const repository = '/repos/{owner}/{repo}';

const operations: readonly string[] = [
  `GET ${repository}/deployments`,
  `POST ${repository}/deployments`,
  `GET ${repository}/deployments/{deployment_id}`,
  `GET ${repository}/deployments/{deployment_id}/statuses`,
  `POST ${repository}/deployments/{deployment_id}/statuses`,
  `GET ${repository}/environments/{environment_name}`,
  `POST ${repository}/check-runs`,
  `GET ${repository}/check-runs/{check_run_id}`,
  `PATCH ${repository}/check-runs/{check_run_id}`,
  `GET ${repository}/check-runs/{check_run_id}/annotations`,
  `GET ${repository}/commits/{ref}/check-runs`,
  `GET ${repository}/commits/{ref}/status`,
  `GET ${repository}/issues/{issue_number}/comments`,
  `POST ${repository}/issues/{issue_number}/comments`,
  `PATCH ${repository}/issues/comments/{comment_id}`,
  `DELETE ${repository}/issues/comments/{comment_id}`,
  `GET ${repository}/pulls/{pull_number}`,
  `POST ${repository}/code-scanning/sarifs`,
  `GET ${repository}/code-scanning/sarifs/{sarif_id}`,
  `GET ${repository}/git/ref/{ref}`,
  `POST ${repository}/git/refs`,
  `PATCH ${repository}/git/refs/{ref}`,
  `DELETE ${repository}/git/refs/{ref}`,
  `POST ${repository}/git/blobs`,
  `GET ${repository}/git/blobs/{file_sha}`,
  `POST ${repository}/git/trees`,
  `GET ${repository}/git/trees/{tree_sha}`,
  `POST ${repository}/git/commits`,
  `GET ${repository}/git/commits/{commit_sha}`,
  `GET ${repository}/actions/runs/{run_id}`,
];

/** Types with the fields of them that are kept; `*` keeps all. */
const graphqlTypes: Readonly<Record<string, readonly string[] | '*'>> = {
  Query: ['repository', 'viewer'],
  Mutation: ['updateRefs'],
  Repository: ['id', 'nameWithOwner', 'object', 'ref'],
  User: ['id', 'databaseId', 'login'],
  Ref: ['id', 'name', 'prefix', 'target'],
  GitObject: ['id', 'oid'],
  Commit: ['id', 'oid', 'committedDate', 'message', 'tree'],
  Tree: ['id', 'oid', 'entries'],
  TreeEntry: ['name', 'oid', 'path', 'type', 'object'],
  Blob: ['id', 'oid', 'byteSize', 'isTruncated', 'text'],
  UpdateRefsInput: '*',
  RefUpdate: '*',
  UpdateRefsPayload: '*',
  DateTime: '*',
  GitObjectID: '*',
  GitRefname: '*',
};

const isObject = (value: Json | undefined): value is Record_ =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Keywords that say nothing about validity. */
const prose = new Set([
  'description',
  'title',
  'example',
  'examples',
  'deprecated',
  'externalDocs',
  'default',
  'readOnly',
  'writeOnly',
  'xml',
  'discriminator',
  'x-multi-segment',
]);

/** A schema of OpenAPI 3.0 as JSON Schema: only what validates, and `nullable` said with a type. */
function toJsonSchema(schema: Json): Json {
  if (!isObject(schema)) return schema;
  const out: Record_ = {};
  for (const [keyword, value] of Object.entries(schema)) {
    if (prose.has(keyword) || keyword.startsWith('x-') || keyword === 'nullable') continue;
    if (keyword === 'properties' && isObject(value)) {
      out[keyword] = Object.fromEntries(Object.entries(value).map(([name, of]) => [name, toJsonSchema(of)]));
    } else if (['items', 'not', 'additionalProperties'].includes(keyword)) {
      out[keyword] = toJsonSchema(value);
    } else if (['allOf', 'anyOf', 'oneOf'].includes(keyword) && Array.isArray(value)) {
      out[keyword] = value.map(toJsonSchema);
    } else if (keyword === '$ref' && typeof value === 'string') {
      out[keyword] = value.replace('#/components/schemas/', '#/schemas/');
    } else {
      out[keyword] = value;
    }
  }
  if (schema['nullable'] !== true) return out;
  if (typeof out['type'] === 'string' && out['enum'] === undefined) {
    return { ...out, type: [out['type'], 'null'] };
  }
  return { anyOf: [out, { type: 'null' }] };
}

function schemaNames(value: Json): string[] {
  if (Array.isArray(value)) return value.flatMap(schemaNames);
  if (!isObject(value)) return [];
  const reference = value['$ref'];
  const own =
    typeof reference === 'string' && reference.startsWith('#/schemas/')
      ? [reference.slice('#/schemas/'.length)]
      : [];
  return [...own, ...Object.values(value).flatMap(schemaNames)];
}

function extractOpenApi(source: Record_): Record_ {
  const resolve = (value: Json | undefined): Record_ => {
    if (!isObject(value)) return {};
    if (typeof value['$ref'] !== 'string') return value;
    return value['$ref']
      .slice(2)
      .split('/')
      .reduce<Record_>((at, key) => resolve(at[key]), source);
  };
  const jsonOf = (holder: Json | undefined): Json | undefined => {
    const content = resolve(holder)['content'];
    return isObject(content) ? resolve(content['application/json'])['schema'] : undefined;
  };

  const kept: Record_ = {};
  for (const operation of operations) {
    const [method = '', path = ''] = operation.split(' ');
    const declared = resolve(resolve(resolve(source['paths'])[path])[method.toLowerCase()]);
    if (Object.keys(declared).length === 0) throw new Error(`The description has no ${operation}.`);
    const parameters = (Array.isArray(declared['parameters']) ? declared['parameters'] : []).map(resolve);
    const body = jsonOf(declared['requestBody']);
    const schemasOf = (place: string): Record_ => {
      const found = parameters.filter((parameter) => parameter['in'] === place);
      return Object.fromEntries(
        found.map(({ name, schema }) => [
          typeof name === 'string' ? name : '',
          toJsonSchema(resolve(schema)),
        ]),
      );
    };
    kept[operation] = {
      path: schemasOf('path'),
      query: schemasOf('query'),
      ...(body === undefined ? {} : { body: toJsonSchema(body) }),
      responses: Object.fromEntries(
        Object.entries(resolve(declared['responses'])).map(([status, response]) => [
          status,
          toJsonSchema(jsonOf(response) ?? null),
        ]),
      ),
    };
  }

  const all = resolve(resolve(source['components'])['schemas']);
  const schemas: Record_ = {};
  for (let wanted = schemaNames(kept); wanted.length > 0;) {
    const name = wanted.pop() ?? '';
    if (schemas[name] !== undefined) continue;
    const schema = toJsonSchema(all[name] ?? null);
    schemas[name] = schema;
    wanted = [...wanted, ...schemaNames(schema)];
  }
  return {
    $comment:
      "Out of GitHub's OpenAPI description (MIT) by scripts/extract-github-api.ts; not edited by hand.",
    version: resolve(source['info'])['version'] ?? '',
    operations: kept,
    schemas: Object.fromEntries(Object.entries(schemas).toSorted(([a], [b]) => (a < b ? -1 : 1))),
  };
}

/** The schema document without prose, directives, and all types and fields that are not listed. */
function extractGraphql(source: string): string {
  const kept = visit(parse(source), {
    enter(node) {
      if ('description' in node && node.description !== undefined) return { ...node, description: undefined };
      return undefined;
    },
    Directive: () => null,
  });
  const declared = new Map(
    kept.definitions.map((definition) => [
      'name' in definition ? definition.name?.value : undefined,
      definition,
    ]),
  );
  const definitions = Object.entries(graphqlTypes).map(([name, fields]) => {
    const definition = declared.get(name);
    if (definition === undefined) throw new Error(`The schema has no type ${name}.`);
    if (fields === '*') return definition;
    if (!('fields' in definition) || !('interfaces' in definition)) {
      throw new Error(`${name} is no type with fields.`);
    }
    for (const field of fields) {
      if (!definition.fields?.some((one) => one.name.value === field)) {
        throw new Error(`The schema has no ${name}.${field}.`);
      }
    }
    return {
      ...definition,
      interfaces: definition.interfaces?.filter((one) => one.name.value in graphqlTypes),
      fields: definition.fields?.filter((one) => fields.includes(one.name.value)),
    };
  });
  const text = print({ ...kept, definitions });
  return `# Out of GitHub's GraphQL schema (MIT) by scripts/extract-github-api.ts; not edited by hand.\n\n${text}\n`;
}

const folder = process.argv[2];
if (folder === undefined) throw new Error('Name the folder in which the packages are installed.');
const packages = join(folder, 'node_modules/@octokit');
const double = join(import.meta.dirname, '../test/support/github');
const source = JSON.parse(
  await readFile(join(packages, 'openapi/generated/api.github.com.json'), 'utf8'),
) as Record_;
await writeFile(join(double, 'openapi.json'), `${JSON.stringify(extractOpenApi(source))}\n`);
await writeFile(
  join(double, 'schema.graphql'),
  extractGraphql(await readFile(join(packages, 'graphql-schema/schema.graphql'), 'utf8')),
);
