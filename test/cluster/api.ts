// The Kubernetes API, as much of it as tests need beside kubectl.

import { request } from 'node:https';
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
  const sent = request(
    new URL(path, access.server),
    {
      method,
      agent: false,
      ca: access.ca,
      headers: {
        authorization: `Bearer ${access.token}`,
        ...(body === undefined ? {} : { 'content-type': type }),
      },
      signal: AbortSignal.timeout(timeoutMs),
    },
    (response) => {
      text(response).then((content) => {
        const json = response.headers['content-type']?.startsWith('application/json') === true;
        resolve({
          status: response.statusCode ?? 0,
          body: json ? (JSON.parse(content) as unknown) : content,
        });
      }, reject);
    },
  );
  sent.once('error', reject).end(body === undefined ? undefined : JSON.stringify(body));
  return promise;
}

/** The body of an answer below 400; throws with the API server's words otherwise. */
export async function get(access: Access, path: string): Promise<unknown> {
  const { status, body } = await ask(access, 'GET', path);
  if (status < 400) return body;
  throw new Error(`GET ${path}: ${status} ${JSON.stringify(body)}`);
}
