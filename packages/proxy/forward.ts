import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { timingSafeEqual } from 'node:crypto';
import { createProxyServer, type ProxyServer } from 'httpxy';
import type { Balancer, Passage } from './balancer.ts';
import type { Timeouts } from './config.ts';
import {
  ownAnswerHeader,
  probeHeader,
  requestHeaders,
  responseHeaders,
  slotHeader,
  useOriginForm,
} from './headers.ts';
import type { ProxyMetrics } from './metrics.ts';
import { agentOf, connectUpstream, exchangeFailure, UpstreamError } from './upstream.ts';

export interface ForwardContext {
  balancer: Balancer;
  metrics: ProxyMetrics;
  timeouts: Timeouts;
  probeToken: string;
  log(key: string, message: string): void;
  /** True once the proxy ends: every answer then announces that its connection is closed. */
  closing(): boolean;
}

/** Whether the request asks to change to the WebSocket protocol; any other upgrade is declined by not being done. */
export function isWebSocket(request: IncomingMessage): boolean {
  return request.method === 'GET' && request.headers.upgrade?.toLowerCase() === 'websocket';
}

/** One request, from its head to the end of its answer. Never throws. */
export async function forwardRequest(
  context: ForwardContext,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const exchange = begin(context, request);
  if (exchange === undefined) return refuse(context, request, response, 503, unconfigured, {});
  const { passage } = exchange;

  // The response's end is the one end of the exchange, whatever happened to it.
  response.once('close', () => exchange.end(response.writableFinished ? response.statusCode : 499));

  try {
    const upstream = await connectUpstream(passage, context.timeouts.connect, response);
    if (response.destroyed) return void upstream.destroy();
    await exchangeOn(upstream, context, exchange, request, response);
  } catch (thrown) {
    if (response.destroyed) return;
    if (response.headersSent) {
      exchange.cut(thrown);
      response.destroy();
      return;
    }
    const failure = exchangeFailure(thrown);
    exchange.failed(failure);
    const status = failure.reason === 'response_timeout' ? 504 : 502;
    refuse(context, request, response, status, explained(passage, failure), exchange.answerHeaders);
  }
}

/** Resolves at the end of the response; rejects when there was no complete answer. */
async function exchangeOn(
  upstream: Socket,
  context: ForwardContext,
  exchange: Exchange,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const proxy = httpxyOn(upstream, request, requestHeaders(request));
  if (mayOutlastItsAnswer(request)) {
    proxy.once('proxyReq', (outgoing) => void outgoing.setHeader('connection', 'keep-alive'));
  }
  const cancelTimeout = limitResponseTime(upstream, request, context.timeouts.response);
  response.once('close', cancelTimeout);
  proxy.once('proxyRes', (answer) => {
    cancelTimeout();
    // Before httpxy's own listener, which ends the response: what ended first is the cause.
    answer.once('error', (error) => {
      if (!response.destroyed) exchange.cut(error);
    });
    // Before pipe, whose own listener ends the response.
    answer.once('end', () => response.addTrailers(answer.trailers));
    try {
      const closing = context.closing() ? { connection: 'close' } : {};
      const headers = responseHeaders(answer, { ...exchange.answerHeaders, ...closing });
      response.writeHead(answer.statusCode ?? 502, answer.statusMessage, headers);
      answer.pipe(response);
    } catch (thrown) {
      upstream.destroy(new UpstreamError('invalid_answer', String(thrown), thrown));
    }
  });
  await proxy.web(request, response);
}

/** One upgrade request, from its head to the end of both connections. Never throws. */
export async function forwardUpgrade(
  context: ForwardContext,
  request: IncomingMessage,
  client: Socket,
  head: Buffer,
): Promise<void> {
  // The server has let go of this socket: an error nobody listens to would end the process.
  client.on('error', () => {});
  const exchange = begin(context, request);
  if (exchange === undefined) return void client.end(rawAnswer(503, unconfigured, {}));
  const { passage } = exchange;
  client.once('close', () => exchange.end(499));

  let answered = false;
  const fail = (thrown: unknown) => {
    if (answered || client.destroyed) return;
    answered = true;
    const failure = exchangeFailure(thrown);
    exchange.failed(failure);
    exchange.end(502);
    client.end(rawAnswer(502, explained(passage, failure), exchange.answerHeaders));
  };

  try {
    const upstream = await connectUpstream(passage, context.timeouts.connect, client);
    if (client.destroyed) return void upstream.destroy();
    // Either end closing closes the other, after what was already sent.
    client.once('close', () => upstream.destroySoon());
    upstream.once('close', () => client.destroySoon());
    const proxy = httpxyOn(upstream, request, requestHeaders(request, true));
    proxy.once('proxyReqWs', (outgoing) => {
      const seen = (status: number) => {
        answered = true;
        exchange.end(status, 'connection goes on');
      };
      outgoing.once('upgrade', () => seen(101));
      outgoing.once('response', (answer) => seen(answer.statusCode ?? 502));
    });
    proxy.on('error', fail);
    await proxy.ws(request, client, {}, head);
  } catch (thrown) {
    fail(thrown);
  }
}

