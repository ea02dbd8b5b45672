import { Agent } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { codeOf, messageOf } from '@deploy-actions/core';
import { parseAddress } from './address.ts';
import type { Passage } from './balancer.ts';

export type UpstreamFailure =
  /** No instance accepted the connection. */
  | 'refused'
  /** No instance accepted the connection in time. */
  | 'connect_timeout'
  /** There is no way to the instance: no route, no such name. */
  | 'unreachable'
  /** The connection ended before the head of an answer. */
  | 'reset'
  /** No head of an answer in time. */
  | 'response_timeout'
  /** What came is not HTTP. */
  | 'invalid_answer'
  /** The answer ended before its end; the client got a part of it and a broken connection. */
  | 'cut';

export class UpstreamError extends Error {
  readonly reason: UpstreamFailure;

  constructor(reason: UpstreamFailure, message: string, cause?: unknown) {
    super(message, { cause });
    this.reason = reason;
  }
}

/**
 * A connection to the first address of the passage that accepts one, given up when the client closes. Nothing of the
 * request is sent before, so trying another address cannot repeat it. Each request has its own connection: one kept
 * alive may be closed by the server in the moment a request is sent on it, and a POST that meets this is lost.
 * Throws UpstreamError.
 */
export async function connectUpstream(passage: Passage, timeout: number, client: Client): Promise<Socket> {
  let failure: UpstreamError | undefined;
  for (let address = passage.next(); address !== undefined; address = passage.next()) {
    try {
      return await connectTo(address, timeout, client);
    } catch (thrown) {
      failure = connectFailure(address, thrown);
      if (client.destroyed) break;
    }
  }
  throw failure ?? new UpstreamError('unreachable', 'there is no instance');
}

/** The client's side of an exchange: its response, or its socket once it is upgraded. */
export type Client = Writable;

function connectTo(text: string, timeout: number, client: Client): Promise<Socket> {
  const address = parseAddress(text);
  if (address === undefined) return Promise.reject(new Error(`${text} is not an address`));
  return new Promise((resolve, reject) => {
    const socket = connect({ ...address, noDelay: true, keepAlive: true });
    const onClientClose = () => socket.destroy(new Error('the client left'));
    const onTimeout = () =>
      socket.destroy(
        new UpstreamError('connect_timeout', `${text} accepted no connection within ${timeout} ms`),
      );
    client.once('close', onClientClose);
    if (timeout > 0) socket.setTimeout(timeout, onTimeout);
    const settled = () => {
      client.off('close', onClientClose);
      socket.setTimeout(0);
      socket.off('timeout', onTimeout);
    };
    // Never taken off: an error between two owners of the socket must not end the process.
    socket.on('error', (error) => {
      settled();
      reject(error);
    });
    socket.once('connect', () => {
      settled();
      resolve(socket);
    });
  });
}

function connectFailure(address: string, thrown: unknown): UpstreamError {
  if (thrown instanceof UpstreamError) return thrown;
  return codeOf(thrown) === 'ECONNREFUSED'
    ? new UpstreamError('refused', `${address} refuses connections`, thrown)
    : new UpstreamError('unreachable', `${address}: ${messageOf(thrown)}`, thrown);
}

/** What a failure after the connection was made means, for a request whose answer has not begun. */
export function exchangeFailure(thrown: unknown): UpstreamError {
  if (thrown instanceof UpstreamError) return thrown;
  return codeOf(thrown)?.startsWith('HPE_') === true
    ? new UpstreamError('invalid_answer', `the answer is not valid HTTP (${messageOf(thrown)})`, thrown)
    : new UpstreamError('reset', `the connection ended before an answer (${messageOf(thrown)})`, thrown);
}

/** An agent that sends its one request on this connection. */
export function agentOf(socket: Socket): Agent {
  const agent = new Agent({ keepAlive: false });
  agent.createConnection = () => socket;
  return agent;
}
