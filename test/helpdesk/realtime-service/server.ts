// The realtime service: browsers listen to a ticket, the backend publishes what happens to it.
//
//   GET  /ws?ticket=7&access=…   a WebSocket; each event is a JSON text. `access` is HMAC-SHA256(REALTIME_SECRET, "ticket:7") in hex
//   POST /events                 {"ticket": 7, "type": "comment", …} with `Authorization: Bearer REALTIME_SECRET`: {"listeners": 2}
//   GET  /health/, /version, /metrics
//
// SIGTERM: no new connections; listeners are told to come back, and the process ends with 0.

import { existsSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { type WebSocket, WebSocketServer } from 'ws';
import { accessTo, createHub, isSame } from './hub.ts';

const largest = 64 * 1024;
const heartbeatMs = 30_000;
const closeMs = 5_000;

const secret = process.env['REALTIME_SECRET'] ?? '';
if (secret.length < 32) {
  console.error('REALTIME_SECRET is required: at least 32 characters');
  process.exit(2);
}
const versionFile = join(import.meta.dirname, 'VERSION');
const version = existsSync(versionFile) ? readFileSync(versionFile, 'utf8').trim() : 'unreleased';

const hub = createHub();
let published = 0;
let isEnding = false;

const log = (message: string, fields: object = {}): void =>
  console.log(JSON.stringify({ timestamp: new Date().toISOString(), level: 'INFO', message, ...fields }));

function answer(response: ServerResponse, status: number, body: object, headers: object = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}

async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request) {
    parts.push(part as Buffer);
    size += (part as Buffer).length;
    if (size > largest) return undefined;
  }
  return Buffer.concat(parts).toString('utf8');
}

/** An event as JSON; undefined when it is none. */
function eventIn(text: string): { ticket: number; type: string } | undefined {
  try {
    const event = JSON.parse(text) as { ticket?: unknown; type?: unknown } | null;
    const { ticket, type } = event ?? {};
    return Number.isSafeInteger(ticket) && typeof type === 'string' && type !== ''
      ? (event as { ticket: number; type: string })
      : undefined;
  } catch {
    return undefined;
  }
}

async function publish(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (!isSame(request.headers.authorization ?? '', `Bearer ${secret}`))
    return answer(response, 401, { error: 'the secret is needed' }, { 'www-authenticate': 'Bearer' });
  const text = await bodyOf(request);
  if (text === undefined) return answer(response, 413, { error: `at most ${largest} bytes` });
  const event = eventIn(text);
  if (event === undefined)
    return answer(response, 400, { error: 'an event has a ticket (a number) and a type (text)' });
  published += 1;
  answer(response, 202, { listeners: hub.publish(event.ticket, event) });
}

function metrics(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' });
  response.end(
    `# TYPE realtime_listeners gauge\nrealtime_listeners ${hub.listeners}\n` +
      `# TYPE realtime_events_total counter\nrealtime_events_total ${published}\n`,
  );
}

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url ?? '/', 'http://localhost');
  const wanted = pathname === '/events' ? 'POST' : 'GET';
  if (!['/events', '/health/', '/version', '/metrics'].includes(pathname))
    answer(response, 404, { error: 'not found' });
  else if (request.method !== wanted)
    answer(response, 405, { error: 'method not allowed' }, { allow: wanted });
  else if (pathname === '/events') publish(request, response).catch(() => response.destroy());
  else if (pathname === '/metrics') metrics(response);
  else if (pathname === '/version') answer(response, 200, { version });
  else {
    const status = isEnding ? 'unhealthy' : 'healthy';
    answer(response, isEnding ? 503 : 200, { status, version, listeners: hub.listeners });
  }
});

const sockets = new WebSocketServer({ noServer: true, maxPayload: largest });
const alive = new WeakSet<WebSocket>();

server.on('upgrade', (request, socket, head) => {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const ticket = Number(url.searchParams.get('ticket') ?? Number.NaN);
  const refuse = (status: string): void => void socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\n\r\n`);
  if (url.pathname !== '/ws' || !Number.isSafeInteger(ticket)) return refuse('404 Not Found');
  if (!isSame(url.searchParams.get('access') ?? '', accessTo(ticket, secret))) return refuse('403 Forbidden');
  sockets.handleUpgrade(request, socket, head, (opened) => {
    alive.add(opened);
    const leave = hub.listen(ticket, opened);
    opened.on('pong', () => alive.add(opened));
    opened.on('error', () => opened.terminate());
    opened.on('close', leave);
  });
});

// A listener whose network is gone says nothing: it is asked, and dropped when it has not answered by the next time.
const heartbeat = setInterval(() => {
  for (const socket of sockets.clients) {
    if (alive.delete(socket)) socket.ping();
    else socket.terminate();
  }
}, heartbeatMs);

function end(signal: string): void {
  if (isEnding) return;
  isEnding = true;
  log('ending', { signal, listeners: hub.listeners });
  clearInterval(heartbeat);
  hub.close();
  setTimeout(() => {
    for (const socket of sockets.clients) socket.terminate();
    server.closeAllConnections();
  }, closeMs).unref();
  server.close(() => process.exit(0));
}
process.on('SIGTERM', end).on('SIGINT', end);

const [host, port] = [process.env['HOST'] || '127.0.0.1', Number(process.env['PORT'] || 8002)];
server.listen(port, host, () => log('listening', { host, port, version }));
