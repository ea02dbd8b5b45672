// One client connection that is honest about how a request ended. It never retries, and it knows whether the server
// had announced the connection's end before the first byte of a request was written.

import { connect, type Socket } from 'node:net';
import { setImmediate as pollOnce } from 'node:timers/promises';
import type { Target } from './options.ts';
import { ResponseReader, type Answer } from './response-reader.ts';

export const CONNECT_TIMEOUT_MS = 8000;

export type LostReason =
  | 'refused' // connection refused
  | 'connect-timeout' // no connection within 8 s
  | 'reset' // RST, or the write failed
  | 'closed' // end of stream before the full answer
  | 'timeout' // no full answer in time
  | 'malformed' // bytes that are no HTTP response
  | 'not-application' // an answer that something in front of the application made
  | 'error';

export type Outcome =
  | { kind: 'answered'; answer: Answer }
  | { kind: 'lost'; reason: LostReason; detail: string }
  /** The generator's own machine could not send it (no ports, no descriptors): nobody's request was lost. */
  | { kind: 'not-sent'; detail: string }
  /** Nothing was written: the server had announced the end of this connection. Take another one. */
  | { kind: 'announced' };

const LOCAL_SHORTAGES = new Set(['EADDRNOTAVAIL', 'EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM']);

/** Opens a connection. `connectMs` is how long that took. */
export function openConnection(
  target: Target,
): Promise<{ connection: Connection; connectMs: number } | { failure: Outcome }> {
  return new Promise((resolve) => {
    const started = performance.now();
    const socket = connect({ host: target.host, port: target.port, noDelay: true });
    const fail = (failure: Outcome): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ failure });
    };
    const timer = setTimeout(
      () =>
        fail({
          kind: 'lost',
          reason: 'connect-timeout',
          detail: `no connection in ${CONNECT_TIMEOUT_MS} ms`,
        }),
      CONNECT_TIMEOUT_MS,
    );
    socket.once('error', (error) => fail(failureOf(error)));
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.removeAllListeners('error');
      resolve({ connection: new Connection(socket), connectMs: performance.now() - started });
    });
  });
}

export class Connection {
  readonly #socket: Socket;
  #request: { reader: ResponseReader; settle: (outcome: Outcome) => void } | undefined;
  #answered = 0;
  #ended = false;
  #reusableUntil = Infinity;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk) => this.#onData(chunk));
    socket.on('end', () => this.#onEnd());
    socket.on('error', (error) => this.#finish(failureOf(error)));
    socket.on('close', () => this.#onEnd());
  }

  /** Another request may go on this connection. False once its end was announced, by header, FIN or RST. */
  get reusable(): boolean {
    return !this.#ended && performance.now() < this.#reusableUntil;
  }

  /**
   * Sends one request and waits for its full answer. Requests on a connection go one after the other.
   *
   * On a connection that has answered before, what the kernel has already received is read first, so that a FIN that
   * arrived while this process was busy counts as announced. A first request is sent in any case: a server that
   * accepts a connection and closes it without an answer has lost a request.
   */
  async send(bytes: Buffer, timeoutMs: number): Promise<Outcome> {
    if (this.#answered > 0) {
      await pollOnce();
      if (!this.reusable) {
        this.close();
        return { kind: 'announced' };
      }
    }
    return new Promise((resolve) => {
      const timer = setTimeout(
        () => this.#finish({ kind: 'lost', reason: 'timeout', detail: `no full answer in ${timeoutMs} ms` }),
        timeoutMs,
      );
      const reader = new ResponseReader();
      this.#request = {
        reader,
        settle: (outcome) => {
          clearTimeout(timer);
          resolve(outcome);
        },
      };
      if (this.#ended) this.#onEnd();
      else this.#socket.write(bytes);
    });
  }

  close(): void {
    this.#ended = true;
    this.#socket.destroy();
  }

  #onData(chunk: Buffer): void {
    if (this.#request === undefined) return this.close(); // unasked-for bytes, such as a 408 before a close
    try {
      const excess = this.#request.reader.push(chunk);
      if (excess > 0) this.#ended = true;
    } catch (error) {
      this.#finish({ kind: 'lost', reason: 'malformed', detail: (error as Error).message });
      return;
    }
    this.#settleIfComplete();
  }

  #onEnd(): void {
    this.#ended = true;
    const reader = this.#request?.reader;
    if (reader === undefined || (reader.end() && this.#settleIfComplete())) return;
    const where = reader.received === 0 ? 'before any answer' : `after ${reader.received} bytes of an answer`;
    const reuse =
      this.#answered === 0 ? 'new connection' : `connection that had answered ${this.#answered} before`;
    this.#finish({ kind: 'lost', reason: 'closed', detail: `closed ${where}, ${reuse}` });
  }

  #settleIfComplete(): boolean {
    const { reader, settle } = this.#request ?? {};
    if (reader?.complete !== true || reader.answer === undefined || settle === undefined) return false;
    this.#request = undefined;
    this.#answered += 1;
    // "Keep-Alive: timeout=N" announces a close N seconds from now; half a second of margin for the way.
    const seconds = /\btimeout=(\d+)/.exec(reader.answer.headers.get('keep-alive') ?? '')?.[1];
    this.#reusableUntil = seconds === undefined ? Infinity : performance.now() + Number(seconds) * 1000 - 500;
    if (reader.answer.announcesClose) this.close();
    settle({ kind: 'answered', answer: reader.answer });
    return true;
  }

  #finish(outcome: Outcome): void {
    const settle = this.#request?.settle;
    this.#request = undefined;
    this.close();
    settle?.(outcome);
  }
}

function failureOf(error: NodeJS.ErrnoException): Outcome {
  const code = error.code ?? '';
  const detail = error.message;
  if (LOCAL_SHORTAGES.has(code)) return { kind: 'not-sent', detail };
  if (code === 'ECONNREFUSED') return { kind: 'lost', reason: 'refused', detail };
  if (code === 'ECONNRESET' || code === 'EPIPE') return { kind: 'lost', reason: 'reset', detail };
  if (code === 'ETIMEDOUT') return { kind: 'lost', reason: 'connect-timeout', detail };
  return { kind: 'lost', reason: 'error', detail };
}
