import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { cancelled, DeployError, formatDuration, messageOf } from '@deploy-actions/core';
import type { Endpoint } from './endpoint.ts';

export interface TextRequest {
  endpoint: Endpoint;
  headers: Record<string, string>;
  /** Milliseconds from the start of the request to the last byte. */
  timeout: number;
  maxBytes: number;
}

export interface TextAnswer {
  status: number;
  contentType: string;
  text: string;
  /** When it was answered, in milliseconds since 1970 by the server's clock, or by this machine's without a Date header. */
  at: number;
}

/** Reads a text. Throws `unreachable`, `timeout` or `cancelled`; a status other than 200 is an answer. */
export type FetchText = (request: TextRequest, signal: AbortSignal) => Promise<TextAnswer>;

const maxRedirects = 3;

/**
 * Reads a text over HTTP(S) or a Unix socket. Redirects are followed within the same origin only, so that headers
 * and credentials reach nobody else. Certificates are checked against Node's authorities and NODE_EXTRA_CA_CERTS.
 */
export const fetchText: FetchText = async ({ endpoint, headers, timeout, maxBytes }, signal) => {
  const limit = AbortSignal.timeout(timeout);
  const ended = AbortSignal.any([signal, limit]);
  try {
    let url = endpoint.url;
    for (let redirects = 0; ; redirects += 1) {
      const answer = await get(url, endpoint.socketPath, headers, ended);
      const target = redirectOf(answer, url);
      if (target === undefined) return await read(answer, maxBytes);
      answer.destroy();
      if (target.origin !== url.origin) throw unreachable(`redirects to another host, ${target.host}`);
      if (redirects === maxRedirects) throw unreachable(`redirects more than ${maxRedirects} times`);
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
  socketPath: string | undefined,
  headers: Record<string, string>,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const request = url.protocol === 'https:' ? httpsRequest : httpRequest;
  // An identity encoding keeps the size bound a bound of what is held in memory; no agent, so no socket stays open.
  const sent = request(url, {
    headers: { ...headers, 'accept-encoding': 'identity' },
    agent: false,
    signal,
    ...(socketPath !== undefined && { socketPath }),
  });
  // What breaks after the answer began is reported by the answer's stream; here it would be an unhandled event.
  sent.on('error', () => {});
  sent.end();
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  return answer;
}

function redirectOf(answer: IncomingMessage, url: URL): URL | undefined {
  const { statusCode = 0, headers } = answer;
  if (statusCode < 300 || statusCode > 399 || headers.location === undefined) return undefined;
  if (!URL.canParse(headers.location, url.href)) throw unreachable('redirects to what is no URL');
  return new URL(headers.location, url);
}

async function read(answer: IncomingMessage, maxBytes: number): Promise<TextAnswer> {
  const encoding = answer.headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity')
    throw unreachable(`answers in the encoding ${encoding}, which was not asked for`);
  const chunks: Buffer[] = [];
  let bytes = 0;
  // A connection that closes before the announced length or the last chunk makes this iteration throw.
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw unreachable(`answers with more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  const date = Date.parse(answer.headers.date ?? '');
  return {
    status: answer.statusCode ?? 0,
    contentType: answer.headers['content-type'] ?? '',
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
