import { randomUUID } from 'node:crypto';
import { DeployError, isRecord } from '@deploy-actions/core';
import type { Pace, StateStore, Stored } from '@deploy-actions/release-engine';
import type { GitHub } from './client.ts';
import { GitHubError, hasStatus, isUnclear } from './errors.ts';

const schema = 1;

/** GitHub gives the text of a longer blob cut. */
const longestDocument = 500_000;

/** How often a write is tried anew because another document of the environment changed in between. */
const writeAttempts = 12;

/** How often a swap is sent whose outcome cannot be seen. */
const swapAttempts = 4;

const permission = 'contents: write';

/**
 * A heartbeat is four calls and a poll is one, which does not count while nothing changes. At 2 minutes a heartbeat a
 * holder spends 120 of the 1,000 calls that the token of a job has in an hour for the whole repository; a run that waits
 * loads the state once after each. A holder whose run is known to be over is not waited for that long.
 */
const pace: Pace = { ttl: 360_000, poll: 15_000 };
const nowhere = '0'.repeat(40);

/** A document as it lies in the tree, `KEY.json`. */
interface Document {
  schema: number;
  version: number;
  /** By GitHub's clock, ISO 8601: of the write, or of the last touch. */
  renewedAt: string;
  /** Different for each change, so that a writer knows its own. */
  change: string;
  value: unknown;
}

/** The state of the environment at one commit. */
interface Snapshot {
  head: string;
  tree: string | undefined;
  /** Texts by file name; null for what is no text, or too long to be given whole. */
  files: ReadonlyMap<string, string | null>;
}

interface Look extends Snapshot {
  /** Milliseconds since 1970 by GitHub's clock. */
  now: number;
}

/**
 * A StateStore on the git reference `refs/deploy-actions/ENVIRONMENT` of the repository, for platforms that have no place of
 * their own for it. Each document is a file of one tree, each change a commit on top of the last, so the history of the
 * reference says who changed what and when. The reference is moved with GraphQL's `updateRefs`, which compares it with
 * the commit that was read: of all who saw the same state one wins, and a deposed holder's write is refused.
 *
 * A read costs one call, which GitHub does not count when nothing changed (a conditional request), a change four.
 * The token of a job has 1,000 calls an hour for the whole repository: heartbeats and polls belong minutes apart.
 *
 * Errors: `state_conflict`, `state_corrupt`, `state_too_new`, and those of GitHubError; every failure is thrown.
 */
