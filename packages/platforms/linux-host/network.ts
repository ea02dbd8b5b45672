import { request } from 'node:http';
import { connect, createServer } from 'node:net';
import { DeployError, messageOf } from '@deploy-actions/core';
import { failingChecks } from '../failing-checks.ts';

export const host = '127.0.0.1';

const bodyLimit = 4_096;
const excerptLength = 300;

/**
 * Picks `count` ports of the range, lowest first: none of `taken`, and each either in `own` (in use now by what is
 * about to be stopped) or free on every address of the host. Throws `start_failed` when there are too few.
 */
export async function findPorts(
  count: number,
  range: [number, number],
  taken: ReadonlySet<number>,
  own: ReadonlySet<number>,
): Promise<number[]> {
  const ports: number[] = [];
  for (let port = range[0]; port <= range[1] && ports.length < count; port++) {
    if (!taken.has(port) && (own.has(port) || (await isFree(port)))) ports.push(port);
  }
  if (ports.length < count) {
    throw new DeployError(
      'start_failed',
      `There is no free port: ${count} needed from ${range[0]} to ${range[1]}, ${ports.length} found. The others are ` +
        'in use by other programs or belong to another slot.',
      { remedy: 'Widen the port range, or stop what listens there. Nothing was touched.' },
    );
  }
  return ports;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    // The wildcard address clashes with a listener on any address.
    server.listen({ port, host: '0.0.0.0', exclusive: true }, () => server.close(() => resolve(true)));
  });
}

export interface Answer {
  ready: boolean;
  /** What was seen, for people: `answers 503 (failing: database)`. */
  summary: string;
  /** First characters of the body, where there is one and it is not ready. */
  body?: string;
}

/** One readiness probe of one instance. Never throws; ends within `timeout` milliseconds or when the signal aborts. */
export function probe(
  port: number,
  path: string | undefined,
  timeout: number,
  signal?: AbortSignal,
): Promise<Answer> {
  const limit = AbortSignal.timeout(timeout);
  const either = signal === undefined ? limit : AbortSignal.any([limit, signal]);
  const attempt = path === undefined ? connectTo(port, either) : get(port, path, either);
  return attempt.catch((thrown: unknown) => ({
    ready: false,
    summary: limit.aborted ? `does not answer within ${timeout} ms` : explain(thrown),
  }));
}

function explain(thrown: unknown): string {
  const message = messageOf(thrown);
  return message.includes('ECONNREFUSED') ? 'does not accept connections yet' : `cannot be asked: ${message}`;
}

function connectTo(port: number, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host, signal });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.destroy();
      resolve({ ready: true, summary: 'accepts connections' });
    });
  });
}

function get(port: number, path: string, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { host, port, path, signal, agent: false, headers: { 'user-agent': 'deploy-actions', accept: '*/*' } },
      (incoming) => {
        let body = '';
        const finish = () => {
          resolve(answerOf(incoming.statusCode ?? 0, body));
          outgoing.destroy();
        };
        incoming.setEncoding('utf8');
        incoming.on('data', (chunk: string) => {
          body += chunk;
          if (body.length >= bodyLimit) finish();
        });
        incoming.once('end', finish);
        incoming.once('error', reject);
      },
    );
    outgoing.once('error', reject);
    outgoing.end();
  });
}

function answerOf(status: number, body: string): Answer {
  if (status >= 200 && status < 400) return { ready: true, summary: `answers ${status}` };
  const failing = failingChecks(body);
  const reason = failing.length === 0 ? '' : ` (failing: ${failing.join(', ')})`;
  const excerpt = body.trim().slice(0, excerptLength);
  return {
    ready: false,
    summary: `answers ${status}${reason}`,
    ...(excerpt === '' ? {} : { body: excerpt }),
  };
}
