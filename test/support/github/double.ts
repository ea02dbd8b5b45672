// A GitHub of one repository on loopback: it remembers what it is told, holds every request and every answer of its own against
// GitHub's published description, lets a token do what its permissions allow, and misbehaves on request.
//
// A request that GitHub's description or rules do not allow, or that no operation is known for, is a problem; `stop` throws when
// there were any, so that no test passes with them. `takeProblems` is for tests that make them on purpose.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text as readText } from 'node:stream/consumers';
import { sarifProblems } from '../sarif.ts';
import { loadContract } from './contract.ts';
import { createInjections, type Fault, type Injection } from './faults.ts';
import { executeGraphql, graphqlOperation, graphqlProblems } from './graphql.ts';
import type { Commit } from './git.ts';
import { createRepository, type PullRequest, type Repository } from './repository.ts';
import { routes } from './routes/routes.ts';
import { type Answer, Refused } from './routes/shared.ts';
import {
  accepted,
  actionsBot,
  allows,
  type Identity,
  type Permissions,
  presets,
  type Token,
} from './tokens.ts';

export interface Call {
  /** Calls count from 1 in order of arrival. */
  number: number;
  /** `POST /repos/{owner}/{repo}/deployments`, `graphql updateRefs`, or method and path of an unknown route. */
  operation: string;
  parameters: Record<string, string>;
  query: Record<string, string>;
  body: unknown;
  /** Login of the token's identity; undefined when there was no valid token. */
  login: string | undefined;
  fault: Fault['kind'] | undefined;
  /** What the client saw; undefined while under way. */
  outcome: number | 'cut' | undefined;
}

export interface GitHubDoubleOptions {
  /** `owner/name`; default `acme/helpdesk`. */
  repository?: string;
  /** Milliseconds since 1970 by GitHub's clock; default the machine's. */
  now?(): number;
  /** Serve as GitHub Enterprise Server does, under `/api/v3` and `/api/graphql`. */
  enterprise?: boolean;
  host?: string;
  port?: number;
}

export interface GitHubDouble {
  /** Base of the REST API, without a slash at its end. */
  readonly apiUrl: string;
  readonly graphqlUrl: string;
  /** `owner/name`. */
  readonly name: string;
  readonly repository: Repository;
  /** The commit of the default branch when the double was started. */
  readonly head: string;
  readonly calls: readonly Call[];
  /** A token; default all permissions of the token of a workflow. */
  token(permissions?: Permissions, identity?: Identity): string;
  /** A commit on top of a branch, which moves to it; answers its name. */
  push(branch: string, message?: string): string;
  /** A commit made elsewhere, by its name: a branch moves to it. */
  receive(branch: string, sha: string): void;
  openPull(pull?: Partial<PullRequest>): PullRequest;
  inject(injection: Injection): void;
  /** From here on nothing goes wrong. */
  behave(): void;
  /** The calls of an operation so far. */
  callsOf(operation: string | RegExp): Call[];
  takeProblems(): string[];
  /** Throws when there were problems that nobody took. */
  stop(): Promise<void>;
}

const seconds = (milliseconds: number): string =>
  new Date(milliseconds).toISOString().replace(/\.\d+Z$/, 'Z');

