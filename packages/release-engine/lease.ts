import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import {
  canonicalJson,
  DeployError,
  formatDuration,
  isRecord,
  type Log,
  messageOf,
  sleep,
} from '@deploy-actions/core';
import type { RunIdentity } from './journal.ts';
import type { Fence, Pace, StateStore } from './ports.ts';

const leaseKey = 'lease';

/** For a store that costs nothing to be asked. */
const defaultPace: Pace = { ttl: 30_000, poll: 500 };

/** What tells whether the process that holds a lease still runs; `scope` says who can answer. */
export interface ProcessIdentity {
  /** Two processes see each other's ids only where this is equal: boot and pid namespace. Empty: nobody can tell. */
  scope: string;
  pid: number;
  startTime: string;
}

export type LeaseHolder = RunIdentity & { process: ProcessIdentity };

interface LeaseDocument {
  holder: LeaseHolder;
  /** Milliseconds without a heartbeat after which it may be taken over. */
  ttl: number;
  acquiredAt: string;
  /** Of this one acquisition: what is read back is ours by this alone. */
  nonce: string;
}

export interface LeaseOptions {
  store: StateStore;
  run: RunIdentity;
  process: ProcessIdentity;
  /** False only when it is known that the holder has ended; undefined when that cannot be known from here. */
  isAlive(holder: LeaseHolder): boolean | undefined | Promise<boolean | undefined>;
  /** Milliseconds; default: by the pace of the store. */
  ttl?: number;
  /** Milliseconds to wait for another holder before giving up. */
  wait: number;
  signal: AbortSignal;
  log: Log;
}

export interface Lease {
  readonly fence: Fence;
  /**
   * Gives it back; does nothing when it has been taken over. Never throws: a lease that cannot be given back expires,
   * and says nothing about what was done under it.
   */
  release(): Promise<void>;
}

/** Whether reading the lease again may help: an outage passes, a refusal or what cannot be understood does not. */
function mayPass(thrown: unknown): boolean {
  return !(thrown instanceof DeployError) || thrown.reasonCode === 'unreachable';
}

function asLease(value: unknown): LeaseDocument | null {
  // Only this module writes the key, and the store refuses other schema versions.
  return isRecord(value) && isRecord(value['holder']) ? (value as unknown as LeaseDocument) : null;
}

export function describeRun(run: RunIdentity): string {
  const by = run.actor === '' ? '' : ` of ${run.actor}`;
  return run.url === '' ? `run ${run.id}${by}` : `run ${run.id}${by} (${run.url})`;
}

const ttlOf = ({ ttl, store }: LeaseOptions): number => ttl ?? (store.pace ?? defaultPace).ttl;

function isConflict(thrown: unknown): boolean {
  return thrown instanceof DeployError && thrown.reasonCode === 'state_conflict';
}

/** Why a lease may be taken from its holder; undefined when it may not. */
async function mayBeTaken(
  options: LeaseOptions,
  lease: LeaseDocument,
  version: number,
): Promise<string | undefined> {
  if ((await options.isAlive(lease.holder)) === false) return 'it has ended';
  try {
    const age = await options.store.age(leaseKey, version);
    return age > lease.ttl ? `it has given no sign of life for ${formatDuration(age)}` : undefined;
  } catch (thrown) {
    // It changed hands since it was read.
    if (isConflict(thrown)) return undefined;
    throw thrown;
  }
}

/**
 * Takes the lease of an environment: one compare-and-swap on the store, whose version number is the fencing token.
 * Waits for a living holder up to `wait`, then throws `lock_held` with the holder's run.
 */
export async function acquireLease(options: LeaseOptions): Promise<Lease> {
  const { store, log } = options;
  const { poll } = store.pace ?? defaultPace;
  const start = performance.now();
  for (;;) {
    const { value, version } = await store.read(leaseKey);
    const held = asLease(value);
    const why = held === null ? 'free' : await mayBeTaken(options, held, version);
    if (why !== undefined) {
      const taken = await take(options, version);
      if (taken !== undefined) {
        if (held !== null) log.warning(`Took over the lease of ${describeRun(held.holder)}: ${why}.`);
        return taken;
      }
      continue;
    }
    const elapsed = performance.now() - start;
    if (held !== null && elapsed >= options.wait) {
      throw new DeployError(
        'lock_held',
        `${describeRun(held.holder)} holds the lease in ${store.location} since ${held.acquiredAt}; waited ${formatDuration(elapsed)}.`,
        { remedy: 'Wait for that run to end, cancel it, or give `lock-timeout` more time.' },
      );
    }
    log.progress({
      what: `waiting for ${held === null ? 'the lease' : describeRun(held.holder)}`,
      elapsed,
      remaining: options.wait - elapsed,
    });
    await sleep(Math.min(poll, Math.max(1, options.wait - elapsed)), options.signal, 'waiting for the lease');
  }
}

