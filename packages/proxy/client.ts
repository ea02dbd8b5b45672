import { request } from 'node:http';
import { cancelled, codeOf, DeployError, isRecord, messageOf } from '@deploy-actions/core';
import type { Target } from '@deploy-actions/release-engine';
import type { ProxyState } from './admin.ts';
import { adminSocketPath } from './socket-path.ts';

export interface AdminAnswer {
  status: number;
  body: Record<string, unknown>;
  /** The proxy's state, which all answers but a few about malformed requests carry. */
  state: ProxyState | undefined;
  /** What the proxy says about a refusal. */
  error: string;
}

export interface AdminCall {
  signal: AbortSignal;
  /** Milliseconds. */
  timeout?: number;
}

/**
 * Talks to the proxy of a state directory. Every call throws `unreachable` when no proxy answers there and
 * `cancelled` when the signal aborts; refusals are answers.
 */
export function adminClient(stateDirectory: string) {
  return {
    state: (call: AdminCall) => send(stateDirectory, 'GET', '/state', call),
    setTargets: (targets: Target[], fence: number, version: number, call: AdminCall) =>
      send(stateDirectory, 'PUT', '/traffic', call, { targets, fence }, { 'if-match': `"${version}"` }),
    raiseFence: (token: number, call: AdminCall) => send(stateDirectory, 'POST', '/fence', call, { token }),
    drain: (slot: string, milliseconds: number, call: AdminCall) =>
      send(
        stateDirectory,
        'GET',
        `/drain?slot=${encodeURIComponent(slot)}&timeout=${Math.ceil(milliseconds)}`,
        {
          timeout: milliseconds + 5_000,
          ...call,
        },
      ),
    shutdown: (call: AdminCall) => send(stateDirectory, 'POST', '/shutdown', call),
  };
}

async function send(
  stateDirectory: string,
  method: string,
  path: string,
  { signal, timeout = 10_000 }: AdminCall,
  content?: unknown,
  headers: Record<string, string> = {},
): Promise<AdminAnswer> {
  const what = `asking the proxy in ${stateDirectory}`;
  if (signal.aborted) throw cancelled(what);
  let socket: ReturnType<typeof adminSocketPath> | undefined;
  try {
    socket = adminSocketPath(stateDirectory);
    const { status, text } = await exchange(
      socket.path,
      method,
      path,
      headers,
      content,
      AbortSignal.any([signal, AbortSignal.timeout(Math.ceil(timeout))]),
    );
    const body: unknown = JSON.parse(text);
    if (!isRecord(body)) throw new Error('the answer is not an object');
    return {
      status,
      body,
      state: isRecord(body['state']) ? (body['state'] as unknown as ProxyState) : undefined,
      error: typeof body['error'] === 'string' ? body['error'] : '',
    };
  } catch (cause) {
    if (signal.aborted) throw cancelled(what);
    if (cause instanceof DeployError) throw cause;
    const code = codeOf(cause);
    throw new DeployError(
      code === 'EACCES' ? 'permission_denied' : 'unreachable',
      code === 'ENOENT' || code === 'ECONNREFUSED'
        ? `No proxy runs in ${stateDirectory}.`
        : `The proxy in ${stateDirectory} does not answer: ${messageOf(cause)}`,
      {
        remedy:
          code === 'EACCES' ? 'Run as the user that started it.' : `Look into ${stateDirectory}/proxy.log.`,
        cause,
      },
    );
  } finally {
    socket?.release();
  }
}

function exchange(
  socketPath: string,
  method: string,
  path: string,
  headers: Record<string, string>,
  content: unknown,
  signal: AbortSignal,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, method, path, headers, signal, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
      );
    });
    outgoing.on('error', reject);
    outgoing.end(content === undefined ? undefined : JSON.stringify(content));
  });
}
