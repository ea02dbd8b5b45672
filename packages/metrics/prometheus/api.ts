import { deadlineIn, DeployError, formatDuration, isRecord, sleep } from '@deploy-actions/core';
import { beginning } from '../beginning.ts';
import { unavailable } from '../counters.ts';
import { parseEndpoint, type Endpoint } from '../endpoint.ts';
import type { FetchText, TextAnswer } from '../http-text.ts';
import { parseAnswer, type Answer } from './answer.ts';

export interface PrometheusOptions {
  /** The base URL, with the path before `/api/v1` if there is one. Parameters in it are sent with every query. */
  url: string;
  /** At most one of the two; never shown. */
  bearerToken?: string;
  basicAuth?: { username: string; password: string };
  /** Sent with every request, such as a tenant; never shown. */
  headers?: Record<string, string>;
  /** PEM of authorities that are trusted beside the usual ones. */
  ca?: string;
  /** Milliseconds for each query, with the times that the server asks to wait for. */
  timeout: number;
  /** Bytes of one answer; 32 Mi where nothing is said. */
  maxBytes?: number;
  /** Uses what comes with warnings, such as from a querier that could not reach all stores. They become notes. */
  allowWarnings?: boolean;
  fetchText: FetchText;
}

/**
 * Queries of one server. They throw `cancelled`; `permission_denied` for 401 and 403; `invalid_input` when the URL is
 * not that of the API; `unreachable` and `timeout`; and `metrics_unavailable` for every other answer that is none. Each
 * has the server and the query in its details.
 */
export interface PrometheusApi {
  /** The server as people may see it. */
  readonly shown: string;
  /** `/api/v1/query`, at a time in milliseconds since 1970; without one, at the server's own time. */
  instant(query: string, at: number | undefined, signal: AbortSignal): Promise<Answer>;
  /** `/api/v1/query_range`; both ends and the step in milliseconds. */
  range(
    query: string,
    span: { from: number; to: number; step: number },
    signal: AbortSignal,
  ): Promise<Answer>;
}

const defaultMaxBytes = 32 * 1024 * 1024;
/** Beyond this, servers and proxies may cut a URL; the same parameters go as a form then. */
const longestUrl = 2_000;
const attempts = 3;

/** Throws `invalid_input` for a URL or a secret that cannot be used, without repeating it. */
export function createPrometheusApi(options: PrometheusOptions): PrometheusApi {
  const base = baseOf(options);
  const { headers, redact } = credentialsOf(options);
  const ask = async (path: string, parameters: Record<string, string>, signal: AbortSignal) => {
    const text = parameters['query'] ?? '';
    try {
      const answer = await fetchPatiently(base, path, parameters, headers, options, signal);
      const read = parseAnswer(jsonOf(answer));
      if (read.warnings.length > 0 && options.allowWarnings !== true) {
        throw new DeployError(
          'metrics_unavailable',
          `the answer comes with warnings and may be incomplete: ${read.warnings.join('; ')}`,
        );
      }
      return read;
    } catch (thrown) {
      if (!(thrown instanceof DeployError) || thrown.reasonCode === 'cancelled') throw thrown;
      throw new DeployError(thrown.reasonCode, `Prometheus at ${base.shown}: ${redact(thrown.message)}`, {
        remedy: thrown.remedy,
        details: [`server: ${base.shown}`, `query: ${text}`],
        cause: thrown.cause ?? thrown,
      });
    }
  };
  return {
    shown: base.shown,
    instant: (query, at, signal) =>
      ask('query', { query, ...(at !== undefined && { time: seconds(at) }) }, signal),
    range: (query, { from, to, step }, signal) =>
      ask(
        'query_range',
        { query, start: seconds(from), end: seconds(to), step: String(step / 1_000) },
        signal,
      ),
  };
}

const seconds = (milliseconds: number) => (milliseconds / 1_000).toFixed(3);

function baseOf({ url }: PrometheusOptions): Endpoint {
  const base = parseEndpoint(url);
  if (base.url.username !== '' || base.url.password !== '') {
    throw new DeployError('invalid_input', `The URL of Prometheus, ${base.shown}, has a user in it.`, {
      remedy: 'Give the user name and the password on their own: they are not shown then.',
    });
  }
  return base;
}

