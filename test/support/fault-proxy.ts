// A proxy on loopback in front of an HTTP API that misbehaves on request: by it a test shows what happens when a write
// is refused, is cut before it takes effect, or takes effect while its answer never arrives. Requests to upgrade (WebSocket,
// SPDY) are requests like others; once the target has agreed, bytes pass both ways.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  Agent as HttpAgent,
  type ClientRequest,
  createServer,
  type IncomingMessage,
  request as httpRequest,
  type ServerResponse,
} from 'node:http';
import { Agent as HttpsAgent, createServer as createTlsServer, request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { buffer } from 'node:stream/consumers';

export type Fault =
  | { kind: 'pass' }
  /** Answers itself; nothing is forwarded. */
  | { kind: 'answer'; status: number; headers?: Readonly<Record<string, string>>; body?: string | object }
  /** Cuts the connection; nothing is forwarded: the write did not take effect. */
  | { kind: 'cut' }
  /** Forwards, waits for the whole answer, then cuts: the write took effect and the client cannot know. */
  | { kind: 'forward-then-cut' }
  /** Forwards, sends the head of the answer and half of its body, then cuts. */
  | { kind: 'cut-within' }
  /** As `forward-then-cut`, but the client hears nothing for so many milliseconds first: it gives up by its own time-out. */
  | { kind: 'forward-then-hang'; ms: number }
  | { kind: 'delay'; ms: number; next?: Fault }
  /** Forwards once this has happened, however long that takes. */
  | { kind: 'hold'; until: Promise<unknown> }
  /** Has the caller killed, before the request is forwarded or after it took effect, then cuts. */
  | { kind: 'kill'; when: 'before' | 'after'; kill: () => void | Promise<void> };

/** A fault, and which requests it is for. All conditions given must hold. */
export interface Rule {
  method?: string;
  /** The path with its query: a string must be equal, a pattern must match. */
  path?: string | RegExp;
  /** What else must be so. */
  where?: (request: { method: string; path: string }) => boolean;
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
  /** SHA-256 of the body's bytes, in hexadecimal; empty until the body is there. */
  bodyHash: string;
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
  // A fault touches the client's connection. Those to the target are kept: a handshake for each request costs more than most requests.
  const agent =
    base?.protocol === 'https:' ? new HttpsAgent({ keepAlive: true }) : new HttpAgent({ keepAlive: true });
  let choose = planner(options.plan ?? []);

  function receive(request: IncomingMessage): { call: Call; fault: Fault } {
    const { method = 'GET', url: path = '/', headers } = request;
    const fault = choose(method, path);
    const number = calls.length + 1;
    const call: Call = { number, method, path, headers, body: '', bodyHash: '', fault: fault.kind };
    calls.push(call);
    return { call, fault };
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { call, fault } = receive(request);
    try {
      const body = await buffer(request);
      call.body = body.toString();
      call.bodyHash = createHash('sha256').update(body).digest('hex');
      await carryOut(fault, call, {
        pass: async () => relay(await forward(call, body), call, response),
        passUnseen: async () => void (await buffer(await forward(call, body))),
        passHalf: async () => passHalf(await forward(call, body), response),
        answer: (status, headers, text) => response.writeHead(status, headers).end(text),
        cut: () => response.destroy(),
      });
    } catch {
      cut(call, response); // the target is down or the client is gone
    }
  }

  /** Sends the request on; resolves with the upstream's response when its headers are there. */
  async function forward(call: Call, body: Buffer): Promise<IncomingMessage> {
    const { connection: _connection, 'transfer-encoding': _encoding, ...headers } = call.headers;
    if (body.length > 0) headers['content-length'] = String(body.length);
    const upstream = send(call, headers, agent);
    upstream.end(body);
    const [response] = (await once(upstream, 'response')) as [IncomingMessage];
    upstream.on('error', () => {}); // from here on the response tells
    call.upstream = response.statusCode ?? 0;
    return response;
  }

  function send(
    call: Call,
    headers: IncomingMessage['headers'],
    through: HttpAgent | HttpsAgent | false,
  ): ClientRequest {
    const begin = base?.protocol === 'https:' ? httpsRequest : httpRequest;
    const place =
      base === undefined
        ? { socketPath: (options.target as { socketPath: string }).socketPath }
        : { host: base.hostname.replace(/^\[|\]$/g, ''), port: base.port };
    return begin({
      ...place,
      method: call.method,
      path: (base?.pathname.replace(/\/$/, '') ?? '') + call.path,
      headers: { ...headers, ...(base === undefined ? {} : { host: base.host }) },
      agent: through,
      ...(options.ca === undefined ? {} : { ca: options.ca }),
    });
  }

  /** A request to upgrade has no body, and its answer has the connection for itself. */
  async function upgrade(request: IncomingMessage, client: Duplex, head: Buffer): Promise<void> {
    const { call, fault } = receive(request);
    open.add(client);
    client.once('close', () => open.delete(client)).on('error', () => client.destroy());
    async function askTarget(): Promise<Upgraded> {
      const upstream = send(call, call.headers, false);
      upstream.end();
      const answered = await answerOf(upstream);
      call.upstream = answered.message.statusCode ?? 0;
      return answered;
    }
    async function pass(): Promise<void> {
      const { message, socket, rest } = await askTarget();
      call.outcome = message.statusCode ?? 0;
      client.write(headOf(message));
      if (message.statusCode !== 101) return void message.pipe(client);
      client.write(rest);
      socket.write(head);
      client.once('close', () => socket.destroy());
      socket.once('close', () => client.destroy()).on('error', () => client.destroy());
      client.pipe(socket).pipe(client);
    }
    try {
      await carryOut(fault, call, {
        pass,
        passUnseen: async () => void (await askTarget()).socket.destroy(),
        passHalf: async () => void (await askTarget()).socket.destroy(),
        answer: (status, headers, text) => {
          const lines = Object.entries({ ...headers, connection: 'close' });
          const fields = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
          client.end(`HTTP/1.1 ${status} Fault\r\n${fields}\r\n${text}`);
        },
        cut: () => client.destroy(),
      });
    } catch {
      cut(call, client);
    }
  }

  const listener = (request: IncomingMessage, response: ServerResponse): void =>
    void serve(request, response);
  const server = options.tls ? createTlsServer(options.tls, listener) : createServer(listener);
  const open = new Set<Duplex>();
  server.on('upgrade', (request: IncomingMessage, client: Duplex, head: Buffer) => {
    void upgrade(request, client, head);
  });
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
        agent.destroy();
        open.forEach((client) => client.destroy()); // no longer the server's since their upgrade
      }),
  };
}

