// A small release: an HTTP application as a process of its own that starts fast and behaves as its environment says.
//
//   PORT=8001 VERSION=v2 ERROR_EVERY=5 node test/support/static-server.ts
//
//   PORT            port on 127.0.0.1; 0 or unset takes a free one. Printed as {"listening":PORT} once it accepts.
//   VERSION         sent as x-version with every answer; default v1
//   READY_AFTER_MS  /health/ is unhealthy (503) until so long after it listens; NEVER_READY=1: for ever
//   ERROR_EVERY     every n-th application request is answered 500
//   LATENCY_MS      added to every application request
//   TERM            what SIGTERM does. immediate: exit 143. ignore: nothing. graceful, and anything else, such as a
//                   terminal's type: stop accepting, finish what is in flight within GRACE_MS (default 30000), exit 0,
//                   as gunicorn does
//   CRASH_AFTER_MS  exit 1 then
//
// Every path is the application's and answers 200 with JSON, except /health/, /metrics, and /slow?ms=N, which takes N ms.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

const env = process.env;
const version = env['VERSION'] ?? 'v1';
const number = (name: string, otherwise: number): number => {
  const value = Number(env[name] ?? otherwise);
  if (value >= 0) return value;
  throw new Error(`${name}=${env[name]} not allowed; it must be a number of at least 0`);
};
const settings = {
  port: number('PORT', 0),
  readyAfterMs: env['NEVER_READY'] === '1' ? Infinity : number('READY_AFTER_MS', 0),
  errorEvery: number('ERROR_EVERY', 0),
  latencyMs: number('LATENCY_MS', 0),
  term: env['TERM'],
  graceMs: number('GRACE_MS', 30_000),
  crashAfterMs: number('CRASH_AFTER_MS', 0),
};

const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const byCode = new Map<number, number>();
const bucketCounts = BUCKETS.map(() => 0);
let seconds = 0;
let requests = 0;
let stopping = false;
let listeningSince = 0;

const server = createServer((request, response) => {
  const started = performance.now();
  const url = new URL(request.url ?? '/', 'http://localhost');
  response.setHeader('x-app', '1');
  response.setHeader('x-version', version);
  if (url.pathname === '/health/') return health(response);
  if (url.pathname === '/metrics') return send(response, 200, 'text/plain; version=0.0.4', metrics());
  requests += 1;
  const status = settings.errorEvery > 0 && requests % settings.errorEvery === 0 ? 500 : 200;
  const delay = settings.latencyMs + (url.pathname === '/slow' ? Number(url.searchParams.get('ms') ?? 0) : 0);
  response.once('finish', () => observe(status, (performance.now() - started) / 1000));
  void answerAfter(request, response, delay, status);
});

async function answerAfter(
  request: IncomingMessage,
  response: ServerResponse,
  delay: number,
  status: number,
) {
  request.resume(); // a body is read in full before the answer, or the connection could not be reused
  await Promise.all([
    new Promise((resolve) => request.once('end', resolve)),
    delay > 0 ? new Promise((resolve) => setTimeout(resolve, delay)) : undefined,
  ]);
  send(
    response,
    status,
    'application/json',
    JSON.stringify({ version, path: request.url, pid: process.pid }),
  );
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  if (stopping) response.setHeader('connection', 'close');
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) }).end(body);
}

function health(response: ServerResponse): void {
  const ready = performance.now() - listeningSince >= settings.readyAfterMs;
  const status = ready ? 'healthy' : 'unhealthy';
  const checks = { database: { status: 'healthy', time_ms: 0 }, cache: { status, time_ms: 0 } };
  send(response, ready ? 200 : 503, 'application/json', JSON.stringify({ status, version, checks }));
}

function observe(code: number, took: number): void {
  byCode.set(code, (byCode.get(code) ?? 0) + 1);
  seconds += took;
  BUCKETS.forEach((limit, i) => {
    if (took <= limit) bucketCounts[i] = (bucketCounts[i] ?? 0) + 1;
  });
}

function metrics(): string {
  const name = 'http_request_duration_seconds';
  const total = [...byCode.values()].reduce((sum, count) => sum + count, 0);
  return [
    '# TYPE http_requests_total counter',
    ...[...byCode].map(([code, count]) => `http_requests_total{code="${code}"} ${count}`),
    `# TYPE ${name} histogram`,
    ...BUCKETS.map((limit, i) => `${name}_bucket{le="${limit}"} ${bucketCounts[i]}`),
    `${name}_bucket{le="+Inf"} ${total}`,
    `${name}_sum ${seconds}`,
    `${name}_count ${total}`,
    '',
  ].join('\n');
}

process.on('SIGTERM', () => {
  if (settings.term === 'ignore') return;
  if (settings.term === 'immediate') process.exit(143);
  stopping = true;
  server.close(() => process.exit(0)); // also closes connections that are idle
  setTimeout(() => process.exit(1), settings.graceMs).unref();
});
if (settings.crashAfterMs > 0) setTimeout(() => process.exit(1), settings.crashAfterMs);

server.listen(settings.port, '127.0.0.1', () => {
  listeningSince = performance.now();
  const address = server.address();
  process.stdout.write(
    `${JSON.stringify({ listening: typeof address === 'object' ? address?.port : null })}\n`,
  );
});
