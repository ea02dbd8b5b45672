import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { pipeline } from 'node:stream/promises';
import { getCACertificates } from 'node:tls';
import { createGunzip } from 'node:zlib';
import { cancelled, DeployError, formatDuration, messageOf } from '@deploy-actions/core';
import type { Endpoint } from './endpoint.ts';

export interface TextRequest {
  endpoint: Endpoint;
  headers: Record<string, string>;
  /** Milliseconds from the start of the request to the last byte. */
  timeout: number;
  /** Of the text, not of what is sent for it. */
  maxBytes: number;
  /** A form: sent with POST. Redirects get it, too, so it must be one that only asks. */
  form?: URLSearchParams;
  /** PEM of authorities that are trusted beside the usual ones. */
  ca?: string;
  /** Asks for gzip. */
  compressed?: boolean;
}

export interface TextAnswer {
  status: number;
  contentType: string;
  /** The Retry-After header, as it is. */
  retryAfter?: string;
  text: string;
  /** When it was answered, in milliseconds since 1970 by the server's clock, or by this machine's without a Date header. */
  at: number;
}

/**
 * Reads a text. Throws `unreachable`, `timeout`, `cancelled`, or `invalid_input` for a URL that leads elsewhere; a status
 * other than 200 is an answer.
 */
export type FetchText = (request: TextRequest, signal: AbortSignal) => Promise<TextAnswer>;

const maxRedirects = 3;

/**
 * Reads a text over HTTP(S) or a Unix socket. Redirects are followed within the same origin only, so that headers
 * and credentials reach nobody else. Certificates are checked against Node's authorities and NODE_EXTRA_CA_CERTS.
 */
export const fetchText: FetchText = async (asked, signal) => {
  const { endpoint, timeout } = asked;
  const limit = AbortSignal.timeout(timeout);
  const ended = AbortSignal.any([signal, limit]);
  try {
    let url = endpoint.url;
    for (let redirects = 0; ; redirects += 1) {
      const answer = await get(url, asked, ended);
      const target = redirectOf(answer, url);
      if (target === undefined) return await read(answer, asked);
      answer.destroy();
      if (target.origin !== url.origin) throw astray(`redirects to another host, ${target.host}`);
      if (redirects === maxRedirects) throw astray(`redirects more than ${maxRedirects} times`);
      url = target;
    }
  } catch (thrown) {
    if (signal.aborted) throw cancelled(`reading ${endpoint.shown}`);
    if (limit.aborted)
      throw new DeployError('timeout', `no complete answer within ${formatDuration(timeout)}`);
    if (thrown instanceof DeployError) throw thrown;
    throw new DeployError('unreachable', messageOf(thrown), { cause: thrown });
  }
};

async function get(
  url: URL,
  { endpoint: { socketPath }, headers, form, ca, compressed = false }: TextRequest,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const request = url.protocol === 'https:' ? httpsRequest : httpRequest;
  const body = form?.toString();
  // No agent, so no socket stays open.
  const sent = request(url, {
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      ...headers,
      'accept-encoding': compressed ? 'gzip' : 'identity',
      ...(body !== undefined && {
        'content-type': 'application/x-www-form-urlencoded',
        'content-length': Buffer.byteLength(body),
      }),
    },
    agent: false,
    signal,
    ...(socketPath !== undefined && { socketPath }),
    ...(ca !== undefined && { ca: [...getCACertificates('default'), ca] }),
  });
  // What breaks after the answer began is reported by the answer's stream; here it would be an unhandled event.
  sent.on('error', () => {});
  sent.end(body);
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  return answer;
}

function redirectOf(answer: IncomingMessage, url: URL): URL | undefined {
  const { statusCode = 0, headers } = answer;
  if (statusCode < 300 || statusCode > 399 || headers.location === undefined) return undefined;
  if (!URL.canParse(headers.location, url.href)) throw astray('redirects to what is no URL');
  return new URL(headers.location, url);
}

async function read(
  answer: IncomingMessage,
  { maxBytes, compressed = false }: TextRequest,
): Promise<TextAnswer> {
  const encoding = answer.headers['content-encoding'] ?? 'identity';
  const packed = compressed && encoding === 'gzip';
  if (encoding !== 'identity' && !packed)
    throw unreachable(`answers in the encoding ${encoding}, which was not asked for`);
  const chunks: Buffer[] = [];
  let bytes = 0;
  // The bound is one of what is held in memory, so it counts what was unpacked.
  const collect = async (source: AsyncIterable<Buffer>) => {
    for await (const chunk of source) {
      bytes += chunk.length;
      if (bytes > maxBytes) throw unreachable(`answers with more than ${maxBytes} bytes`);
      chunks.push(chunk);
    }
  };
  // A connection that closes before the announced length or the last chunk makes this throw.
  if (packed) await pipeline(answer, createGunzip(), collect);
  else await collect(answer as AsyncIterable<Buffer>);
  const date = Date.parse(answer.headers.date ?? '');
  const retryAfter = answer.headers['retry-after'];
  return {
    status: answer.statusCode ?? 0,
    contentType: answer.headers['content-type'] ?? '',
    ...(retryAfter !== undefined && { retryAfter }),
    text: decode(Buffer.concat(chunks)),
    at: Number.isNaN(date) ? Date.now() : date,
  };
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw unreachable('answers with what is not UTF-8');
  }
}

function unreachable(what: string): DeployError {
  return new DeployError('unreachable', what);
}

function astray(what: string): DeployError {
  return new DeployError('invalid_input', what, {
    remedy: 'Give the address that answers itself; a redirect of a log-in page needs credentials.',
  });
}
