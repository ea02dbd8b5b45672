import { mkdtemp, rm } from 'node:fs/promises';
import {
  createServer,
  request,
  type Agent,
  type IncomingMessage,
  type RequestListener,
  type Server,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Target } from '@deploy-actions/release-engine';
import { onTestFinished } from 'vitest';
import { freeAddress } from '../../test/support/ports.ts';
import { adminClient } from './client.ts';
import { prepareConfig, type ProxySettings } from './config.ts';
import { serveProxy } from './serve.ts';

export const never = new AbortController().signal;

export async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'proxy-test-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

export interface Backend {
  address: string;
  server: Server;
  close(): Promise<void>;
}

/** A real HTTP server for the length of the test. */
export async function backend(listener: RequestListener): Promise<Backend> {
  const server = createServer(listener);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const close = async () => {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  };
  onTestFinished(close);
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, server, close };
}

/** A backend that reads the request and answers its name. */
export function named(name: string): Promise<Backend> {
  return backend((incoming, response) => {
    incoming.resume();
    incoming.once('end', () => response.end(name));
  });
}

export interface Answer {
  status: number;
  headers: IncomingMessage['headers'];
  trailers: IncomingMessage['trailers'];
  body: string;
}

export interface Ask {
  method?: string;
  path?: string;
  headers?: Record<string, string>;
  body?: string;
  agent?: Agent;
}

/** One request, on a connection of its own unless there is an agent. Rejects when the answer is cut. */
export function ask(
  address: string,
  { method = 'GET', path = '/', headers = {}, body, agent }: Ask = {},
): Promise<Answer> {
  const url = new URL(`http://${address}`);
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { host: url.hostname, port: url.port, method, path, headers, agent: agent ?? false },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            trailers: response.trailers,
            body: Buffer.concat(chunks).toString('utf8'),
          }),
        );
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

/** A proxy in this process, with the targets in force. */
export async function proxied(targets: Target[], settings: Partial<ProxySettings> = {}) {
  const stateDirectory = await temporaryDirectory();
  const listen = await freeAddress();
  const { probeToken } = await prepareConfig(stateDirectory, { listen, ...settings });
  const proxy = await serveProxy({ stateDirectory });
  onTestFinished(() => proxy.shutdown());
  const admin = adminClient(stateDirectory);
  const state = async () => {
    const answer = await admin.state({ signal: never });
    if (answer.state === undefined) throw new Error(answer.error);
    return answer.state;
  };
  const use = async (next: Target[]) => {
    const answer = await admin.setTargets(next, 1, (await state()).version, { signal: never });
    if (answer.status !== 200) throw new Error(answer.error);
  };
  if (targets.length > 0) await use(targets);
  return { stateDirectory, listen, probeToken, proxy, admin, state, use };
}

/** All traffic to the one slot, the other kept at 0. */
export function allTo(slot: string, addresses: Record<string, string>): Target[] {
  return Object.entries(addresses).map(([name, address]) => ({
    slot: name,
    weight: name === slot ? 100 : 0,
    addresses: [address],
  }));
}

export async function metricsOf(stateDirectory: string): Promise<Map<string, number>> {
  const { adminSocketPath } = await import('./socket-path.ts');
  const socket = adminSocketPath(stateDirectory);
  try {
    const text = await new Promise<string>((resolve, reject) => {
      request({ socketPath: socket.path, path: '/metrics', agent: false }, (response) => {
        let all = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (all += chunk));
        response.on('end', () => resolve(all));
      })
        .on('error', reject)
        .end();
    });
    const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    return new Map(
      samples.map((line) => [
        line.slice(0, line.lastIndexOf(' ')),
        Number(line.slice(line.lastIndexOf(' ') + 1)),
      ]),
    );
  } finally {
    socket.release();
  }
}
