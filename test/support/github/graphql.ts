// The part of GitHub's GraphQL API that the suite uses. schema.graphql is a small part of the published one;
// scripts/extract-github-api.ts says how it is renewed.

import { readFileSync } from 'node:fs';
import {
  type ExecutionResult,
  GraphQLError,
  type GraphQLScalarType,
  buildSchema,
  graphqlSync,
  parse,
  validate,
} from 'graphql';
import { zeroOid } from './git.ts';
import type { Repository } from './repository.ts';
import type { Token } from './tokens.ts';
import { allows } from './tokens.ts';

export interface GraphqlRequest {
  query: string;
  variables: Record<string, unknown>;
}

const schema = buildSchema(readFileSync(new URL('./schema.graphql', import.meta.url), 'utf8'));
const oid = schema.getType('GitObjectID') as GraphQLScalarType;
oid.coerceInputValue = (value) => {
  if (typeof value === 'string' && /^[0-9a-f]{40}$/.test(value)) return value;
  throw new GraphQLError(`${JSON.stringify(value)} is no object name.`);
};

/** A blob that is longer is given cut. */
const longestText = 512_000;

/** `graphql` and the first field that is asked for, such as `graphql updateRefs`. Undefined when it cannot be read. */
export function graphqlOperation(query: string): string | undefined {
  try {
    const [definition] = parse(query).definitions;
    if (definition?.kind !== 'OperationDefinition') return undefined;
    const [field] = definition.selectionSet.selections;
    return field?.kind === 'Field' ? `graphql ${field.name.value}` : undefined;
  } catch {
    return undefined;
  }
}

/** What the schema does not allow in a request, in words. */
export function graphqlProblems({ query }: GraphqlRequest): string[] {
  try {
    return validate(schema, parse(query)).map(({ message }) => message);
  } catch (thrown) {
    return [String(thrown)];
  }
}

const repositoryId = ({ owner, name }: Repository): string => `R_${owner}_${name}`;

class Denied extends GraphQLError {
  constructor(type: string, message: string) {
    super(message, { extensions: { type } });
  }
}

function objectOf(repository: Repository, name: string): object | null {
  const { commits, trees, blobs } = repository.objects;
  const commit = commits.get(name);
  if (commit !== undefined) {
    return {
      __typename: 'Commit',
      id: `C_${name}`,
      oid: name,
      message: commit.message,
      committedDate: commit.committer.date,
      tree: () => objectOf(repository, commit.tree),
    };
  }
  const tree = trees.get(name);
  if (tree !== undefined) {
    const entries = tree.map(({ path, type, sha }) => ({
      name: path,
      path,
      type,
      oid: sha,
      object: () => objectOf(repository, sha),
    }));
    return { __typename: 'Tree', id: `T_${name}`, oid: name, entries };
  }
  const blob = blobs.get(name);
  if (blob === undefined) return null;
  return {
    __typename: 'Blob',
    id: `B_${name}`,
    oid: name,
    byteSize: blob.length,
    isTruncated: blob.length > longestText,
    text: blob.subarray(0, longestText).toString(),
  };
}

interface RefUpdate {
  name: string;
  beforeOid?: string;
  afterOid: string;
  force: boolean;
}

/** All or none. The object name of all zeros stands for "does not exist". */
function updateRefs(
  repository: Repository,
  token: Token,
  input: { repositoryId: string; refUpdates: RefUpdate[] },
) {
  if (input.repositoryId !== repositoryId(repository)) {
    throw new Denied(
      'NOT_FOUND',
      `Could not resolve to a node with the global id of '${input.repositoryId}'`,
    );
  }
  if (!allows(token, { level: 'write', anyOf: ['contents'] })) {
    throw new Denied('FORBIDDEN', 'Resource not accessible by integration');
  }
  const { refs, objects } = repository;
  for (const { name, beforeOid, afterOid, force } of input.refUpdates) {
    const current = refs.get(name) ?? zeroOid;
    if (!/^refs\/[^/]+\/./.test(name))
      throw new Denied('UNPROCESSABLE', `${name} is not a fully qualified name`);
    if (beforeOid !== undefined && beforeOid !== current) {
      throw new Denied('UNPROCESSABLE', `${name} is at ${current}, not at ${beforeOid}`);
    }
    if (afterOid === zeroOid) continue;
    if (!objects.commits.has(afterOid)) throw new Denied('UNPROCESSABLE', `${afterOid} does not exist`);
    if (current !== zeroOid && !force && !objects.isAncestor(current, afterOid)) {
      throw new Denied('UNPROCESSABLE', `The update of ${name} is not a fast forward`);
    }
  }
  for (const { name, afterOid } of input.refUpdates) {
    if (afterOid === zeroOid) refs.delete(name);
    else refs.set(name, afterOid);
  }
  return {};
}

/** Runs a request that is valid by the schema; errors are in the answer, as GitHub gives them. */
export function executeGraphql(repository: Repository, token: Token, request: GraphqlRequest): object {
  const result: ExecutionResult = graphqlSync({
    schema,
    source: request.query,
    variableValues: request.variables,
    rootValue: {
      viewer: { id: `U_${token.identity.id}`, databaseId: token.identity.id, login: token.identity.login },
      repository({ owner, name }: { owner: string; name: string }) {
        if (owner !== repository.owner || name !== repository.name) {
          throw new Denied(
            'NOT_FOUND',
            `Could not resolve to a Repository with the name '${owner}/${name}'.`,
          );
        }
        return {
          id: repositoryId(repository),
          nameWithOwner: `${owner}/${name}`,
          object: ({ oid: of, expression }: { oid?: string; expression?: string }) => {
            if (!allows(token, { level: 'read', anyOf: ['contents'] })) {
              throw new Denied('FORBIDDEN', 'Resource not accessible by integration');
            }
            return objectOf(repository, of ?? repository.resolve(expression ?? '') ?? '');
          },
          // GraphQL sees branches and tags alone; other references are there for REST and for updateRefs.
          ref({ qualifiedName }: { qualifiedName: string }) {
            const sha = /^refs\/(?:heads|tags)\//.test(qualifiedName)
              ? repository.refs.get(qualifiedName)
              : undefined;
            const [, prefix = '', short = ''] = /^(refs\/\w+\/)(.*)$/.exec(qualifiedName) ?? [];
            return sha === undefined
              ? null
              : { id: qualifiedName, name: short, prefix, target: () => objectOf(repository, sha) };
          },
        };
      },
      updateRefs: ({ input }: { input: { repositoryId: string; refUpdates: RefUpdate[] } }) =>
        updateRefs(repository, token, input),
    },
  });
  return {
    data: result.data ?? null,
    ...(result.errors === undefined
      ? {}
      : {
          errors: result.errors.map(({ message, path, extensions }) => ({
            message,
            ...(path === undefined ? {} : { path }),
            ...(extensions['type'] === undefined ? {} : { type: extensions['type'] }),
          })),
        }),
  };
}