/** What can be done with one request, whatever its kind. */
interface Exchange {
  pass(): Promise<void>;
  /** Waits for the target's answer, and keeps it from the client. */
  passUnseen(): Promise<void>;
  /** Sends the client half of the target's answer. */
  passHalf(): Promise<void>;
  answer(status: number, headers: Readonly<Record<string, string>>, text: string): void;
  cut(): void;
}

async function carryOut(fault: Fault, call: Call, exchange: Exchange): Promise<void> {
  switch (fault.kind) {
    case 'pass':
      return exchange.pass();
    case 'answer': {
      const text = typeof fault.body === 'object' ? JSON.stringify(fault.body) : (fault.body ?? '');
      const type = typeof fault.body === 'object' ? 'application/json' : 'text/plain';
      call.outcome = fault.status;
      return exchange.answer(fault.status, { 'content-type': type, ...fault.headers }, text);
    }
    case 'delay':
      await new Promise((resolve) => setTimeout(resolve, fault.ms));
      return carryOut(fault.next ?? { kind: 'pass' }, call, exchange);
    case 'hold':
      await fault.until;
      return exchange.pass();
    case 'cut':
      break;
    case 'forward-then-cut':
      await exchange.passUnseen();
      break;
    case 'cut-within':
      await exchange.passHalf();
      break;
    case 'forward-then-hang':
      await exchange.passUnseen();
      await new Promise((resolve) => setTimeout(resolve, fault.ms));
      break;
    case 'kill':
      if (fault.when === 'after') await exchange.passUnseen();
      await fault.kill();
      break;
  }
  call.outcome = 'cut';
  exchange.cut();
}

interface Upgraded {
  message: IncomingMessage;
  /** The connection's own where it was granted. */
  socket: Duplex;
  /** What came with the answer's head. */
  rest: Buffer;
}

function planner(plan: readonly Rule[]): (method: string, path: string) => Fault {
  const seen = plan.map(() => 0);
  return (method, path) => {
    let chosen: Fault | undefined;
    for (const [i, rule] of plan.entries()) {
      const fits =
        (rule.method === undefined || rule.method === method) &&
        (rule.path === undefined ||
          (typeof rule.path === 'string' ? rule.path === path : rule.path.test(path))) &&
        (rule.where?.({ method, path }) ?? true);
      if (!fits) continue;
      const count = (seen[i] = (seen[i] ?? 0) + 1);
      if (rule.nth !== undefined && rule.nth !== count) continue;
      if (rule.times !== undefined && count > rule.times) continue;
      chosen ??= rule.fault; // later rules count on, so that their numbers mean requests, not leftovers
    }
    return chosen ?? { kind: 'pass' };
  };
}

/** The answer to a request to upgrade, with the connection where it is granted. */
function answerOf(request: ClientRequest): Promise<Upgraded> {
  const { promise, resolve, reject } = Promise.withResolvers<Upgraded>();
  request.once('error', reject);
  request.once('upgrade', (message, socket, rest) => resolve({ message, socket, rest }));
  request.once('response', (message) => resolve({ message, socket: message.socket, rest: Buffer.alloc(0) }));
  return promise;
}

/** Status line and headers. A body that follows ends with the connection, for it is no longer in chunks. */
function headOf(message: IncomingMessage): string {
  const lines = [`HTTP/1.1 ${message.statusCode} ${message.statusMessage}`];
  for (let i = 0; i < message.rawHeaders.length; i += 2) {
    const [name = '', value = ''] = message.rawHeaders.slice(i, i + 2);
    const isKept = message.statusCode === 101 || !/^(?:connection|transfer-encoding)$/i.test(name);
    if (isKept) lines.push(`${name}: ${value}`);
  }
  if (message.statusCode !== 101) lines.push('connection: close');
  return `${lines.join('\r\n')}\r\n\r\n`;
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

/** With the length of the whole in its head, so that the client knows that it has half. */
async function passHalf(upstream: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await buffer(upstream);
  const { connection: _connection, 'transfer-encoding': _encoding, ...headers } = upstream.headers;
  response.writeHead(upstream.statusCode ?? 0, { ...headers, 'content-length': body.length });
  const half = body.subarray(0, Math.floor(body.length / 2));
  await new Promise<void>((resolve) => response.write(half, () => resolve()));
}

function cut(call: Call, connection: { destroy(): unknown }): void {
  call.outcome = 'cut';
  connection.destroy();
}
