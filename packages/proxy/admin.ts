import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { isRecord, messageOf } from '@deploy-actions/core';
import type { Target } from '@deploy-actions/release-engine';
import type { Balancer } from './balancer.ts';
import { proxyVersion } from './config.ts';
import type { Control, Outcome } from './control.ts';
import { metricsContentType, type ProxyMetrics } from './metrics.ts';

/** The answer of `GET /state` and of every write. */
export interface ProxyState {
  proxyVersion: string;
  pid: number;
  /** Milliseconds since the process began. */
  uptime: number;
  listen: string;
  metricsListen: string | null;
  targets: Target[];
  version: number;
  fence: number;
  /** Requests and upgraded connections by slot, probes included. */
  inFlight: Record<string, number>;
}

export interface AdminContext {
  control: Control;
  balancer: Balancer;
  metrics: ProxyMetrics;
  shutdown(): void;
}

const bodyLimit = 1024 * 1024;

/**
 *     GET  /state
 *     PUT  /traffic   {"targets": [...], "fence": 7}, If-Match: "<version>"
 *     POST /fence     {"token": 8}
 *     GET  /drain?slot=blue&timeout=30000      answers when nothing is in flight to the slot, or after the time
 *     GET  /metrics
 *     POST /shutdown
 *
 * Writes answer 200 with the new state, 403 for a deposed writer, 409 when the version is another one, 422 with the
 * problems of the targets, 507 when the state cannot be saved; the state is in the answer in every case.
 */
export function adminListener(context: AdminContext): RequestListener {
  const { control, balancer } = context;

  const state = (): ProxyState => {
    const { listen, metricsListen, targets, version, fence } = control.config();
    return {
      proxyVersion,
      pid: process.pid,
      uptime: Math.round(process.uptime() * 1_000),
      listen,
      metricsListen,
      targets,
      version,
      fence,
      inFlight: balancer.inFlight(),
    };
  };

  const answerWrite = async (response: ServerResponse, write: Promise<Outcome>) => {
    let outcome: Outcome;
    try {
      outcome = await write;
    } catch (thrown) {
      return json(response, 507, {
        error: `The state cannot be saved: ${messageOf(thrown)}`,
        state: state(),
      });
    }
    switch (outcome.kind) {
      case 'done':
        return json(response, 200, { state: state() });
      case 'deposed':
        return json(response, 403, {
          error: `Fence ${outcome.fence} was seen; yours is lower.`,
          state: state(),
        });
      case 'conflict':
        return json(response, 409, { error: `The version is ${control.config().version}.`, state: state() });
      case 'invalid':
        return json(response, 422, { error: outcome.problems.join('; '), state: state() });
    }
  };

  const routes: Record<
    string,
    (request: IncomingMessage, response: ServerResponse, url: URL) => Promise<void>
  > = {
    'GET /state': async (_request, response) => json(response, 200, { state: state() }),

    'PUT /traffic': async (request, response) => {
      const expected = /^"(\d+)"$/.exec(request.headers['if-match'] ?? '')?.[1];
      if (expected === undefined) {
        return json(response, 428, { error: 'If-Match must be the version in quotes, as in "3".' });
      }
      const body = await readJson(request);
      if (!isRecord(body) || !isToken(body['fence'])) {
        return json(response, 400, { error: 'The body must be {"targets": [...], "fence": <integer>}.' });
      }
      await answerWrite(response, control.setTargets(body['targets'], body['fence'], Number(expected)));
    },

    'POST /fence': async (request, response) => {
      const body = await readJson(request);
      if (!isRecord(body) || !isToken(body['token'])) {
        return json(response, 400, { error: 'The body must be {"token": <integer>}.' });
      }
      await answerWrite(response, control.raiseFence(body['token']));
    },

    'GET /drain': async (_request, response, url) => {
      const slot = url.searchParams.get('slot') ?? '';
      const timeout = Number(url.searchParams.get('timeout') ?? 0);
      if (slot === '' || !Number.isFinite(timeout) || timeout < 0) {
        return json(response, 400, { error: 'drain needs slot=<name> and timeout=<milliseconds>.' });
      }
      const started = performance.now();
      const gone = new AbortController();
      response.once('close', () => gone.abort());
      const limit = AbortSignal.timeout(Math.min(Math.ceil(timeout), 2 ** 31 - 1));
      const inFlight = await balancer.idle(slot, AbortSignal.any([gone.signal, limit]));
      json(response, 200, { slot, inFlight, complete: inFlight === 0, elapsed: performance.now() - started });
    },

    'GET /metrics': async (_request, response) => answerMetrics(context.metrics, response),

    'POST /shutdown': async (_request, response) => {
      response.setHeader('connection', 'close');
      json(response, 202, { state: state() });
      context.shutdown();
    },
  };

  return (request, response) => {
    const url = new URL(request.url ?? '/', 'http://admin');
    const route = routes[`${request.method} ${url.pathname}`];
    if (route === undefined)
      return json(response, 404, { error: `There is no ${request.method} ${url.pathname}.` });
    route(request, response, url).catch((thrown: unknown) =>
      json(response, 400, { error: messageOf(thrown) }),
    );
  };
}

/** For the listener that answers `GET /metrics` and nothing else. */
export function metricsListener(metrics: ProxyMetrics): RequestListener {
  return (request, response) => {
    if (request.method === 'GET' && request.url?.split('?')[0] === '/metrics')
      answerMetrics(metrics, response);
    else json(response, 404, { error: 'There is only GET /metrics.' });
  };
}

function answerMetrics(metrics: ProxyMetrics, response: ServerResponse): void {
  response.writeHead(200, { 'content-type': metricsContentType }).end(metrics.text());
}

function isToken(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > bodyLimit) throw new Error(`The body is larger than ${bodyLimit} bytes.`);
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString('utf8'));
}

function json(response: ServerResponse, status: number, body: unknown): void {
  if (response.destroyed || response.headersSent) return;
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);
}
