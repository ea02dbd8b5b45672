// What a load run is asked to do: its options, their limits, and their form on the command line.

import { parseArgs } from 'node:util';

/** `new`: a connection per request. `keepalive-post`: POST on pooled connections. `inflight`: long requests. */
export type Kind = 'new' | 'keepalive-post' | 'inflight';
export const KINDS: readonly Kind[] = ['new', 'keepalive-post', 'inflight'];

export const MAX_RATE = 2000;
export const MAX_DURATION_SECONDS = 15 * 60;

export interface LoadOptions {
  /** Target of `new` and, unless `postUrl` is given, of `keepalive-post`. Loopback `http:` only. */
  url: string;
  /** Requests a second of `new` and `keepalive-post` together, shared evenly. `inflight` comes on top. */
  rate: number;
  durationSeconds: number;
  /** Default: `new` and `keepalive-post`, and `inflight` where `inFlightUrl` is given. */
  kinds?: readonly Kind[];
  /** Method of `new` requests; default GET. */
  method?: 'GET' | 'POST';
  postUrl?: string;
  /** Body of every POST; default `{"probe":true}`. */
  body?: string;
  contentType?: string;
  /** Sent with every request. */
  headers?: Readonly<Record<string, string>>;
  /** Connections that `keepalive-post` keeps open; default 20. It opens more only while all are busy. */
  connections?: number;
  /** A path that takes `inFlightSeconds` to answer; required by the kind `inflight`. */
  inFlightUrl?: string;
  /** Long requests in flight at any time once the first has ended; default 10. */
  inFlight?: number;
  /** How long `inFlightUrl` takes; default 10. Together with `inFlight` it gives their fixed rate. */
  inFlightSeconds?: number;
  /** Header that marks an answer as made by the application; default `x-app`. */
  appHeader?: string;
  /** Header with the version that answered; default `x-version`. */
  versionHeader?: string;
  /** Limit for an answer, counted from when it was sent; default 30. */
  timeoutSeconds?: number;
  /** Name of the first phase; default `start`. */
  phase?: string;
  /** File that the final report is written to as JSON. */
  out?: string;
}

/** Options with every default filled in and every limit checked. */
export interface LoadPlan {
  rate: number;
  durationMs: number;
  kinds: readonly Kind[];
  method: 'GET' | 'POST';
  url: Target;
  postUrl: Target;
  inFlightUrl: Target | undefined;
  inFlightPerSecond: number;
  body: string;
  contentType: string;
  headers: Readonly<Record<string, string>>;
  connections: number;
  appHeader: string;
  versionHeader: string;
  timeoutMs: number;
  phase: string;
}

export interface Target {
  host: string;
  port: number;
  /** The Host header. */
  authority: string;
  path: string;
}

/** Refuses anything but `http:` to this machine: the generator must never be a weapon. */
export function parseTarget(url: string): Target {
  if (!URL.canParse(url))
    throw new Error(`load target "${url}" is not a URL; use http://127.0.0.1:PORT/path`);
  const { protocol, hostname, port, host, pathname, search } = new URL(url);
  const loopback = /^127\.\d+\.\d+\.\d+$/.test(hostname) || hostname === '[::1]' || hostname === 'localhost';
  if (protocol !== 'http:' || !loopback) {
    throw new Error(`load target "${url}" refused: only http: on loopback (127.0.0.0/8, [::1], localhost)`);
  }
  return {
    // "localhost" is not left to the resolver, which may be configured to point elsewhere.
    host: hostname === 'localhost' ? '127.0.0.1' : hostname.replace(/^\[|\]$/g, ''),
    port: Number(port || 80),
    authority: host,
    path: pathname + search,
  };
}