export function createRefStore(github: GitHub, environment: string): StateStore {
  const { owner, repo } = github;
  const ref = refOf(environment);
  const location = `${ref} of ${owner}/${repo}`;
  let seen: { snapshot: Snapshot; etag: string } | undefined;
  let repositoryId: string | undefined;
  /** Once it was there, it does not go away by itself. */
  let wasThere = false;

  async function look(): Promise<Look> {
    let answer;
    try {
      answer = await github.call(
        'GET /repos/{owner}/{repo}/git/ref/{ref}',
        { ref: ref.slice('refs/'.length) },
        { permission, headers: seen === undefined ? {} : { 'if-none-match': seen.etag } },
      );
    } catch (thrown) {
      if (!hasStatus(thrown, 404) || !(thrown instanceof GitHubError)) throw thrown;
      await proveReadable();
      if (wasThere) {
        throw new DeployError(
          'state_conflict',
          `${location} was there, and GitHub does not find it any more.`,
          {
            remedy:
              'Look whether somebody deleted it: with it went lease, journal and ledger. Then run this again.',
            cause: thrown,
          },
        );
      }
      return { head: nowhere, tree: undefined, files: new Map(), now: clockOf(thrown.failure.headers) };
    }
    const now = clockOf(answer.headers);
    if (answer.status === 304 && seen !== undefined) return { ...seen.snapshot, now };
    const head = answer.data.object.sha;
    wasThere = true;
    const snapshot = seen?.snapshot.head === head ? seen.snapshot : await load(head);
    seen = { snapshot, etag: answer.headers['etag'] ?? '' };
    return { ...snapshot, now };
  }

  /** What may not be read is answered as though it were not there; a missing lock must not come from that. */
  async function proveReadable(): Promise<void> {
    if (repositoryId !== undefined) return;
    const { repository } = await github.graphql<{ repository: { id: string; object: object | null } }>(
      `query Repository($owner: String!, $repo: String!) {
        repository(owner: $owner, name: $repo) { id object(expression: "HEAD") { oid } }
      }`,
      { owner, repo },
      { permission },
    );
    if (repository.object === null) {
      throw new DeployError('permission_denied', `The contents of ${owner}/${repo} cannot be read.`, {
        remedy: `Add \`${permission}\` to the \`permissions\` of the job.`,
      });
    }
    repositoryId = repository.id;
  }

  async function load(head: string): Promise<Snapshot> {
    // By the name of the commit: GraphQL does not see references other than branches and tags.
    const { repository } = await github.graphql<Loaded>(
      `query State($owner: String!, $repo: String!, $oid: GitObjectID!) {
        repository(owner: $owner, name: $repo) {
          id
          object(oid: $oid) {
            ... on Commit { tree { oid entries { name object { ... on Blob { text isTruncated } } } } }
          }
        }
      }`,
      { owner, repo, oid: head },
      { permission },
    );
    repositoryId = repository.id;
    const tree = repository.object?.tree;
    if (tree === undefined) throw corrupt(`${location} at ${head}`, 'is no commit with a tree');
    const files = new Map<string, string | null>();
    for (const { name, object } of tree.entries) {
      files.set(name, object?.isTruncated === false ? (object.text ?? null) : null);
    }
    return { head, tree: tree.oid, files };
  }

  const documentOf = ({ files, head }: Snapshot, key: string): Document | undefined => {
    const text = files.get(fileOf(key));
    if (text === undefined) return undefined;
    const where = `${fileOf(key)} in ${location} at ${head}`;
    if (text === null) throw corrupt(where, 'is no text, or too long');
    return parseDocument(text, where);
  };

  const versionOf = (snapshot: Snapshot, key: string): number => documentOf(snapshot, key)?.version ?? 0;

  const conflict = (key: string, expected: number, current: number) =>
    new DeployError('state_conflict', `${key} in ${location} is at version ${current}, not at ${expected}.`, {
      remedy: 'Another run wrote to it. Read it again and decide anew.',
    });

  /** A commit on top of what was seen, in which one document is this. Nothing refers to it yet. */
  async function commit(on: Look, key: string, document: Document, message: string): Promise<string> {
    const content = `${JSON.stringify(document, null, 2)}\n`;
    if (Buffer.byteLength(content) > longestDocument) {
      throw new DeployError('internal', `${key} is too long for ${location}: ${content.length} characters.`);
    }
    const { data: tree } = await github.call(
      'POST /repos/{owner}/{repo}/git/trees',
      {
        ...(on.tree === undefined ? {} : { base_tree: on.tree }),
        tree: [{ path: fileOf(key), mode: '100644', type: 'blob', content }],
      },
      { permission, repeatable: true },
    );
    const { data } = await github.call(
      'POST /repos/{owner}/{repo}/git/commits',
      { message, tree: tree.sha, parents: on.head === nowhere ? [] : [on.head] },
      { permission, repeatable: true },
    );
    return data.sha;
  }

  /**
   * Moves the reference from what was seen to a commit. False when it stands elsewhere by now. GitHub does not say in a
   * documented way why it refused, and a failure may hide a success: so after each failure the reference is read.
   */
  async function swap(from: Look, to: string, key: string, change: string): Promise<boolean> {
    for (let number = 1; ; number++) {
      try {
        await github.graphql(
          `mutation MoveState($input: UpdateRefsInput!) { updateRefs(input: $input) { clientMutationId } }`,
          { input: { repositoryId, refUpdates: [{ name: ref, beforeOid: from.head, afterOid: to }] } },
          { permission },
        );
        wasThere = true;
        return true;
      } catch (thrown) {
        if (!isUnclear(thrown) && !isRefused(thrown)) throw thrown;
        const now = await look();
        if (now.head === to || documentOf(now, key)?.change === change) return true;
        if (now.head !== from.head) return false;
        if (number >= swapAttempts) throw thrown;
        await github.pause(number);
      }
    }
  }

  /** Replaces a document while it is at the expected version; answers the version that it has then. */
  async function change(
    key: string,
    expected: number,
    next: (now: string) => Omit<Document, 'change'>,
    verb: string,
  ) {
    for (let number = 1; ; number++) {
      const on = await look();
      if (versionOf(on, key) !== expected) return { done: false, current: versionOf(on, key) };
      const document = { ...next(new Date(on.now).toISOString()), change: randomUUID() };
      const made = await commit(on, key, document, `${verb} ${key} ${document.version}`);
      if (await swap(on, made, key, document.change)) return { done: true, current: document.version };
      if (number >= writeAttempts) {
        throw new DeployError('state_conflict', `${location} changes faster than it can be written.`, {
          remedy: 'Look for runs that write to it without pause, and run this again.',
        });
      }
      if (number > 1) await github.pause(1);
    }
  }

  async function read(key: string): Promise<Stored<unknown>> {
    const document = documentOf(await look(), keyed(key));
    return document === undefined
      ? { value: null, version: 0 }
      : { value: document.value, version: document.version };
  }

  return {
    location,
    pace,

    read,

    async write(key, value, expected) {
      const version = expected + 1;
      const { done, current } = await change(
        keyed(key),
        expected,
        (renewedAt) => ({ schema, version, renewedAt, value: value ?? null }),
        'write',
      );
      if (!done) throw conflict(key, expected, current);
      return version;
    },

    async touch(key, version) {
      if (version === 0) return;
      const { value } = await read(key);
      await change(keyed(key), version, (renewedAt) => ({ schema, version, renewedAt, value }), 'renew');
    },

    async age(key, version) {
      const now = await look();
      const document = documentOf(now, keyed(key));
      if (document === undefined || document.version !== version) {
        throw conflict(key, version, document?.version ?? 0);
      }
      return Math.max(0, now.now - Date.parse(document.renewedAt));
    },
  };
}