export async function startGitHub(options: GitHubDoubleOptions = {}): Promise<GitHubDouble> {
  const { now = Date.now, enterprise = false, host = '127.0.0.1' } = options;
  const name = options.repository ?? 'acme/helpdesk';
  const [owner = '', repo = ''] = name.split('/');
  const contract = loadContract();
  const repository = createRepository(owner, repo, seconds(now()));
  const tokens = new Map<string, Token>();
  const calls: Call[] = [];
  const injections = createInjections();
  let problems: string[] = [];
  const restBase = enterprise ? '/api/v3' : '';
  const graphqlPath = enterprise ? '/api/graphql' : '/graphql';

  const error = (status: number, message: string, headers: Record<string, string> = {}): Answer => ({
    status,
    body: { message, documentation_url: 'https://docs.github.example/rest', status: String(status) },
    headers,
  });

  function tokenOf(request: IncomingMessage): Token | undefined {
    const [, value = ''] = /^(?:token|bearer) (.+)$/i.exec(request.headers.authorization ?? '') ?? [];
    return tokens.get(value);
  }

  /** What would be answered if nothing went wrong. */
  function perform(call: Call, token: Token | undefined, mediaProblems: string[]): Answer {
    if (token === undefined) return error(401, 'Bad credentials');
    const note = (what: string[]) => {
      problems.push(...what.map((problem) => `call ${call.number}, ${call.operation}: ${problem}`));
    };
    note(mediaProblems);
    if (call.operation.startsWith('graphql ')) {
      const { query, variables = {} } = call.body as { query: string; variables?: Record<string, unknown> };
      const invalid = graphqlProblems({ query, variables });
      note(invalid);
      if (invalid.length > 0) {
        return { status: 200, body: { errors: invalid.map((message) => ({ message })) } };
      }
      const result = executeGraphql(repository, token, { query, variables });
      // Errors without a type come from the schema: variables that are missing or of another type.
      const { errors = [] } = result as { errors?: { type?: string; message: string }[] };
      note(errors.filter(({ type }) => type === undefined).map(({ message }) => message));
      return { status: 200, body: result };
    }
    const route = routes[call.operation];
    if (route === undefined) {
      note(['the double knows no such route; add it to its description and routes if GitHub has it']);
      return error(404, `Not Found: the double has no ${call.operation}`);
    }
    if (call.parameters['owner'] !== owner || call.parameters['repo'] !== repo)
      return error(404, 'Not Found');
    const permissions = { 'x-accepted-github-permissions': accepted(route.need) };
    if (!allows(token, route.need)) return error(403, 'Resource not accessible by integration', permissions);
    const invalid = contract.requestProblems(call, call.query, call.body);
    note(invalid);
    if (invalid.length > 0) return error(422, `Invalid request.\n\n${invalid.join('\n')}`, permissions);
    try {
      const answer = route.handle({
        repository,
        token,
        parameters: call.parameters,
        query: call.query,
        body: (call.body ?? {}) as Record<string, unknown>,
        now: seconds(now()),
        api: apiUrl,
        broken: (rule) => note([rule]),
      });
      const body = contract.complete(call.operation, answer.status, answer.body);
      note(contract.responseProblems(call.operation, answer.status, body));
      return { ...answer, body, headers: { ...permissions, ...answer.headers } };
    } catch (thrown) {
      if (thrown instanceof Refused) return error(thrown.status, thrown.message, permissions);
      throw thrown;
    }
  }

  function send(request: IncomingMessage, response: ServerResponse, call: Call, answer: Answer): void {
    const payload = answer.body === undefined ? '' : JSON.stringify(answer.body);
    const etag = `"${createHash('sha1').update(payload).digest('hex')}"`;
    const unchanged =
      request.method === 'GET' && answer.status === 200 && request.headers['if-none-match'] === etag;
    call.outcome = unchanged ? 304 : answer.status;
    response
      .writeHead(call.outcome, {
        date: new Date(now()).toUTCString(),
        'content-type': 'application/json; charset=utf-8',
        'x-ratelimit-limit': '1000',
        'x-ratelimit-remaining': '999',
        'x-ratelimit-reset': String(Math.floor(now() / 1_000) + 3_600),
        ...(request.method === 'GET' && answer.status === 200 ? { etag } : {}),
        ...answer.headers,
      })
      .end(unchanged || answer.status === 204 ? undefined : payload);
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET' } = request;
    const url = new URL(request.url ?? '/', 'http://double');
    const raw = await readText(request);
    const call: Call = {
      number: calls.length + 1,
      operation: `${method} ${url.pathname}`,
      parameters: {},
      query: Object.fromEntries(url.searchParams),
      body: undefined,
      login: tokenOf(request)?.identity.login,
      fault: undefined,
      outcome: undefined,
    };
    calls.push(call);
    const mediaProblems: string[] = [];
    if (raw !== '') {
      try {
        call.body = JSON.parse(raw) as unknown;
      } catch {
        mediaProblems.push('the body is not JSON');
      }
    }
    if ((request.headers['user-agent'] ?? '') === '')
      mediaProblems.push('GitHub refuses requests without a user agent');
    if (method === 'POST' && url.pathname === graphqlPath) {
      const { query } = (call.body ?? {}) as { query?: unknown };
      call.operation =
        (typeof query === 'string' ? graphqlOperation(query) : undefined) ?? 'graphql unreadable';
      call.parameters = {};
    } else if (url.pathname.startsWith(`${restBase}/`)) {
      const matched = contract.match(method, url.pathname.slice(restBase.length));
      if (matched !== undefined) Object.assign(call, matched);
    }

    const fault = injections.choose(call.operation);
    call.fault = fault?.kind;
    const wait = (milliseconds: number) =>
      new Promise((resolve) => setTimeout(resolve, milliseconds).unref());
    switch (fault?.kind) {
      case undefined:
        return send(request, response, call, perform(call, tokenOf(request), mediaProblems));
      case 'answer':
        return send(request, response, call, fault.answer);
      case 'cut': {
        const answer = fault.effect === 'none' ? undefined : perform(call, tokenOf(request), mediaProblems);
        call.outcome = 'cut';
        if (answer !== undefined && fault.effect === 'half-answered') {
          response.writeHead(answer.status, { 'content-type': 'application/json' });
          await new Promise<void>((resolve) => response.write('{"', () => resolve()));
        }
        response.destroy();
        return;
      }
      case 'late': {
        if (fault.effect === 'late') await wait(fault.milliseconds);
        const answer = perform(call, tokenOf(request), mediaProblems);
        if (fault.effect === 'at-once') await wait(fault.milliseconds);
        return send(request, response, call, answer);
      }
    }
  }

  const server = createServer((request, response) => {
    serve(request, response).catch((thrown: unknown) => {
      problems.push(`the double itself failed: ${String(thrown)}`);
      response.destroy();
    });
  });
  server.listen(options.port ?? 0, host);
  await once(server, 'listening');
  const origin = `http://${host}:${(server.address() as AddressInfo).port}`;
  const apiUrl = `${origin}${restBase}`;

  function push(branch: string, message = 'Change'): string {
    const ref = `refs/heads/${branch}`;
    const parent = repository.refs.get(ref) ?? repository.refs.get('refs/heads/main') ?? '';
    const { tree } = repository.objects.commits.get(parent) as Commit;
    const author = { name: 'Mona', email: 'mona@users.noreply.github.example', date: seconds(now()) };
    const text = `${message} ${repository.nextId()}`;
    const { sha } = repository.objects.putCommit({
      tree,
      parents: [parent],
      message: text,
      author,
      committer: author,
    });
    repository.refs.set(ref, sha);
    return sha;
  }

  return {
    apiUrl,
    graphqlUrl: `${origin}${graphqlPath}`,
    name,
    repository,
    head: repository.refs.get('refs/heads/main') ?? '',
    calls,
    token(permissions = presets.write, identity = actionsBot) {
      const value = `token-${tokens.size + 1}`;
      tokens.set(value, { permissions, identity });
      return value;
    },
    push,
    receive(branch, sha) {
      const ref = `refs/heads/${branch}`;
      const parent = repository.refs.get(ref) ?? repository.refs.get('refs/heads/main') ?? '';
      const known = repository.objects.commits.get(parent) as Commit;
      repository.objects.commits.set(sha, { ...known, sha, parents: [parent] });
      repository.refs.set(ref, sha);
    },
    openPull(pull = {}) {
      const number = pull.number ?? repository.nextId();
      const base = repository.refs.get('refs/heads/main') ?? '';
      const opened = { fork: false, head: pull.head ?? push(`topic-${number}`), base, ...pull, number };
      repository.pulls.push(opened);
      return opened;
    },
    inject: injections.add,
    behave: injections.clear,
    callsOf: (operation) =>
      calls.filter((call) =>
        typeof operation === 'string' ? call.operation === operation : operation.test(call.operation),
      ),
    takeProblems() {
      const taken = problems;
      problems = [];
      return taken;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      // Not when they come: reading the schema takes long enough for a client to take the double for silent.
      for (const { id, sarif } of repository.analyses) {
        const wrong = sarifProblems(sarif);
        if (wrong !== '') problems.push(`analysis ${id}: its SARIF is not as the schema says: ${wrong}`);
      }
      if (problems.length > 0) throw new Error(`The GitHub double saw problems:\n${problems.join('\n')}`);
    },
  };
}
