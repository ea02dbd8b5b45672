import * as http from 'node:http';
import * as https from 'node:https';
import { canonicalJson, codeOf, formatDuration, isRecord, messageOf } from '@deploy-actions/core';

/** Something the application needs, as its health answer reports it. */
export interface Dependency {
  name: string;
  status: string;
  /** Seconds, where the answer says so. */
  seconds: number | null;
  error: string | null;
}

/** One look at the application. */
export interface Check {
  healthy: boolean;
  /** HTTP status or exit code; null without an answer. */
  status: number | null;
  /** What was seen, in one line: for a failure, what was wrong and what was expected. */
  seen: string;
  milliseconds: number;
  dependencies: Dependency[];
}

export interface Expectation {
  status: number[];
  json: Record<string, string>;
  body: string | undefined;
}

export interface Answer {
  status: number;
  location: string | undefined;
  body: string;
}

const bodyLimit = 1024 * 1024;

function excerpt(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > 200 ? `${line.slice(0, 200)}…` : line;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function fieldAt(document: unknown, path: string): unknown {
  let current = document;
  for (const key of path.split('.')) {
    if (Array.isArray(current)) current = (current as unknown[])[Number(key)];
    else if (isRecord(current)) current = current[key];
    else return undefined;
  }
  return current;
}

/** A value as people and expectations write it: text as it is, all else as JSON. */
function textOf(value: unknown): string {
  return typeof value === 'string' ? value : canonicalJson(value);
}

/** The entries of `checks`, `dependencies`, `components` or `details`: the names that health endpoints use. */
export function dependenciesOf(document: unknown): Dependency[] {
  if (!isRecord(document)) return [];
  const listed = ['checks', 'dependencies', 'components', 'details']
    .map((key) => document[key])
    .find((value) => isRecord(value));
  if (!isRecord(listed)) return [];
  return Object.entries(listed).map(([name, value]) => {
    if (!isRecord(value)) return { name, status: textOf(value), seconds: null, error: null };
    const seconds = ['response_time', 'duration', 'seconds', 'time']
      .map((key) => value[key])
      .find((time) => typeof time === 'number');
    return {
      name,
      status: textOf(value['status'] ?? 'unknown'),
      seconds: typeof seconds === 'number' ? seconds : null,
      error: typeof value['error'] === 'string' ? excerpt(value['error']) : null,
    };
  });
}

/** Judges an answer: every expectation that is not met is named. */
export function judgeAnswer(
  answer: Answer,
  expected: Expectation,
): Pick<Check, 'healthy' | 'seen' | 'dependencies'> {
  const document = parseJson(answer.body);
  const dependencies = dependenciesOf(document);
  const wrong: string[] = [];
  if (!expected.status.includes(answer.status)) {
    const target = answer.location === undefined ? '' : ` (redirects to ${answer.location})`;
    wrong.push(`HTTP ${answer.status}${target}, expected ${expected.status.join(' or ')}`);
  }
  if (Object.keys(expected.json).length > 0 && document === undefined) {
    wrong.push(`the answer is not JSON: ${JSON.stringify(excerpt(answer.body))}`);
  } else {
    for (const [path, value] of Object.entries(expected.json)) {
      const found = fieldAt(document, path);
      if (found !== undefined && textOf(found) === value) continue;
      wrong.push(`${path} is ${found === undefined ? 'missing' : textOf(found)}, expected ${value}`);
    }
  }
  if (expected.body !== undefined && !answer.body.includes(expected.body)) {
    wrong.push(
      `the answer does not contain ${JSON.stringify(expected.body)}: ${JSON.stringify(excerpt(answer.body))}`,
    );
  }
  if (wrong.length === 0) return { healthy: true, seen: `HTTP ${answer.status}`, dependencies };
  const ill = dependencies
    .filter((dependency) => !/^(healthy|ok|up|pass|passing|true|disabled)$/i.test(dependency.status))
    .map(({ name, status, error }) => `${name} is ${status}${error === null ? '' : ` (${error})`}`);
  return { healthy: false, seen: [...wrong, ...ill].join('; '), dependencies };
}

/** Asks the URL once. Redirects are answers, not followed: a health endpoint that moves should be named as it is. */
export function request(
  url: URL,
  headers: Record<string, string>,
  timeout: number,
  signal: AbortSignal,
): Promise<Answer> {
  const client = url.protocol === 'https:' ? https : http;
  return new Promise((resolve, reject) => {
    const within = AbortSignal.any([signal, AbortSignal.timeout(timeout)]);
    const fail = (error: Error) => {
      const late = within.aborted && !signal.aborted;
      reject(late ? new Error(`no complete answer within ${formatDuration(timeout)}`) : error);
    };
    const sent = client.get(
      url,
      { agent: false, signal: within, headers: { 'user-agent': 'deploy-actions', ...headers } },
      (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size <= bodyLimit) chunks.push(chunk);
        });
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            location: response.headers.location,
            body: Buffer.concat(chunks).toString('utf8'),
          }),
        );
        response.on('error', fail);
      },
    );
    sent.on('error', fail);
  });
}

const hints: Record<string, string> = {
  ECONNREFUSED: 'nothing listens there',
  ENOTFOUND: 'the host name is not known',
  ECONNRESET: 'the connection was cut',
  EHOSTUNREACH: 'the host cannot be reached',
  CERT_HAS_EXPIRED: 'the certificate has expired',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the certificate is self-signed; give its CA by NODE_EXTRA_CA_CERTS',
};

export function describeFailure(thrown: unknown): string {
  const hint = hints[codeOf(thrown) ?? ''];
  return hint === undefined ? messageOf(thrown) : `${messageOf(thrown)} (${hint})`;
}
