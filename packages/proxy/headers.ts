import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';

/** Set on answers that the proxy made itself. */
export const ownAnswerHeader = 'x-deploy-actions-proxy';
/** Sent by a probe, with the proxy's token; never passed on. */
export const probeHeader = 'x-deploy-actions-probe';
/** Set on answers to probes: the slot that answered. */
export const slotHeader = 'x-deploy-actions-slot';

/** RFC 9110, section 7.6.1, and the older ones that are still sent. They are about one connection only. */
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
]);

/** What `Connection` may not make a proxy drop: without them a body has no end, or a request no addressee. */
const neverNominated = new Set(['content-length', 'host']);

const own = new Set([ownAnswerHeader, probeHeader, slotHeader]);

function nominated(connection: string | undefined): Set<string> {
  const names = (connection ?? '').split(',').map((name) => name.trim().toLowerCase());
  return new Set(names.filter((name) => !neverNominated.has(name)));
}

/** The headers to send upstream. How the body ends is stated as the client stated it, never guessed. */
export function requestHeaders(request: IncomingMessage, upgrade = false): IncomingHttpHeaders {
  const received = request.headers;
  const dropped = nominated(received.connection);
  const headers: IncomingHttpHeaders = {};
  for (const [name, value] of Object.entries(received)) {
    if (!hopByHop.has(name) && !dropped.has(name) && !own.has(name)) headers[name] = value;
  }
  // The listener has answered it already.
  delete headers.expect;
  // HTTP/1.0 may come without; what goes out is HTTP/1.1.
  headers.host ??= 'localhost';

  const encoding = received['transfer-encoding'];
  if (encoding !== undefined) headers['transfer-encoding'] = encoding;
  else if (headers['content-length'] === undefined && request.method !== 'GET' && request.method !== 'HEAD') {
    headers['content-length'] = '0';
  }
  if (upgrade) {
    headers.connection = 'upgrade';
    headers.upgrade = received.upgrade;
  }

  // A terminator of TLS usually stands before the proxy: what it says about the client is kept.
  const client = (request.socket.remoteAddress ?? 'unknown').replace(/^::ffff:/, '');
  const before = received['x-forwarded-for'];
  headers['x-forwarded-for'] = before === undefined ? client : `${String(before)}, ${client}`;
  headers['x-forwarded-proto'] = received['x-forwarded-proto'] ?? 'http';
  headers['x-forwarded-host'] = received['x-forwarded-host'] ?? received.host ?? '';
  return headers;
}

/** The answer's headers for the client as they came, in a flat list of names and values. */
export function responseHeaders(response: IncomingMessage, added: Record<string, string>): string[] {
  const dropped = nominated(response.headers.connection);
  const headers: string[] = [];
  for (let index = 0; index + 1 < response.rawHeaders.length; index += 2) {
    const name = response.rawHeaders[index] ?? '';
    const lower = name.toLowerCase();
    if (hopByHop.has(lower) || dropped.has(lower) || own.has(lower)) continue;
    headers.push(name, response.rawHeaders[index + 1] ?? '');
  }
  return [...headers, ...Object.entries(added).flat()];
}

/**
 * Turns an absolute request target (`GET http://host/path`), which every server must accept, into the usual form:
 * RFC 9112, section 3.2.2. Its host wins over the header.
 */
export function useOriginForm(request: IncomingMessage): void {
  const match = /^https?:\/\/([^/?#]+)([^#]*)/i.exec(request.url ?? '');
  if (match === null) return;
  const [, host = '', rest = ''] = match;
  request.url = rest.startsWith('/') ? rest : `/${rest}`;
  request.headers.host = host;
}
