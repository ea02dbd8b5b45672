import * as http from 'node:http';
import * as https from 'node:https';

export interface ProbeCounts {
  sent: number;
  answered: number;
  /** No answer, or one that a proxy made because it had no application to ask: 502, 503, 504. */
  lost: number;
  /** 500 and other errors of the application itself. */
  failed: number;
  reasons: Record<string, number>;
  /** Milliseconds from request to the end of the answer. */
  slowest: number;
}

export interface Probe {
  counts(): ProbeCounts;
  /**
   * Sends no more, waits for what is in flight, and returns the final counts. What has no answer after `patience`
   * milliseconds, by default as long as a request may take, is cut off and not counted at all.
   */
  stop(patience?: number): Promise<ProbeCounts>;
}

const defaultTimeout = 10_000;
/** Milliseconds of requests that are made up for when the event loop was busy; more would be a burst. */
const catchUp = 1_000;
const lostStatuses = new Set([502, 503, 504]);

/**
 * Sends requests to a URL at a constant rate, each on a connection of its own, whatever becomes of the earlier ones:
 * proof, in the run's page, that nobody noticed the release. `rate` is in requests a second, `timeout` in milliseconds
 * from a request to the end of its answer: more than `rate` × `timeout` requests are never open.
 */
export function startProbe(url: URL, rate: number, timeout = defaultTimeout): Probe {
  const counts: ProbeCounts = { sent: 0, answered: 0, lost: 0, failed: 0, reasons: {}, slowest: 0 };
  const inFlight = new Set<Promise<void>>();
  const cutOff = new AbortController();
  const client = url.protocol === 'https:' ? https : http;

  function lose(reason: string): void {
    counts.lost += 1;
    counts.reasons[reason] = (counts.reasons[reason] ?? 0) + 1;
  }

  function send(): Promise<void> {
    counts.sent += 1;
    const start = performance.now();
    const overdue = AbortSignal.timeout(timeout);
    return new Promise((resolve) => {
      let settled = false;
      const settle = (count: () => void) => {
        if (settled) return;
        settled = true;
        if (cutOff.signal.aborted) {
          counts.sent -= 1;
        } else {
          count();
          counts.slowest = Math.max(counts.slowest, performance.now() - start);
        }
        resolve();
      };
      const fail = (error: Error) =>
        settle(() => lose(overdue.aborted ? `no answer within ${timeout} ms` : error.message));
      const request = client.get(
        url,
        {
          agent: false,
          signal: AbortSignal.any([overdue, cutOff.signal]),
          headers: { 'user-agent': 'deploy-actions-probe' },
        },
        (response) => {
          const status = response.statusCode ?? 0;
          response.resume();
          response.on('end', () =>
            settle(() => {
              if (lostStatuses.has(status)) return lose(`HTTP ${status}`);
              counts.answered += 1;
              if (status >= 500) counts.failed += 1;
            }),
          );
          response.on('error', fail);
          response.on('close', () => fail(new Error('cut in the middle of the answer')));
        },
      );
      request.on('error', fail);
    });
  }

  let begin = performance.now();
  let due = 0;
  const timer = setInterval(
    () => {
      const late = performance.now() - begin - (due * 1_000) / rate;
      if (late > catchUp) begin += late - catchUp;
      while (due <= ((performance.now() - begin) / 1_000) * rate) {
        due += 1;
        const sent = send().finally(() => inFlight.delete(sent));
        inFlight.add(sent);
      }
    },
    Math.max(5, 1_000 / rate),
  );

  return {
    counts: () => ({ ...counts, reasons: { ...counts.reasons } }),
    async stop(patience = timeout) {
      clearInterval(timer);
      const limit = setTimeout(() => cutOff.abort(), patience);
      await Promise.all(inFlight);
      clearTimeout(limit);
      return counts;
    },
  };
}