/**
 * httpxy does what it does well: it pipes both ways, ends one side when the other does, deals with answers that come
 * before the request was read, and takes WebSockets through their handshake. The connection, the headers of both
 * directions and the head of the answer are ours: its own would keep upstream connections alive, pass on hop-by-hop
 * headers and, with them, close the clients' connections.
 */
function httpxyOn(
  upstream: Socket,
  request: IncomingMessage,
  headers: IncomingMessage['headers'],
): ProxyServer {
  request.headers = headers;
  return createProxyServer({
    target: { protocol: 'http:' },
    agent: agentOf(upstream),
    selfHandleResponse: true,
  });
}

interface Exchange {
  passage: Passage;
  /** What answers to this request carry besides the application's headers. */
  answerHeaders: Record<string, string>;
  failed(failure: UpstreamError): void;
  /** The answer broke off: its status is sent, but what counts is that the slot failed. */
  cut(cause: unknown): void;
  /** Counts the exchange, once. It stays in flight if its connection goes on in another protocol. */
  end(status: number, then?: 'connection goes on'): void;
}

function begin(context: ForwardContext, request: IncomingMessage): Exchange | undefined {
  const { balancer, metrics } = context;
  const started = performance.now();
  useOriginForm(request);
  const probe = isProbe(request, context.probeToken);
  const passage = balancer.enter(probe ? 'probe' : 'request');
  if (passage === undefined) {
    if (!probe) metrics.answered('', 503, 0);
    return undefined;
  }
  const { slot } = passage;
  let counted = false;

  const exchange: Exchange = {
    passage,
    answerHeaders: probe ? { [slotHeader]: slot } : {},
    failed(failure) {
      if (!probe) metrics.upstreamFailed(slot, failure.reason);
      context.log(`${slot} ${failure.reason}`, `slot ${slot}: ${failure.message}`);
    },
    cut(cause) {
      exchange.failed(new UpstreamError('cut', 'the connection ended in the middle of an answer', cause));
      exchange.end(502);
    },
    end(status, then) {
      if (then === undefined) passage.leave();
      if (!counted && !probe) metrics.answered(slot, status, (performance.now() - started) / 1_000);
      counted = true;
    },
  };
  return exchange;
}

function isProbe(request: IncomingMessage, token: string): boolean {
  const given = Buffer.from(String(request.headers[probeHeader] ?? ''));
  const expected = Buffer.from(token);
  return given.length === expected.length && timingSafeEqual(given, expected);
}

/**
 * A server that is told to close does so after an answer that it gives early (401, 413), with the upload still on its
 * way, and the reset this causes destroys the answer. So with an upload it is not told; the connection is
 * closed after the answer all the same. A small body has been sent long before.
 */
function mayOutlastItsAnswer(request: IncomingMessage): boolean {
  return (
    request.headers['transfer-encoding'] !== undefined ||
    Number(request.headers['content-length'] ?? 0) > 16_384
  );
}

/** The time limit runs from the end of the request. Returns what lifts it. */
function limitResponseTime(upstream: Socket, request: IncomingMessage, limit: number): () => void {
  if (limit === 0) return () => {};
  let timer: NodeJS.Timeout | undefined;
  const start = () => {
    timer = setTimeout(
      () => upstream.destroy(new UpstreamError('response_timeout', `no answer within ${limit} ms`)),
      limit,
    );
  };
  if (request.complete) start();
  else request.once('end', start);
  return () => {
    clearTimeout(timer);
    request.off('end', start);
  };
}

const unconfigured = 'No release is deployed behind this proxy yet.';

function explained(passage: Passage, failure: UpstreamError): string {
  const reasons = {
    refused: 'refuses connections',
    connect_timeout: 'does not accept connections',
    unreachable: 'cannot be reached',
    reset: 'closed the connection without an answer',
    response_timeout: 'did not answer in time',
    invalid_answer: 'answered something that is not HTTP',
    cut: 'closed the connection',
  } satisfies Record<UpstreamError['reason'], string>;
  return `The application in slot ${passage.slot} ${reasons[failure.reason]}.`;
}

function refuse(
  context: ForwardContext,
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  why: string,
  headers: Record<string, string>,
): void {
  const body = `${why}\n`;
  response.writeHead(status, {
    ...ownHeaders(body),
    ...headers,
    ...(context.closing() ? { connection: 'close' } : {}),
  });
  response.end(body);
  // What is left of the request's body is read and dropped, so that the connection can go on.
  request.unpipe();
  request.resume();
}

function rawAnswer(status: 502 | 503, why: string, headers: Record<string, string>): string {
  const body = `${why}\n`;
  const all = { ...ownHeaders(body), ...headers, connection: 'close' };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  const phrase = status === 502 ? 'Bad Gateway' : 'Service Unavailable';
  return [`HTTP/1.1 ${status} ${phrase}`, ...lines, '', body].join('\r\n');
}

function ownHeaders(body: string): Record<string, string> {
  return {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': String(Buffer.byteLength(body)),
    'cache-control': 'no-store',
    [ownAnswerHeader]: '1',
  };
}
