// A proxy on loopback in front of an HTTP API that misbehaves on request: by it a test shows what happens when a write
// is refused, is cut before it takes effect, or takes effect while its answer never arrives.

import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

export type Fault =
  | { kind: 'pass' }
  /** Answers itself; nothing is forwarded. */
  | { kind: 'answer'; status: number; headers?: Readonly<Record<string, string>>; body?: string | object }
  /** Cuts the connection; nothing is forwarded: the write did not take effect. */
  | { kind: 'cut' }
  /** Forwards, waits for the whole answer, then cuts: the write took effect and the client cannot know. */
  | { kind: 'forward-then-cut' }
  | { kind: 'delay'; ms: number; next?: Fault }
  /** Has the caller killed, before the request is forwarded or after it took effect, then cuts. */
  | { kind: 'kill'; when: 'before' | 'after'; kill: () => void | Promise<void> };

/** A fault, and which requests it is for. All conditions given must hold. */
export interface Rule {
  method?: string;
  /** The path with its query: a string must be equal, a pattern must match. */
  path?: string | RegExp;
  /** Only the n-th request (from 1) of those that match method and path. */
  nth?: number;
  /** Only the first so many of those that match method and path. */
  times?: number;
  fault: Fault;
}

export interface Call {
  /** Requests count from 1 in order of arrival. */
  number: number;
  method: string;
  path: string;
  headers: IncomingMessage['headers'];
  body: string;
  fault: Fault['kind'];
  /** What the client saw: a status, or that the connection was cut. Undefined while under way. */
  outcome?: number | 'cut';
  /** The upstream's status, where the request was forwarded. */
  upstream?: number;
}

export interface FaultProxyOptions {
  /** Base URL (`http:` or `https:`), or a Unix socket. */
  target: string | { socketPath: string };
  /** Certificate authority (PEM) that an `https:` target is verified against. */
  ca?: string;
  /** Serve TLS to the client with this certificate. */
  tls?: { key: string; cert: string };
  /** Listen on a Unix socket instead of a free port of 127.0.0.1. */
  listen?: { socketPath: string };
  plan?: readonly Rule[];
}

export interface FaultProxy {
  /** Base URL for clients, without a slash at its end; for a Unix socket `http://localhost`. */
  readonly url: string;
  readonly calls: readonly Call[];
  /** Replaces the plan; counting of `nth` and `times` starts again. */
  program(plan: readonly Rule[]): void;
  stop(): Promise<void>;
}

/** The first rule of the plan that matches decides; a request that none matches passes. */
export async function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const calls: Call[] = [];
  const base = typeof options.target === 'string' ? new URL(options.target) : undefined;
  let choose = planner(options.plan ?? []);

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', url: path = '/', headers } = request;
    const fault = choose(method, path);
    const call: Call = { number: calls.length + 1, method, path, headers, body: '', fault: fault.kind };
    calls.push(call);
    try {
      const body = await buffer(request);
      call.body = body.toString();
      await carryOut(fault, call, body, response);
    } catch {
      cut(call, response); // the target is down or the client is gone
    }
  }

  async function carryOut(fault: Fault, call: Call, body: Buffer, response: ServerResponse): Promise<void> {
    switch (fault.kind) {
      case 'pass':
        return relay(await forward(call, body), call, response);
      case 'answer': {
        const text = typeof fault.body === 'object' ? JSON.stringify(fault.body) : (fault.body ?? '');
        const type = typeof fault.body === 'object' ? 'application/json' : 'text/plain';
        call.outcome = fault.status;
        response.writeHead(fault.status, { 'content-type': type, ...fault.headers }).end(text);
        return;
      }
      case 'cut':
        return cut(call, response);
      case 'forward-then-cut':
        await buffer(await forward(call, body));
        return cut(call, response);
      case 'delay':
        await new Promise((resolve) => setTimeout(resolve, fault.ms));
        return carryOut(fault.next ?? { kind: 'pass' }, call, body, response);
      case 'kill':
        if (fault.when === 'after') await buffer(await forward(call, body));
        await fault.kill();
        return cut(call, response);
    }
  }

  /** Sends the request on; resolves with the upstream's response when its headers are there. */
  async function forward(call: Call, body: Buffer): Promise<IncomingMessage> {
    const send = base?.protocol === 'https:' ? httpsRequest : httpRequest;
    const place =
      base === undefined
        ? { socketPath: (options.target as { socketPath: string }).socketPath }
        : { host: base.hostname.replace(/^\[|\]$/g, ''), port: base.port };
    const { connection: _connection, 'transfer-encoding': _encoding, ...headers } = call.headers;
    const upstream = send({
      ...place,
      method: call.method,
      path: (base?.pathname.replace(/\/$/, '') ?? '') + call.path,
      headers: {
        ...headers,
        ...(base === undefined ? {} : { host: base.host }),
        ...(body.length > 0 ? { 'content-length': body.length } : {}),
      },
      agent: false, // one connection a request, so that a fault touches this request alone
      ...(options.ca === undefined ? {} : { ca: options.ca }),
    });
    upstream.end(body);
    const [response] = (await once(upstream, 'response')) as [IncomingMessage];
    upstream.on('error', () => {}); // from here on the response tells
    call.upstream = response.statusCode ?? 0;
    return response;
  }

  const listener = (request: IncomingMessage, response: ServerResponse): void =>
    void serve(request, response);
  const server = options.tls ? createTlsServer(options.tls, listener) : createServer(listener);
  server.listen(options.listen ? { path: options.listen.socketPath } : { host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  const scheme = options.tls ? 'https' : 'http';
  return {
    url: options.listen
      ? `${scheme}://localhost`
      : `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    program(plan) {
      choose = planner(plan);
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function planner(plan: readonly Rule[]): (method: string, path: string) => Fault {
  const seen = plan.map(() => 0);
  return (method, path) => {
    let chosen: Fault | undefined;
    for (const [i, rule] of plan.entries()) {
      const fits =
        (rule.method === undefined || rule.method === method) &&
        (rule.path === undefined ||
          (typeof rule.path === 'string' ? rule.path === path : rule.path.test(path)));
      if (!fits) continue;
      const count = (seen[i] = (seen[i] ?? 0) + 1);
      if (rule.nth !== undefined && rule.nth !== count) continue;
      if (rule.times !== undefined && count > rule.times) continue;
      chosen ??= rule.fault; // later rules count on, so that their numbers mean requests, not leftovers
    }
    return chosen ?? { kind: 'pass' };
  };
}

/** Streams the answer, so that watches and other endless answers pass through as they come. */
function relay(upstream: IncomingMessage, call: Call, response: ServerResponse): void {
  const { connection: _connection, 'transfer-encoding': _encoding, ...headers } = upstream.headers;
  call.outcome = upstream.statusCode ?? 0;
  response.writeHead(call.outcome, headers);
  response.flushHeaders();
  upstream.pipe(response);
  upstream.on('error', () => cut(call, response));
  response.on('close', () => upstream.destroy());
}

function cut(call: Call, response: ServerResponse): void {
  call.outcome = 'cut';
  response.destroy();
}
