import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isRecord } from '@deploy-actions/core';

/** What is done to a request instead of, before or after answering it. */
export type Fault =
  | { kind: 'status'; status: number; body?: unknown; headers?: Record<string, string> }
  /** The connection is cut before the request took effect. */
  | { kind: 'cut' }
  /** It took effect, and then the connection is cut. */
  | { kind: 'cut-after' };

export interface SeenRequest {
  method: string;
  /** Path without the query. */
  path: string;
  query: URLSearchParams;
  headers: IncomingMessage['headers'];
  body: string;
}

interface Stored {
  metadata: Record<string, unknown> & { name: string; resourceVersion: string };
  [field: string]: unknown;
}

/**
 * A double of the API server for the tests of the client alone: it stores objects, gives resourceVersions, compares
 * them, merges patches and serves watches. It has no controllers, no validation and no access rules; what these do is
 * tested on a real cluster.
 */
export interface KubernetesDouble {
  url: string;
  requests: SeenRequest[];
  /** Called for every request; a fault is taken instead of the answer. */
  interfere: (request: SeenRequest) => Fault | undefined;
  /** By `/api/v1/namespaces/x/configmaps/name`. */
  objects: Map<string, Stored>;
  put(path: string, object: Record<string, unknown>): void;
  /** Cuts every watch that is open. */
  cutWatches(): void;
  /** Forgets the history of watches: the next one that goes on from the past is told 410. */
  compact(): void;
  close(): Promise<void>;
}

function merge(target: unknown, patch: unknown, isStrategic: boolean): unknown {
  if (!isRecord(patch)) return patch;
  const result: Record<string, unknown> = isRecord(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else if (isStrategic && Array.isArray(value) && Array.isArray(result[key]) && value.every(hasName)) {
      // As strategic merge patches of containers do.
      result[key] = (result[key] as unknown[]).map((item) => {
        const change = value.find((one) => hasName(item) && hasName(one) && one.name === item.name);
        return change === undefined ? item : merge(item, change, isStrategic);
      });
    } else result[key] = merge(result[key], value, isStrategic);
  }
  return result;
}

function hasName(value: unknown): value is { name: string } {
  return isRecord(value) && typeof value['name'] === 'string';
}

function status(code: number, reason: string, message: string): unknown {
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message };
}

export async function startKubernetesDouble(): Promise<KubernetesDouble> {
  const objects = new Map<string, Stored>();
  const requests: SeenRequest[] = [];
  const watches = new Map<ServerResponse, string>();
  const history: { version: number; path: string; event: unknown }[] = [];
  let version = 100;
  let oldest = 0;
  const double: KubernetesDouble = {
    url: '',
    requests,
    interfere: () => undefined,
    objects,
    put: (path, object) => store(path, object),
    cutWatches() {
      for (const response of watches.keys()) response.destroy();
    },
    compact() {
      oldest = version;
      history.length = 0;
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };

  function announce(type: string, path: string, object: Stored): void {
    const event = { type, object };
    const collection = path.slice(0, path.lastIndexOf('/'));
    history.push({ version, path: collection, event });
    for (const [response, watched] of watches) {
      if (watched === collection) response.write(`${JSON.stringify(event)}\n`);
    }
  }

  function store(path: string, object: Record<string, unknown>): Stored {
    version += 1;
    const metadata = isRecord(object['metadata']) ? object['metadata'] : {};
    const name = path.slice(path.lastIndexOf('/') + 1);
    const stored: Stored = { ...object, metadata: { ...metadata, name, resourceVersion: String(version) } };
    const type = objects.has(path) ? 'MODIFIED' : 'ADDED';
    objects.set(path, stored);
    announce(type, path, stored);
    return stored;
  }

  function answer(response: ServerResponse, code: number, body: unknown, headers = {}): void {
    response.writeHead(code, { 'content-type': 'application/json', ...headers });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  }

  function perform(
    { method, path, query, headers, body }: SeenRequest,
    response: ServerResponse,
  ): [number, unknown] {
    const found = objects.get(path);
    const isCollection = /\/namespaces\/[^/]+\/[^/]+$/.test(path);
    if (method === 'GET' && isCollection) {
      const items = [...objects].filter(([key]) => key.startsWith(`${path}/`)).map(([, object]) => object);
      if (query.get('watch') !== 'true') {
        return [200, { kind: 'List', metadata: { resourceVersion: String(version) }, items }];
      }
      const since = Number(query.get('resourceVersion'));
      if (since < oldest) return [410, status(410, 'Expired', 'too old resource version')];
      response.writeHead(200, { 'content-type': 'application/json' });
      response.flushHeaders();
      for (const past of history) {
        if (past.path === path && past.version > since) response.write(`${JSON.stringify(past.event)}\n`);
      }
      watches.set(response, path);
      response.once('close', () => watches.delete(response));
      return [0, undefined];
    }
    if (method === 'POST') {
      const object = JSON.parse(body) as { metadata: { name: string } };
      const at = `${path}/${object.metadata.name}`;
      if (objects.has(at))
        return [409, status(409, 'AlreadyExists', `"${object.metadata.name}" already exists`)];
      return [201, store(at, object)];
    }
    if (found === undefined) return [404, status(404, 'NotFound', `"${path}" not found`)];
    if (method === 'DELETE') {
      objects.delete(path);
      version += 1;
      announce('DELETED', path, found);
      return [200, status(200, '', 'deleted')];
    }
    if (method === 'PATCH') {
      const patch = JSON.parse(body) as { metadata?: { resourceVersion?: string } };
      const expected = patch.metadata?.resourceVersion;
      if (expected !== undefined && expected !== found.metadata.resourceVersion) {
        return [409, status(409, 'Conflict', 'the object has been modified')];
      }
      const isStrategic = headers['content-type']?.includes('strategic') === true;
      return [200, store(path, merge(found, patch, isStrategic) as Record<string, unknown>)];
    }
    return [200, found];
  }

  const server = createServer((incoming, response) => {
    let body = '';
    incoming.setEncoding('utf8').on('data', (part: string) => (body += part));
    incoming.on('end', () => {
      const url = new URL(incoming.url ?? '/', 'http://double');
      const request: SeenRequest = {
        method: incoming.method ?? '',
        path: decodeURIComponent(url.pathname),
        query: url.searchParams,
        headers: incoming.headers,
        body,
      };
      requests.push(request);
      const fault = double.interfere(request);
      if (fault?.kind === 'cut') return incoming.socket.destroy();
      if (fault?.kind === 'status') {
        return answer(
          response,
          fault.status,
          fault.body ?? status(fault.status, '', 'as told'),
          fault.headers,
        );
      }
      const [code, value] = perform(request, response);
      if (fault?.kind === 'cut-after') return incoming.socket.destroy();
      if (code !== 0) answer(response, code, value);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  double.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return double;
}

/** A kubeconfig for it. */
export function kubeconfigFor(url: string, user: Record<string, unknown> = { token: 'a-token' }): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    clusters: [{ name: 'double', cluster: { server: url } }],
    users: [{ name: 'tester', user }],
    contexts: [{ name: 'test', context: { cluster: 'double', user: 'tester', namespace: 'apps' } }],
  });
}
