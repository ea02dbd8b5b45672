import { Agent } from 'node:https';
import { textAt, cancelled, DeployError, formatDuration, isRecord } from '@deploy-actions/core';
import type { RawData } from 'ws';
import { type Asked, noAnswer, refusal } from './errors.ts';
import type { Connection } from './kubeconfig.ts';
import { textOf } from './transport.ts';

export interface ExecOptions {
  namespace: string;
  pod: string;
  container: string;
  command: readonly string[];
  /** Milliseconds for all of it. */
  timeout: number;
  signal: AbortSignal;
}

export interface ExecResult {
  /** Null when the program could not be started. */
  code: number | null;
  stdout: string;
  stderr: string;
  /** What the node says of a program that could not be started; else empty. */
  message: string;
}

/** Bytes of output that are kept. */
const kept = 256 * 1024;

const channels = { stdout: 1, stderr: 2, status: 3 } as const;

function bytesOf(data: RawData): Buffer {
  if (Array.isArray(data)) return Buffer.concat(data);
  return data instanceof ArrayBuffer ? Buffer.from(data) : data;
}

/** The exit code that a Status of the third channel tells. */
function endOf(text: string): Pick<ExecResult, 'code' | 'message'> {
  let status: unknown;
  try {
    status = JSON.parse(text);
  } catch {
    return { code: null, message: 'how it ended is not known' };
  }
  if (!isRecord(status)) return { code: null, message: 'how it ended is not known' };
  if (status['status'] === 'Success') return { code: 0, message: '' };
  const details = isRecord(status['details']) ? status['details'] : {};
  const causes = Array.isArray(details['causes']) ? details['causes'].filter(isRecord) : [];
  const code = Number(causes.find(({ reason }) => reason === 'ExitCode')?.['message'] ?? Number.NaN);
  const message = textAt(status, 'message');
  return Number.isInteger(code) ? { code, message: '' } : { code: null, message };
}

/**
 * Runs a command in a container, without a shell and without input, over a WebSocket: channels of
 * https://kubernetes.io/docs/reference/using-api/#websockets (v5.channel.k8s.io, v4 on older servers). Until Kubernetes 1.34
 * this takes the right to `get` pods/exec, after that to `create` it. Throws `permission_denied`, `not_found`,
 * `unreachable`, `timeout`; any exit code is a result.
 */
export async function execInPod(connection: Connection, options: ExecOptions): Promise<ExecResult> {
  const { WebSocket } = await import('ws');
  const { namespace, pod, container, command, timeout, signal } = options;
  const asked: Asked = {
    verb: 'create',
    resource: 'pods/exec',
    group: '',
    kind: 'a command in Pod',
    namespace,
    name: pod,
  };
  const query = new URLSearchParams({ container, stdout: 'true', stderr: 'true' });
  for (const word of command) query.append('command', word);
  const url = new URL(connection.server);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}/exec`;
  url.pathname = `${url.pathname.replace(/\/$/, '')}${path}`;
  url.search = query.toString();
  const { headers, ca, cert, key, rejectUnauthorized, servername, passphrase, pfx } =
    await connection.credentials();
  const given = Object.entries({ ca, cert, key, rejectUnauthorized, servername, passphrase, pfx });
  if (signal.aborted) throw cancelled(`running a command in ${pod}`);

  return new Promise((resolve, reject) => {
    const output = { stdout: '', stderr: '', status: '' };
    const socket = new WebSocket(url, ['v5.channel.k8s.io', 'v4.channel.k8s.io'], {
      headers: { ...(headers as Record<string, string>), 'user-agent': 'deploy-actions' },
      ...Object.fromEntries(given.filter(([, value]) => value !== undefined)),
      ...(connection.proxy === undefined
        ? {}
        : {
            agent: new Agent({ proxyEnv: { HTTP_PROXY: connection.proxy, HTTPS_PROXY: connection.proxy } }),
          }),
      maxPayload: 4 * 1024 * 1024,
      perMessageDeflate: false,
    });
    const settle = (act: () => void): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      act();
      socket.terminate();
    };
    const stop = (): void => settle(() => reject(cancelled(`running a command in ${pod}`)));
    const timer = setTimeout(() => {
      const text = `The command in ${pod}/${container} did not end within ${formatDuration(timeout)}.`;
      settle(() => reject(new DeployError('timeout', text)));
    }, timeout);
    signal.addEventListener('abort', stop, { once: true });
    socket.on('unexpected-response', (_request, response) => {
      void textOf(response, timeout)
        .catch(() => '')
        .then((body) => {
          // Which verb is asked for depends on the server's version; it says so.
          const verb = /cannot get resource/.test(body) ? 'get' : 'create';
          const answer = {
            status: response.statusCode ?? 0,
            headers: response.headers,
            body,
            authorization: undefined,
          };
          settle(() => reject(refusal(connection, { ...asked, verb }, answer, Date.now())));
        });
    });
    socket.on('error', (cause) => settle(() => reject(noAnswer(connection, asked, cause))));
    socket.on('message', (data) => {
      const bytes = bytesOf(data);
      const text = bytes.toString('utf8', 1);
      if (bytes[0] === channels.stdout) output.stdout = (output.stdout + text).slice(-kept);
      else if (bytes[0] === channels.stderr) output.stderr = (output.stderr + text).slice(-kept);
      else if (bytes[0] === channels.status) output.status += text;
    });
    socket.on('close', () => {
      const { stdout, stderr, status } = output;
      settle(() => resolve({ stdout, stderr, ...endOf(status) }));
    });
  });
}
