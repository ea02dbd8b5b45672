// A client that opens new connections all the time and notes which version answers: what users see of a change of traffic.

import { request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

export interface ObserverOptions {
  /** Of 127.0.0.1. */
  port: number;
  /** Requests under way at any time, each on a connection of its own. */
  loops: number;
  /** Milliseconds that each loop rests between two: what is seen is that much less exact, and the machine that much less busy. */
  rest?: number;
}

export interface Observer {
  /** Resolves once this version has answered; throws when it does not within 30 s. */
  answered(version: string): Promise<void>;
  /**
   * Resolves once nobody else than this version has answered the connections of `quiet` milliseconds, with the time
   * (`performance.now()`) at which the first connection was opened after the last one that somebody else, or nobody, answered.
   * Throws when that does not come to be within `limit` milliseconds.
   */
  allTo(version: string, options: { quiet: number; limit: number }): Promise<number>;
  stop(): Promise<void>;
}

const patience = 30_000;

interface Answer {
  opened: number;
  /** Of whoever answered; what went wrong where nobody did. */
  version: string;
}

function ask(port: number): Promise<Answer> {
  const opened = performance.now();
  return new Promise((resolve) => {
    const failed = (error: Error) => resolve({ opened, version: error.message });
    const sent = request({ host: '127.0.0.1', port, path: '/', agent: false, timeout: 5_000 }, (response) => {
      const version = String(response.headers['x-version']);
      response
        .resume()
        .once('error', failed)
        .once('end', () => resolve({ opened, version }));
    });
    sent.once('timeout', () => sent.destroy(new Error('no answer within 5 s')));
    sent.once('error', failed).end();
  });
}

export function observeNewConnections({ port, loops, rest = 0 }: ObserverOptions): Observer {
  const answers: Answer[] = [];
  let going = true;
  const ended = Promise.all(
    Array.from({ length: loops }, async () => {
      while (going) {
        answers.push(await ask(port));
        if (rest > 0) await delay(rest);
      }
    }),
  );
  return {
    async answered(version) {
      const deadline = performance.now() + patience;
      while (!answers.some((answer) => answer.version === version)) {
        if (performance.now() > deadline) throw new Error(`${version} answers no new connection`);
        await delay(5);
      }
    },
    async allTo(version, { quiet, limit }) {
      const deadline = performance.now() + limit;
      for (;;) {
        await delay(20);
        if (!going) throw new Error('nobody observes any more');
        let last = 0;
        for (const answer of answers) if (answer.version !== version) last = Math.max(last, answer.opened);
        let first = Number.POSITIVE_INFINITY;
        for (const { opened } of answers) if (opened > last) first = Math.min(first, opened);
        if (performance.now() - first >= quiet) return first;
        if (performance.now() < deadline) continue;
        const others = new Set(answers.slice(-500).map((answer) => answer.version));
        throw new Error(`after ${limit} ms new connections are answered by ${[...others].join(', ')}`);
      }
    },
    async stop() {
      going = false;
      await ended;
    },
  };
}
