// Counts and latencies of one kind of request in one phase, and the report that a run ends with.

import type { LostReason, Outcome } from './connection.ts';
import type { Kind } from './options.ts';

export interface LatencyReport {
  p50: number;
  p95: number;
  p99: number;
  max: number;
}

/** `sent = ok + clientErrors + failed + lost + notSent + pending`. */
export interface KindReport {
  sent: number;
  /** Full answers, whoever made them. */
  answered: number;
  /** The application's own answers below 400. */
  ok: number;
  /** The application's own 4xx. */
  clientErrors: number;
  /** The application's own 5xx. */
  failed: number;
  lost: number;
  lostBy: Partial<Record<LostReason, number>>;
  /** The first 20, with milliseconds since the run's start: when each was scheduled, and when it was known lost. */
  firstLost: { scheduledMs: number; lostMs: number; reason: LostReason; detail: string }[];
  /** Not sent for a shortage on the generator's own side; these say nothing about the server. */
  notSent: number;
  pending: number;
  status: Record<string, number>;
  versions: Record<string, number>;
  /** Milliseconds from the scheduled time to the full answer, within 1 %; zeros when nothing was answered. */
  latencyMs: LatencyReport;
  connectionsOpened: number;
  /** Connects that took more than a second. */
  slowConnects: number;
  /** Times that a pooled connection's end had been announced and another one was taken: no loss. */
  announcedCloses: number;
}

export interface PhaseReport {
  name: string;
  /** Seconds since the run's start. */
  from: number;
  kinds: Partial<Record<Kind, KindReport>>;
}

export interface LoadReport {
  startedAt: string;
  seconds: number;
  /** What was asked for: requests a second of `new` and `keepalive-post`, and of `inflight`. */
  rate: number;
  inFlightPerSecond: number;
  /** How late the generator itself was against its schedule, in milliseconds. */
  lagMs: LatencyReport;
  phases: PhaseReport[];
  total: Partial<Record<Kind, KindReport>>;
}

export type Counts = Pick<
  KindReport,
  'sent' | 'answered' | 'ok' | 'clientErrors' | 'failed' | 'lost' | 'notSent' | 'pending'
>;

/** Adds up the kinds of a phase or of a report's total. */
export function countsOf(kinds: Partial<Record<Kind, Counts>>): Counts {
  const sum: Counts = {
    sent: 0,
    answered: 0,
    ok: 0,
    clientErrors: 0,
    failed: 0,
    lost: 0,
    notSent: 0,
    pending: 0,
  };
  for (const counts of Object.values(kinds)) {
    for (const key of Object.keys(sum) as (keyof Counts)[]) sum[key] += counts[key];
  }
  return sum;
}

const FIRST_LOST = 20;
const GROWTH = Math.log(1.01);

/** A histogram whose buckets grow by 1 %, so that memory and the cost of a percentile do not grow with the run. */
export class Histogram {
  #counts: number[] = [];
  #total = 0;
  #max = 0;

  add(ms: number): void {
    const bucket = Math.max(0, Math.ceil(Math.log(Math.max(ms, 0.01) / 0.01) / GROWTH));
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#total += 1;
    this.#max = Math.max(this.#max, ms);
  }

  /** The upper edge of the bucket that holds the quantile, in milliseconds. */
  quantile(q: number): number {
    let seen = 0;
    for (let bucket = 0; bucket < this.#counts.length; bucket += 1) {
      seen += this.#counts[bucket] ?? 0;
      if (seen > 0 && seen >= q * this.#total) return Math.min(this.#max, 0.01 * Math.exp(bucket * GROWTH));
    }
    return 0;
  }

  report(): LatencyReport {
    const round = (ms: number): number => Math.round(ms * 100) / 100;
    const [p50, p95, p99] = [0.5, 0.95, 0.99].map((q) => round(this.quantile(q))) as [number, number, number];
    return { p50, p95, p99, max: round(this.#max) };
  }
}

export class Tally {
  connectionsOpened = 0;
  slowConnects = 0;
  announcedCloses = 0;
  sent = 0;
  #counts = { answered: 0, ok: 0, clientErrors: 0, failed: 0, lost: 0, notSent: 0 };
  #lostBy: Partial<Record<LostReason, number>> = {};
  #firstLost: KindReport['firstLost'] = [];
  #status: Record<string, number> = {};
  #versions: Record<string, number> = {};
  #latency = new Histogram();

  /** Times in milliseconds since the run's start. */
  record(
    outcome: Outcome,
    scheduledMs: number,
    nowMs: number,
    headers: { app: string; version: string },
  ): void {
    if (outcome.kind === 'not-sent') {
      this.#counts.notSent += 1;
    } else if (outcome.kind === 'lost') {
      this.#lose(outcome.reason, outcome.detail, scheduledMs, nowMs);
    } else if (outcome.kind === 'answered') {
      const { status, headers: received } = outcome.answer;
      this.#counts.answered += 1;
      this.#status[status] = (this.#status[status] ?? 0) + 1;
      this.#latency.add(nowMs - scheduledMs);
      if (!received.has(headers.app)) {
        const server = received.get('server') ?? 'unknown server';
        return this.#lose(
          'not-application',
          `${status} without ${headers.app}, ${server}`,
          scheduledMs,
          nowMs,
        );
      }
      const version = received.get(headers.version);
      if (version !== undefined) this.#versions[version] = (this.#versions[version] ?? 0) + 1;
      this.#counts[status >= 500 ? 'failed' : status >= 400 ? 'clientErrors' : 'ok'] += 1;
    }
  }

  counts(): Counts {
    const { ok, clientErrors, failed, lost, notSent } = this.#counts;
    return {
      sent: this.sent,
      ...this.#counts,
      pending: this.sent - ok - clientErrors - failed - lost - notSent,
    };
  }

  report(): KindReport {
    return {
      ...this.counts(),
      lostBy: { ...this.#lostBy },
      firstLost: [...this.#firstLost],
      status: { ...this.#status },
      versions: { ...this.#versions },
      latencyMs: this.#latency.report(),
      connectionsOpened: this.connectionsOpened,
      slowConnects: this.slowConnects,
      announcedCloses: this.announcedCloses,
    };
  }

  #lose(reason: LostReason, detail: string, scheduledMs: number, nowMs: number): void {
    this.#counts.lost += 1;
    this.#lostBy[reason] = (this.#lostBy[reason] ?? 0) + 1;
    if (this.#firstLost.length < FIRST_LOST) {
      this.#firstLost.push({
        scheduledMs: Math.round(scheduledMs),
        lostMs: Math.round(nowMs),
        reason,
        detail,
      });
    }
  }
}
