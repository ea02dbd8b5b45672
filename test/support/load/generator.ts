// The open loop: request n is due at start + n / rate, whatever became of those before it, and its latency counts from
// then. So a server that stalls is seen to stall (no coordinated omission, after Gil Tene's "How NOT to Measure Latency").

import { openConnection, type Connection, type Outcome } from './connection.ts';
import type { Kind, LoadPlan, Target } from './options.ts';
import { Histogram, Tally, type Counts, type LoadReport } from './tally.ts';

const SLOW_CONNECT_MS = 1000;

export interface Generator {
  /** Requests scheduled from now on belong to this phase. A name used before continues that phase. */
  mark(name: string): void;
  snapshot(): LoadReport;
  /** Cheap totals per phase and kind, for progress. */
  progress(): { seconds: number; phase: string; phases: Record<string, Partial<Record<Kind, Counts>>> };
  /** Schedules no more; resolves when every request sent has ended, at most the answer time-out later. */
  stop(): Promise<LoadReport>;
  /** Resolves like {@link stop} when the duration is over. */
  readonly finished: Promise<LoadReport>;
}

interface Phase {
  name: string;
  from: number;
  tallies: Map<Kind, Tally>;
}

interface Stream {
  everyMs: number;
  kinds: readonly Kind[];
  next: number;
}

/** Starts at once. Only timers and sockets of this process are used. */
export function startGenerator(plan: LoadPlan): Generator {
  const origin = performance.now();
  const startedAt = new Date().toISOString();
  const now = (): number => performance.now() - origin;
  const lag = new Histogram();
  const total = new Map<Kind, Tally>();
  const phases: Phase[] = [];
  let phase = enterPhase(plan.phase);
  const pending = new Set<Promise<void>>();
  const send = createSenders(plan);
  const streams = createStreams(plan);
  const { promise: finished, resolve: finish } = Promise.withResolvers<LoadReport>();
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;

  function enterPhase(name: string): Phase {
    const known = phases.find((candidate) => candidate.name === name);
    if (known !== undefined) return known;
    const entered = { name, from: now() / 1000, tallies: new Map<Kind, Tally>() };
    phases.push(entered);
    return entered;
  }

  function sendDue(time: number): void {
    const until = Math.min(time, plan.durationMs);
    for (const stream of streams) {
      for (let due = stream.next * stream.everyMs; due < until; due = stream.next * stream.everyMs) {
        const kind = stream.kinds[stream.next % stream.kinds.length];
        stream.next += 1;
        if (kind === undefined) break;
        lag.add(now() - due);
        const request = perform(kind, due);
        pending.add(request);
        void request.finally(() => pending.delete(request));
      }
    }
  }

  async function perform(kind: Kind, due: number): Promise<void> {
    const tallies = [tallyOf(phase.tallies, kind), tallyOf(total, kind)];
    for (const tally of tallies) tally.sent += 1;
    const outcome = await send[kind](tallies);
    const headers = { app: plan.appHeader, version: plan.versionHeader };
    for (const tally of tallies) tally.record(outcome, due, now(), headers);
  }

  function tick(): void {
    const time = now(); // one reading for both, or what falls due between two would never be sent
    sendDue(time);
    if (time >= plan.durationMs) void stop();
    else timer = setTimeout(tick, 1);
  }

  function stop(): Promise<LoadReport> {
    if (!stopped) {
      stopped = true;
      clearTimeout(timer);
      void Promise.all(pending).then(() => {
        send.close();
        finish(report());
      });
    }
    return finished;
  }

  function report(): LoadReport {
    return {
      startedAt,
      seconds: now() / 1000,
      rate: plan.rate,
      inFlightPerSecond: plan.kinds.includes('inflight') ? plan.inFlightPerSecond : 0,
      lagMs: lag.report(),
      phases: phases.map(({ name, from, tallies }) => ({
        name,
        from,
        kinds: each(tallies, (t) => t.report()),
      })),
      total: each(total, (tally) => tally.report()),
    };
  }

  tick();
  return {
    mark(name) {
      if (!stopped) sendDue(now()); // what was due before the mark belongs to the phase before it
      phase = enterPhase(name);
    },
    snapshot: report,
    progress: () => ({
      seconds: now() / 1000,
      phase: phase.name,
      phases: Object.fromEntries(phases.map(({ name, tallies }) => [name, each(tallies, (t) => t.counts())])),
    }),
    stop,
    finished,
  };
}