function credentialsOf({ bearerToken, basicAuth, headers = {} }: PrometheusOptions): {
  headers: Record<string, string>;
  redact: (text: string) => string;
} {
  if (bearerToken !== undefined && basicAuth !== undefined) {
    throw new DeployError(
      'invalid_input',
      'Prometheus is given a token and a user name; allowed is one of them.',
    );
  }
  const encoded =
    basicAuth && Buffer.from(`${basicAuth.username}:${basicAuth.password}`, 'utf8').toString('base64');
  const authorization = bearerToken === undefined ? encoded && `Basic ${encoded}` : `Bearer ${bearerToken}`;
  // Node's own error for this is thrown late, from every query.
  if (authorization !== undefined && !/^[\x20-\x7e]+$/.test(authorization)) {
    throw new DeployError('invalid_input', 'The token of Prometheus has characters that no token has.', {
      remedy: 'See that the secret has one line, without quotes.',
    });
  }
  const secrets = [bearerToken, encoded, basicAuth?.password, ...Object.values(headers)];
  const known = secrets.filter((secret): secret is string => secret !== undefined && secret !== '');
  return {
    headers: {
      accept: 'application/json',
      ...headers,
      ...(authorization !== undefined && { authorization }),
    },
    redact: (text) => known.reduce((clean, secret) => clean.replaceAll(secret, '***'), text),
  };
}

/** Asks again, within the time-out, when the server is busy and says for how long. */
async function fetchPatiently(
  base: Endpoint,
  path: string,
  parameters: Record<string, string>,
  headers: Record<string, string>,
  { timeout, maxBytes = defaultMaxBytes, ca, fetchText }: PrometheusOptions,
  signal: AbortSignal,
): Promise<TextAnswer> {
  const deadline = deadlineIn(timeout);
  const url = new URL(base.url);
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/api/v1/${path}`;
  const asked = new URLSearchParams(parameters);
  const short = new URL(url);
  for (const [name, value] of asked) short.searchParams.append(name, value);
  const isLong = short.href.length > longestUrl;
  for (let attempt = 1; ; attempt += 1) {
    const answer = await fetchText(
      {
        endpoint: { ...base, url: isLong ? url : short },
        ...(isLong && { form: asked }),
        headers,
        timeout: Math.max(1, Math.ceil(deadline.remaining())),
        maxBytes,
        compressed: true,
        ...(ca !== undefined && { ca }),
      },
      signal,
    );
    const pause = [429, 503].includes(answer.status) ? pauseOf(answer) : undefined;
    if (pause === undefined || attempt === attempts) return answer;
    if (pause >= deadline.remaining()) return answer;
    await sleep(pause, signal, `waiting for Prometheus at ${base.shown}`);
  }
}

/** Retry-After (RFC 9110, 10.2.3): seconds or a date, here in milliseconds from the answer on. */
function pauseOf({ retryAfter, at }: TextAnswer): number | undefined {
  if (retryAfter === undefined) return undefined;
  if (/^\d+$/.test(retryAfter)) return Number(retryAfter) * 1_000;
  const date = Date.parse(retryAfter);
  return Number.isNaN(date) ? undefined : Math.max(0, date - at);
}

/** The JSON of an answer of status 200; anything else is an error that says what it is. */
function jsonOf(answer: TextAnswer): unknown {
  const { status, text, contentType } = answer;
  const json = tryJson(text);
  const said = errorOf(json);
  if (status === 401 || status === 403) {
    const what = status === 401 ? 'wants other credentials' : 'refuses these credentials';
    throw new DeployError('permission_denied', `it ${what} (status ${status}${said ?? beginning(text)})`, {
      remedy: 'Give a token, or a user name and a password, that may query.',
    });
  }
  if (status === 429) {
    const pause = pauseOf(answer);
    const wait = pause === undefined ? '' : ` and asks to wait for ${formatDuration(pause)}`;
    throw unavailable(`it is asked too often (status 429)${wait}`);
  }
  if (said !== undefined) throw unavailable(`the query failed (status ${status}${said})`);
  const isPage = contentType.includes('html') || /^\s*</.test(text);
  if (status < 500 && (isPage || [404, 405].includes(status) || (status >= 300 && status < 400))) {
    throw new DeployError('invalid_input', `this is not its API (status ${status}${beginning(text)})`, {
      remedy:
        'Give the base URL, to which /api/v1/query can be added, and see that no log-in page is before it.',
    });
  }
  if (status !== 200) throw unavailable(`status ${status}${beginning(text)}`);
  if (json === undefined) throw unavailable(`the answer is not JSON, or was cut off${beginning(text)}`);
  return json;
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** `, bad_data: …` when the API itself says that a query failed. */
function errorOf(json: unknown): string | undefined {
  if (!isRecord(json) || json['status'] !== 'error') return undefined;
  const part = (name: string) => (typeof json[name] === 'string' ? json[name] : 'unknown');
  return `, ${part('errorType')}: ${part('error').slice(0, 500)}`;
}