interface Loaded {
  repository: {
    id: string;
    object: {
      tree?: {
        oid: string;
        entries: { name: string; object: { text?: string | null; isTruncated?: boolean } | null }[];
      };
    } | null;
  };
}

/**
 * The reference of an environment. GitHub does not tell environments apart by case, and their names may have any
 * character: all but letters, digits, `-` and `_` are percent-encoded, as Git allows less than that.
 */
export function refOf(environment: string): string {
  const encoded = Array.from(Buffer.from(environment.toLowerCase()), (byte) => {
    const character = String.fromCharCode(byte);
    return /[a-z0-9_-]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  });
  return `refs/deploy-actions/${encoded.join('')}`;
}

function keyed(key: string): string {
  if (/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(key)) return key;
  throw new DeployError('internal', `"${key}" cannot be a key of the state store.`, {
    remedy: 'Keys are lower-case letters, digits and hyphens, such as "lease" or "journal-production".',
  });
}

const fileOf = (key: string): string => `${key}.json`;

function clockOf(headers: Readonly<Record<string, string>>): number {
  const now = Date.parse(headers['date'] ?? '');
  if (!Number.isNaN(now)) return now;
  throw new DeployError('unreachable', 'The answer has no date: it does not come from GitHub.', {
    remedy: 'Look at the proxy between the runner and GitHub; it has to pass headers on.',
  });
}

/** GitHub understood the update and did not make it. */
function isRefused(thrown: unknown): boolean {
  return (
    thrown instanceof GitHubError &&
    thrown.failure.status === 200 &&
    !['FORBIDDEN', 'NOT_FOUND', 'RATE_LIMITED', 'INVALID'].includes(thrown.failure.type ?? '')
  );
}

function parseDocument(text: string, where: string): Document {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw corrupt(where, 'is not JSON', cause);
  }
  if (!isRecord(document) || !Number.isSafeInteger(document['schema'])) {
    throw corrupt(where, 'has no schema number');
  }
  if (Number(document['schema']) > schema) {
    throw new DeployError(
      'state_too_new',
      `${where} has schema ${String(document['schema'])}; this version of the suite reads up to ${schema}.`,
      { remedy: 'Use the version of the suite that wrote it, or a newer one.' },
    );
  }
  const { version, renewedAt } = document;
  if (
    !Number.isSafeInteger(version) ||
    typeof renewedAt !== 'string' ||
    Number.isNaN(Date.parse(renewedAt))
  ) {
    throw corrupt(where, 'has no version or no time');
  }
  return document as unknown as Document;
}

function corrupt(where: string, what: string, cause?: unknown): DeployError {
  return new DeployError('state_corrupt', `${where} ${what}.`, {
    remedy:
      'Move the reference back to the commit before it with git push --force. Check first that it says what is true now.',
    cause,
  });
}