function createStreams(plan: LoadPlan): Stream[] {
  const steady = plan.kinds.filter((kind) => kind !== 'inflight');
  const streams: Stream[] = [];
  if (steady.length > 0) streams.push({ everyMs: 1000 / plan.rate, kinds: steady, next: 0 });
  if (plan.kinds.includes('inflight')) {
    streams.push({ everyMs: 1000 / plan.inFlightPerSecond, kinds: ['inflight'], next: 0 });
  }
  return streams;
}

type Sender = (tallies: readonly Tally[]) => Promise<Outcome>;

function createSenders(plan: LoadPlan): Record<Kind, Sender> & { close(): void } {
  const idle: Connection[] = [];
  let pooled = 0;
  const post = encode('POST', plan.postUrl, plan, 'keep-alive');

  async function sendOnPool(tallies: readonly Tally[]): Promise<Outcome> {
    // Connections are used in turn, so that each is idle equally long; the pool is filled before any is used again.
    while (pooled >= plan.connections) {
      const connection = idle.shift();
      if (connection === undefined) break;
      const outcome = await connection.send(post, plan.timeoutMs);
      if (outcome.kind !== 'announced') return release(connection, outcome, tallies);
      pooled -= 1;
      for (const tally of tallies) tally.announcedCloses += 1;
    }
    pooled += 1;
    const opened = await open(plan.postUrl, tallies);
    if ('failure' in opened) {
      pooled -= 1;
      return opened.failure;
    }
    return release(opened, await opened.send(post, plan.timeoutMs), tallies);
  }

  function release(connection: Connection, outcome: Outcome, tallies: readonly Tally[]): Outcome {
    if (connection.reusable && pooled <= plan.connections) {
      idle.push(connection);
    } else {
      pooled -= 1;
      if (!connection.reusable && outcome.kind === 'answered') {
        for (const tally of tallies) tally.announcedCloses += 1;
      }
      connection.close();
    }
    return outcome;
  }

  const once =
    (target: Target, bytes: Buffer): Sender =>
    async (tallies) => {
      const opened = await open(target, tallies);
      if ('failure' in opened) return opened.failure;
      const outcome = await opened.send(bytes, plan.timeoutMs);
      opened.close();
      return outcome;
    };

  const long = plan.inFlightUrl ?? plan.url;
  return {
    new: once(plan.url, encode(plan.method, plan.url, plan, 'close')),
    inflight: once(long, encode('GET', long, plan, 'close')),
    'keepalive-post': sendOnPool,
    close: () => idle.forEach((connection) => connection.close()),
  };
}

async function open(target: Target, tallies: readonly Tally[]): Promise<Connection | { failure: Outcome }> {
  const opened = await openConnection(target);
  if ('failure' in opened) return opened;
  for (const tally of tallies) {
    tally.connectionsOpened += 1;
    if (opened.connectMs > SLOW_CONNECT_MS) tally.slowConnects += 1;
  }
  return opened.connection;
}

function encode(method: string, target: Target, plan: LoadPlan, connection: string): Buffer {
  const body = method === 'POST' ? plan.body : '';
  const lines = [
    `${method} ${target.path} HTTP/1.1`,
    `Host: ${target.authority}`,
    `Connection: ${connection}`,
  ];
  if (method === 'POST') {
    lines.push(`Content-Type: ${plan.contentType}`, `Content-Length: ${Buffer.byteLength(body)}`);
  }
  for (const [name, value] of Object.entries(plan.headers)) lines.push(`${name}: ${value}`);
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`);
}

function tallyOf(tallies: Map<Kind, Tally>, kind: Kind): Tally {
  const known = tallies.get(kind);
  if (known !== undefined) return known;
  const tally = new Tally();
  tallies.set(kind, tally);
  return tally;
}

function each<T>(tallies: Map<Kind, Tally>, view: (tally: Tally) => T): Partial<Record<Kind, T>> {
  return Object.fromEntries([...tallies].map(([kind, tally]) => [kind, view(tally)])) as Partial<
    Record<Kind, T>
  >;
}
