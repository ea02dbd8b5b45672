import { cancelled, DeployError, type Log, sleep } from '@deploy-actions/core';
import type { Endpoints } from '@octokit/types';
import { explain, isUnclear, type Permission } from './errors.ts';
import { decide, patient, type Patience } from './retry.ts';
import type { Exchange, Transport } from './transport.ts';

export interface GitHubOptions {
  token: string;
  /** Base of the REST API: `https://api.github.com`, or `https://HOST/api/v3` of an Enterprise Server. */
  apiUrl: string;
  /** `https://api.github.com/graphql`, or `https://HOST/api/graphql`. */
  graphqlUrl: string;
  /** `owner/name`. */
  repository: string;
  log: Log;
  signal: AbortSignal;
  /** Milliseconds for one answer; default 30 s. */
  timeout?: number;
  /** Default `patient`; reports take `brief`. */
  patience?: Patience;
  sleep?(milliseconds: number, signal: AbortSignal, what?: string): Promise<void>;
  /** In [0, 1). */
  random?(): number;
}

/** GitHub's numbers are below 2^53 so far; its description says 64 bits. */
export type Id = number | bigint;

type Route = keyof Endpoints;
type Parameters<R extends Route> = Omit<Endpoints[R]['parameters'], 'owner' | 'repo'>;

export interface CallOptions {
  /** What the token needs for it; named when it is missing. */
  permission: Permission;
  /**
   * True when a second call has the effect of one: after a failure that leaves open whether it took effect, it is sent
   * again. Default true for reads, else false, and such a failure is thrown (see `isUnclear`).
   */
  repeatable?: boolean;
  headers?: Record<string, string>;
}

export interface Answer<T> {
  status: number;
  /** Lower-case names. */
  headers: Readonly<Record<string, string>>;
  data: T;
}

/**
 * GitHub's API for one repository and one token. Every call waits for rate limits and tries again what may be tried
 * again, within its patience; what fails for good is a GitHubError. `cancelled` when the signal aborts.
 */
export interface GitHub {
  readonly owner: string;
  readonly repo: string;
  call<R extends Route>(
    route: R,
    parameters: Parameters<R>,
    options: CallOptions,
  ): Promise<Answer<Endpoints[R]['response']['data']>>;
  /** The `data` of the answer. Any error in it is thrown. */
  graphql<T>(document: string, variables: Record<string, unknown>, options: CallOptions): Promise<T>;
  /** Waits before attempt `number` + 1 of something that is tried again as a whole. */
  pause(number: number): Promise<void>;
}

/** Throws `invalid_input`. The library is loaded with the first call: who makes none does not pay for it. */
export function createGitHub(options: GitHubOptions): GitHub {
  const [owner, repo, ...rest] = options.repository.split('/');
  if (owner === undefined || owner === '' || repo === undefined || repo === '' || rest.length > 0) {
    throw new DeployError('invalid_input', `${JSON.stringify(options.repository)} is no owner/name.`, {
      remedy: 'Name it as owner/name, such as acme/helpdesk.',
    });
  }
  const { log, signal, patience = patient, random = Math.random } = options;
  const wait = options.sleep ?? sleep;
  let transport: Promise<Transport> | undefined;

  async function send<T>(
    exchange: Exchange,
    { permission, repeatable = exchange.reads }: CallOptions,
  ): Promise<Answer<T>> {
    transport ??= import('./transport.ts').then(({ createTransport }) => createTransport(options));
    const transmit = await transport;
    let waited = 0;
    for (let number = 1; ; number++) {
      if (signal.aborted) throw cancelled('calling GitHub');
      const outcome = await transmit(exchange);
      if (outcome.kind === 'answer') return outcome as Answer<T> & { kind: 'answer' };
      if (signal.aborted) throw cancelled('calling GitHub');
      const decision = decide(outcome.failure, { number, waited, repeatable }, patience, random());
      if (decision.kind === 'give-up')
        throw explain(outcome.failure, permission, decision.why, outcome.cause);
      log.progress({
        what: `trying ${exchange.name} again`,
        elapsed: waited,
        remaining: patience.total - waited,
        detail: decision.why,
      });
      await wait(decision.milliseconds, signal, 'waiting for GitHub');
      waited += decision.milliseconds;
    }
  }

  return {
    owner,
    repo,
    call: (route, parameters, call) =>
      send(
        {
          name: route,
          route,
          parameters: { owner, repo, ...parameters, headers: call.headers ?? {} },
          reads: route.startsWith('GET '),
        },
        call,
      ),
    async graphql<T>(document: string, variables: Record<string, unknown>, call: CallOptions) {
      const [, kind, name = 'GraphQL'] = /^\s*(query|mutation) (\w+)/.exec(document) ?? [];
      const { data } = await send<{ data: T }>(
        {
          name,
          route: `POST ${options.graphqlUrl}`,
          parameters: { query: document, variables },
          reads: kind === 'query',
        },
        call,
      );
      return data.data;
    },
    pause: (number) => wait(1_000 * 2 ** (number - 1) * (1 + random() / 4), signal, 'waiting for GitHub'),
  };
}

const createAttempts = 4;

/**
 * Creates something once: after a failure that leaves open whether it was created, looks for it before it tries again.
 * (What takes effect only after the look can still come twice; GitHub has no idempotency keys.)
 */
export async function createOnce<T>(
  github: GitHub,
  create: () => Promise<T>,
  find: () => Promise<T | undefined>,
): Promise<T> {
  for (let number = 1; ; number++) {
    try {
      return await create();
    } catch (thrown) {
      if (!isUnclear(thrown) || number >= createAttempts) throw thrown;
      await github.pause(number);
      const found = await find();
      if (found !== undefined) return found;
    }
  }
}
