// The Kubernetes API, as much of it as tests need beside kubectl.

import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { type Access } from './kubeconfig.ts';

export interface Answer {
  status: number;
  /** Parsed where it is JSON, else text. */
  body: unknown;
}

/** One request on a connection of its own. Rejects when there is no answer within `timeoutMs`. */
export function ask(
  access: Access,
  method: string,
  path: string,
  body?: unknown,
  { timeoutMs = 10_000, type = 'application/json' } = {},
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const content = body === undefined ? undefined : JSON.stringify(body);
  const sent = request(
    new URL(path, access.server),
    {
      method,
      agent: false,
      ca: access.ca,
      headers: {
        authorization: `Bearer ${access.token}`,
        // Told, as node leaves it out where a body is unusual: a DELETE would come without.
        ...(content === undefined
          ? {}
          : { 'content-type': type, 'content-length': String(Buffer.byteLength(content)) }),
      },
      signal: AbortSignal.timeout(timeoutMs),
    },
    (response) => {
      text(response).then((answer) => {
        const json = response.headers['content-type']?.startsWith('application/json') === true;
        resolve({
          status: response.statusCode ?? 0,
          body: json ? (JSON.parse(answer) as unknown) : answer,
        });
      }, reject);
    },
  );
  sent.once('error', reject).end(content);
  return promise;
}

/** The body of an answer below 400; throws with the API server's words otherwise. */
export async function get(access: Access, path: string): Promise<unknown> {
  const { status, body } = await ask(access, 'GET', path);
  if (status < 400) return body;
  throw new Error(`GET ${path}: ${status} ${JSON.stringify(body)}`);
}

/** An event of a watch: `ADDED`, `MODIFIED`, `DELETED`. */
export interface WatchEvent<T> {
  type: string;
  object: T;
}

interface Listed<T> {
  metadata: { resourceVersion: string };
  items: T[];
}

/**
 * What there is, and then what changes, as it comes: the list first, as events `ADDED`. Goes on from where it was when the server
 * ends the watch. Resolves once the list was handed on, to what stops it; `failed` is told when it cannot go on.
 */
export async function watch<T>(
  access: Access,
  path: string,
  onEvent: (event: WatchEvent<T>) => void,
  failed: (cause: unknown) => void,
): Promise<() => void> {
  const stop = new AbortController();
  const { metadata, items } = (await get(access, path)) as Listed<T>;
  for (const object of items) onEvent({ type: 'ADDED', object });
  const glue = path.includes('?') ? '&' : '?';
  const go = async (): Promise<void> => {
    let { resourceVersion } = metadata;
    while (!stop.signal.aborted) {
      const query = `watch=true&allowWatchBookmarks=true&timeoutSeconds=300&resourceVersion=${resourceVersion}`;
      const sent = request(new URL(`${path}${glue}${query}`, access.server), {
        agent: false,
        ca: access.ca,
        headers: { authorization: `Bearer ${access.token}` },
        signal: stop.signal,
      });
      sent.end();
      const [response] = (await once(sent, 'response')) as [IncomingMessage];
      for await (const line of createInterface({ input: response, crlfDelay: Infinity })) {
        const event = JSON.parse(line) as WatchEvent<T & { metadata: { resourceVersion: string } }>;
        if (event.type === 'ERROR') throw new Error(`the watch of ${path} ended: ${line}`);
        ({ resourceVersion } = event.object.metadata);
        if (event.type !== 'BOOKMARK') onEvent(event);
      }
    }
  };
  go().catch((cause: unknown) => {
    if (!stop.signal.aborted) failed(cause);
  });
  return () => stop.abort();
}

/** The first object of the list of which `isSo` holds, now or at a change. Rejects when that is not within `timeoutMs`. */
export async function until<T>(
  access: Access,
  path: string,
  isSo: (object: T) => boolean,
  timeoutMs = 60_000,
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  let last: T | undefined;
  const stop = await watch<T>(
    access,
    path,
    ({ type, object }) => {
      last = object;
      if (type !== 'DELETED' && isSo(object)) resolve(object);
    },
    reject,
  );
  const timer = setTimeout(
    () => reject(new Error(`${path} did not get there within ${timeoutMs} ms: ${JSON.stringify(last)}`)),
    timeoutMs,
  );
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    stop();
  }
}