/** Undefined when somebody else was faster. */
async function take(options: LeaseOptions, expected: number): Promise<Lease | undefined> {
  const { store } = options;
  const document: LeaseDocument = {
    holder: { ...options.run, process: options.process },
    ttl: ttlOf(options),
    acquiredAt: new Date().toISOString(),
    nonce: randomUUID(),
  };
  const asked = performance.now();
  let token: number;
  try {
    token = await store.write(leaseKey, document, expected);
  } catch (thrown) {
    const now = await store.read(leaseKey).catch(() => undefined);
    if (now === undefined) throw thrown;
    // Perhaps it was the answer that got lost, not the write.
    if (canonicalJson(now.value) !== canonicalJson(document)) {
      // A store may call it a conflict for reasons of its own: nobody was faster while the version is the same.
      if (isConflict(thrown) && now.version !== expected) return undefined;
      throw thrown;
    }
    token = now.version;
  }
  return hold(options, token, asked);
}

/**
 * A lease that was taken. It is relied on for `ttl` after the last renewal that was begun and succeeded, by the
 * monotonic clock: from then on others may take it, so it is lost even where nobody did. A store that cannot be read
 * is asked again for as long.
 */
function hold(options: LeaseOptions, token: number, asked: number): Lease {
  const { store, log } = options;
  const ttl = ttlOf(options);
  let renewed = asked;
  let failures = 0;
  const isTrusted = () => performance.now() - renewed < ttl;

  const heartbeat = setInterval(() => {
    // Without trust it is left to expire.
    if (!isTrusted()) return clearInterval(heartbeat);
    const began = performance.now();
    store.touch(leaseKey, token).then(
      () => {
        renewed = Math.max(renewed, began);
        failures = 0;
      },
      (thrown: unknown) => {
        failures += 1;
        if (failures === 1) log.warning(`The lease could not be renewed: ${messageOf(thrown)}`);
      },
    );
  }, ttl / 3);
  heartbeat.unref();

  return {
    fence: {
      token,
      async check() {
        let failure: unknown;
        for (let pause = 50; isTrusted(); pause = Math.min(pause * 2, 1_000)) {
          try {
            const { value, version } = await store.read(leaseKey);
            if (version !== token) throw lost(store.location, asLease(value)?.holder);
            if (isTrusted()) return;
          } catch (thrown) {
            if (!mayPass(thrown)) throw thrown;
            failure = thrown;
            await delay(pause);
          }
        }
        throw new DeployError(
          'lock_lost',
          `The lease in ${store.location} could not be renewed for ${formatDuration(ttl)}, so another run may take it; this run writes nothing more.${failure === undefined ? '' : ` Last error: ${messageOf(failure)}`}`,
          {
            remedy: 'See why the state store could not be reached, then run the action again.',
            cause: failure,
          },
        );
      },
    },
    async release() {
      clearInterval(heartbeat);
      try {
        await store.write(leaseKey, null, token);
      } catch (thrown) {
        // Somebody else holds it by now, unless the store calls something else a conflict.
        const now = isConflict(thrown) ? await store.read(leaseKey).catch(() => undefined) : undefined;
        if (now !== undefined && now.version !== token) return;
        log.warning(
          `The lease could not be given back; it expires by itself in ${formatDuration(ttl)}: ${messageOf(thrown)}`,
        );
      }
    },
  };
}

function lost(location: string, holder: RunIdentity | undefined): DeployError {
  return holder === undefined
    ? new DeployError(
        'lock_lost',
        `The lease in ${location} was taken from this run, which writes nothing more; nobody holds it now.`,
        { remedy: 'Somebody unlocked the environment; the audit says who and why.' },
      )
    : new DeployError(
        'lock_lost',
        `The lease in ${location} was taken over by ${describeRun(holder)}; this run writes nothing more.`,
        { remedy: 'Look at that run: it decides what serves now.' },
      );
}

/** A lease that somebody holds, as others see it. */
export interface HeldLease {
  holder: LeaseHolder;
  acquiredAt: string;
  /** Milliseconds since its holder gave a sign of life, and without one after which it may be taken. */
  age: number;
  ttl: number;
  /** What `breakLease` compares. */
  version: number;
}

/** Null when nobody holds it. */
export async function readLease(store: StateStore): Promise<HeldLease | null> {
  for (let number = 1; ; number += 1) {
    const { value, version } = await store.read(leaseKey);
    const held = asLease(value);
    if (held === null) return null;
    try {
      return { ...held, version, age: await store.age(leaseKey, version) };
    } catch (thrown) {
      // It changed hands since it was read.
      if (!isConflict(thrown) || number >= 5) throw thrown;
    }
  }
}

/** Takes the lease from its holder, whose next write is refused. Throws `state_conflict` when it changed hands meanwhile. */
export async function breakLease(store: StateStore, held: HeldLease): Promise<void> {
  await store.write(leaseKey, null, held.version);
}
