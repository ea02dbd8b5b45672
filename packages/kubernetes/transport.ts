import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http';
import { Agent, request as requestHttps, type RequestOptions } from 'node:https';
import type { Connection } from './kubeconfig.ts';

export interface Call {
  method: string;
  /** Path and query. */
  path: string;
  body?: string | undefined;
  contentType?: string | undefined;
  signal: AbortSignal;
  /** Milliseconds for the whole of it; for a stream, until its headers. */
  timeout: number;
}

export interface Answer {
  status: number;
  headers: Record<string, unknown>;
  body: string;
  /** The authorization header that was sent, to explain a refusal. */
  authorization: string | undefined;
}

export interface StreamAnswer {
  status: number;
  headers: Record<string, unknown>;
  authorization: string | undefined;
  /** Ends when the server ends it; fails when the connection is cut. */
  body: IncomingMessage;
}

export interface Transport {
  send(call: Call): Promise<Answer>;
  open(call: Call): Promise<StreamAnswer>;
  /** Closes the connections that are kept. */
  close(): void;
}

/**
 * Milliseconds until a connection has to be there, TLS and all. Who drops packets instead of refusing them, as firewalls do, is
 * known by nothing else; an answer may take longer.
 */
const connectTimeout = 5_000;

/** An answer of this size is nothing that is asked for here. */
const largestAnswer = 32 * 1024 * 1024;

class TimedOut extends Error {
  readonly code = 'ETIMEDOUT';
}

/** Nothing of a request was sent. */
class NotConnected extends Error {
  readonly code = 'ENOTCONN';
}

/** Requests to the API server over connections that are kept open. One try each: what to repeat is the caller's to know. */
export function createTransport(connection: Connection): Transport {
  const options = {
    keepAlive: true,
    maxSockets: 32,
    keepAliveMsecs: 15_000,
    ...(connection.proxy === undefined
      ? {}
      : { proxyEnv: { HTTP_PROXY: connection.proxy, HTTPS_PROXY: connection.proxy } }),
  };
  const secure = new Agent(options);
  const plain = new HttpAgent(options);
  const base = new URL(connection.server);

  async function begin(
    call: Call,
  ): Promise<{ response: IncomingMessage; authorization: string | undefined }> {
    const credentials: RequestOptions = await connection.credentials();
    call.signal.throwIfAborted();
    const headers = { ...(credentials.headers as Record<string, string>) };
    const authorization = headers['Authorization'];
    const isSecure = base.protocol === 'https:';
    const request = isSecure ? requestHttps : requestHttp;
    return new Promise((resolve, reject) => {
      const outgoing = request(
        {
          ...credentials,
          agent: isSecure ? secure : plain,
          host: base.hostname.replace(/^\[(.*)\]$/, '$1'),
          port: base.port || (isSecure ? 443 : 80),
          method: call.method,
          path: `${base.pathname.replace(/\/$/, '')}${call.path}`,
          headers: {
            ...headers,
            accept: 'application/json',
            'user-agent': 'deploy-actions',
            ...(call.body === undefined
              ? {}
              : {
                  'content-type': call.contentType ?? 'application/json',
                  'content-length': Buffer.byteLength(call.body),
                }),
          },
          signal: call.signal,
        },
        (response) => resolve({ response, authorization }),
      );
      const timer = setTimeout(
        () => outgoing.destroy(new TimedOut(`no answer within ${call.timeout} ms`)),
        call.timeout,
      );
      let connecting: NodeJS.Timeout | undefined;
      const connected = () => clearTimeout(connecting);
      const clear = () => {
        clearTimeout(timer);
        connected();
      };
      outgoing.once('socket', (socket) => {
        // One that was kept is there already, and so is one through a proxy.
        if (!socket.connecting) return;
        connecting = setTimeout(
          () => outgoing.destroy(new NotConnected(`no connection within ${connectTimeout} ms`)),
          connectTimeout,
        );
        socket.once(isSecure ? 'secureConnect' : 'connect', connected);
      });
      outgoing.once('response', clear);
      outgoing.once('error', (error) => {
        clear();
        reject(error);
      });
      outgoing.end(call.body);
    });
  }

  return {
    async send(call) {
      const began = performance.now();
      const { response, authorization } = await begin(call);
      const body = await textOf(response, Math.max(1, call.timeout - (performance.now() - began)));
      return { status: response.statusCode ?? 0, headers: response.headers, body, authorization };
    },

    async open(call) {
      const { response, authorization } = await begin(call);
      return { status: response.statusCode ?? 0, headers: response.headers, authorization, body: response };
    },

    close() {
      secure.destroy();
      plain.destroy();
    },
  };
}

/** The body of an answer; fails when it is cut short, too long in coming, or too large. */
export function textOf(response: IncomingMessage, timeout: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let size = 0;
    const timer = setTimeout(
      () => response.destroy(new TimedOut(`the answer did not end within ${Math.round(timeout)} ms`)),
      timeout,
    );
    response.on('data', (part: Buffer) => {
      size += part.length;
      if (size > largestAnswer)
        response.destroy(new Error(`the answer is larger than ${largestAnswer} bytes`));
      parts.push(part);
    });
    response.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    response.once('close', () => {
      clearTimeout(timer);
      if (response.complete) resolve(Buffer.concat(parts).toString('utf8'));
      else reject(new Error('the connection was cut before the answer ended'));
    });
  });
}