/** @throws Error naming the option, its value and what is allowed. */
export function planLoad(options: LoadOptions): LoadPlan {
  const kinds = options.kinds ?? (options.inFlightUrl === undefined ? KINDS.slice(0, 2) : KINDS);
  const unknown = kinds.find((kind) => !KINDS.includes(kind));
  if (unknown !== undefined || kinds.length === 0) {
    throw new Error(`kinds "${kinds.join(',')}" not allowed; use some of ${KINDS.join(', ')}`);
  }
  if (kinds.includes('inflight') && options.inFlightUrl === undefined) {
    throw new Error('kind inflight needs an inflight-url, a path that takes some seconds to answer');
  }
  const inFlight = within('inflight', options.inFlight ?? 10, 1, 1000);
  const inFlightSeconds = within('inflight-seconds', options.inFlightSeconds ?? 10, 0.1, 120);
  const headers = options.headers ?? {};
  for (const [name, value] of Object.entries(headers)) {
    if (/[\r\n:]/.test(name) || /[\r\n]/.test(value))
      throw new Error(`header "${name}" has a line break or colon`);
  }
  return {
    rate: within('rate', options.rate, 0.1, MAX_RATE),
    durationMs: within('duration', options.durationSeconds, 0.1, MAX_DURATION_SECONDS) * 1000,
    kinds,
    method: options.method ?? 'GET',
    url: parseTarget(options.url),
    postUrl: parseTarget(options.postUrl ?? options.url),
    inFlightUrl: options.inFlightUrl === undefined ? undefined : parseTarget(options.inFlightUrl),
    inFlightPerSecond: within('inflight / inflight-seconds', inFlight / inFlightSeconds, 0.01, MAX_RATE),
    body: options.body ?? '{"probe":true}',
    contentType: options.contentType ?? 'application/json',
    headers,
    connections: within('connections', options.connections ?? 20, 1, 1000),
    appHeader: (options.appHeader ?? 'x-app').toLowerCase(),
    versionHeader: (options.versionHeader ?? 'x-version').toLowerCase(),
    timeoutMs: within('timeout', options.timeoutSeconds ?? 30, 0.1, 120) * 1000,
    phase: options.phase ?? 'start',
  };
}

function within(name: string, value: number, least: number, most: number): number {
  if (value >= least && value <= most) return value;
  throw new Error(`${name} ${value} not allowed; it must be between ${least} and ${most}`);
}

const FLAGS = {
  url: 'url',
  rate: 'rate',
  durationSeconds: 'duration',
  kinds: 'kinds',
  method: 'method',
  postUrl: 'post-url',
  body: 'body',
  contentType: 'content-type',
  headers: 'header',
  connections: 'connections',
  inFlightUrl: 'inflight-url',
  inFlight: 'inflight',
  inFlightSeconds: 'inflight-seconds',
  appHeader: 'app-header',
  versionHeader: 'version-header',
  timeoutSeconds: 'timeout',
  phase: 'phase',
  out: 'out',
} as const satisfies Record<keyof LoadOptions, string>;

/** The command line that {@link parseArguments} turns back into the same options. */
export function toArguments(options: LoadOptions): string[] {
  return Object.entries(FLAGS).flatMap(([key, flag]) => {
    const value = options[key as keyof LoadOptions];
    if (value === undefined) return [];
    if (Array.isArray(value)) return [`--${flag}=${value.join(',')}`];
    if (typeof value === 'object')
      return Object.entries(value).map(([name, text]) => `--${flag}=${name}: ${text}`);
    return [`--${flag}=${value}`];
  });
}

/** @throws Error for an unknown flag, a missing `--url`, or a value that is not of its kind. */
export function parseArguments(args: string[]): LoadOptions {
  const flags = Object.fromEntries(
    Object.values(FLAGS).map((flag) => [flag, { type: 'string' as const, multiple: flag === 'header' }]),
  );
  const { values } = parseArgs({ args, options: flags });
  const text = (flag: string): string | undefined => {
    const value = values[flag];
    return typeof value === 'string' ? value : undefined;
  };
  const url = text('url');
  if (url === undefined) throw new Error('--url is missing; give http://127.0.0.1:PORT/path');
  const method = text('method');
  if (method !== undefined && method !== 'GET' && method !== 'POST') {
    throw new Error(`method ${method} not allowed; use GET or POST`);
  }
  const headers = [values['header'] ?? []].flat().map((line) => {
    const [name = '', ...rest] = String(line).split(':');
    return [name.trim(), rest.join(':').trim()] as const;
  });
  const number = (flag: string): number | undefined => {
    const value = text(flag);
    return value === undefined ? undefined : Number(value);
  };
  const given = {
    url,
    rate: number('rate') ?? 200,
    durationSeconds: number('duration') ?? 30,
    kinds: text('kinds')?.split(',') as Kind[] | undefined,
    method,
    postUrl: text('post-url'),
    body: text('body'),
    contentType: text('content-type'),
    headers: headers.length === 0 ? undefined : Object.fromEntries(headers),
    connections: number('connections'),
    inFlightUrl: text('inflight-url'),
    inFlight: number('inflight'),
    inFlightSeconds: number('inflight-seconds'),
    appHeader: text('app-header'),
    versionHeader: text('version-header'),
    timeoutSeconds: number('timeout'),
    phase: text('phase'),
    out: text('out'),
  };
  return Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined),
  ) as unknown as LoadOptions;
}
