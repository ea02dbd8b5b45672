import { isRecord, messageOf } from '@deploy-actions/core';
import { request as octokit } from '@octokit/request';
import type { Answer, GitHubOptions } from './client.ts';
import type { Failure } from './errors.ts';

export interface Exchange {
  /** For messages. */
  name: string;
  /** Method and URL template, or method and absolute URL. */
  route: string;
  parameters: Record<string, unknown>;
  /** It changes nothing, so that its failure leaves nothing open. */
  reads: boolean;
}

export type Outcome =
  ({ kind: 'answer' } & Answer<unknown>) | { kind: 'failure'; failure: Failure; cause: unknown };

export type Transport = (exchange: Exchange) => Promise<Outcome>;

/** Codes of connections that were never made: nothing was sent. */
const neverSent = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/**
 * One HTTP exchange, with what came of it as a value. `@octokit/request` is the part of `@actions/github` that is
 * needed here, 15 kB of its 540: the rest is a second HTTP client, which would not know the runner's proxy settings
 * that the process has, and a method for each of a thousand routes.
 */
export function createTransport(options: GitHubOptions): Transport {
  const { token, apiUrl, signal, timeout = 30_000, log } = options;
  const request = octokit.defaults({
    baseUrl: apiUrl,
    headers: {
      authorization: `token ${token}`,
      'user-agent': 'deploy-actions',
      'x-github-api-version': '2022-11-28',
    },
  });

  return async ({ name, route, parameters, reads }) => {
    const failed = (failure: Partial<Failure>, cause: unknown): Outcome => ({
      kind: 'failure',
      cause,
      failure: {
        route: name,
        status: undefined,
        headers: {},
        said: '',
        type: undefined,
        unclear: false,
        ...failure,
      },
    });
    try {
      const answer: { status: number; headers: unknown; data: unknown } = await request(route, {
        ...parameters,
        request: {
          signal: AbortSignal.any([signal, AbortSignal.timeout(timeout)]),
          // Deprecations are for those who read the log with debug on.
          log: { ...log, warn: log.debug, error: log.debug },
        },
      });
      const { status, data } = answer;
      const headers = textHeaders(answer.headers);
      if (status !== 204 && !(isRecord(data) || Array.isArray(data))) {
        return failed({ said: 'the answer was cut, or is not from GitHub', unclear: !reads }, undefined);
      }
      const error = graphqlError(data);
      if (error === undefined) return { kind: 'answer', status, headers, data };
      return failed({ status, headers, ...error }, undefined);
    } catch (thrown) {
      const response = isRecord(thrown) && isRecord(thrown['response']) ? thrown['response'] : undefined;
      if (response === undefined) {
        const code = systemCode(thrown);
        const unclear = !reads && !(code !== undefined && neverSent.has(code));
        return failed({ said: messageOf(thrown), unclear }, thrown);
      }
      const status = Number(response['status']);
      const headers = textHeaders(response['headers']);
      if (status === 304) return { kind: 'answer', status, headers, data: undefined };
      const { data } = response;
      const said =
        isRecord(data) && typeof data['message'] === 'string' ? data['message'] : messageOf(thrown);
      return failed(
        { status, headers, said: said.replace(/\s+/g, ' ').trim(), unclear: !reads && status >= 500 },
        thrown,
      );
    }
  };
}

function textHeaders(headers: unknown): Record<string, string> {
  return isRecord(headers)
    ? Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value)]))
    : {};
}

/** GraphQL answers 200 with errors in it. Undefined when there are none. */
function graphqlError(data: unknown): Pick<Failure, 'said' | 'type'> | undefined {
  const errors = isRecord(data) && Array.isArray(data['errors']) ? (data['errors'] as unknown[]) : [];
  const [first] = errors.filter(isRecord);
  if (first === undefined) return undefined;
  const { message, type } = first;
  return {
    said: typeof message === 'string' ? message : JSON.stringify(first),
    type: typeof type === 'string' ? type : 'INVALID',
  };
}

/** fetch hides the code of a system error two causes deep. */
function systemCode(thrown: unknown): string | undefined {
  for (let at = thrown; isRecord(at); at = at['cause']) {
    if (typeof at['code'] === 'string') return at['code'];
    if (at instanceof AggregateError) return systemCode(at.errors[0]);
  }
  return undefined;
}
