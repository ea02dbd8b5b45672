import type { Deadline } from '@deploy-actions/core';

/** A version that can be deployed. Platforms extend it with what they need; it is plain JSON and is journalled. */
export interface Release {
  version: string;
}

/** One copy of a slot's version. */
export interface Instance {
  /** `host:port` that a router on the same network reaches. */
  address: string;
  ready: boolean;
  /** Why it is not ready: the last probe's answer, an exit code. */
  reason?: string;
}

/** A place where one version runs beside others: blue, green, canary. */
export interface Slot<R extends Release = Release> {
  name: string;
  /** Null when nothing was ever deployed to it, or it was retired. */
  release: R | null;
  /** What `revisionOf` the platform says of its release: equal revisions need no deploy. */
  revision: string | null;
  /** How many instances it should have and how many of them are ready to serve. */
  wanted: number;
  ready: number;
  instances: Instance[];
  /**
   * Where a slot has several parts and they do not all run the same release: the revisions that some were given. Left by a
   * start that was cut off.
   */
  begun?: string[];
}

export type Slots<R extends Release = Release> = Slot<R>[];

export interface Readiness {
  ready: boolean;
  /** What is seen, for the progress line: `1 of 2 instances ready; 127.0.0.1:8002 answers 503`. */
  message: string;
}

/**
 * Proof of holding the lease. `token` grows with every new holder; a store that can compare it refuses a lower one
 * (`atomic`). `check` reads the lease again and throws `lock_lost` when somebody else holds it (`checked`); every
 * implementation calls it directly before each of its writes.
 */
export interface Fence {
  readonly token: number;
  check(): Promise<void>;
}

/**
 * What belongs to a version and has no traffic of its own, but works where that is: workers that take jobs from a queue, and
 * schedulers, of which there is one at any time. Every method is idempotent.
 */
export interface Followers {
  /** What `handOver` to the slot would do, a step a line; empty: nothing follows. Reads only. */
  plan(slot: string): Promise<string[]>;
  /**
   * Starts the workers of a slot beside those that work, and returns when they are ready. Asked before the slot gets traffic.
   * Throws as `ready`. Absent where there are none.
   */
  join?(slot: string, deadline: Deadline, fence: Fence, signal: AbortSignal): Promise<void>;
  /**
   * The slot's workers and schedulers are the only ones when it returns: its workers are started where they are not; those of
   * all other slots finish the jobs that they have and end; a scheduler of another slot is gone before its own starts.
   * `isWayBack`: workers that do not become ready keep the others from nothing.
   *
   * Throws as `ready`, and `drain_timeout` while a scheduler of another slot does not end: its own is not started then.
   */
  handOver(
    slot: string,
    isWayBack: boolean,
    deadline: Deadline,
    fence: Fence,
    signal: AbortSignal,
  ): Promise<void>;
}

/** Where versions run. Every method is idempotent: repeated after a kill it ends in the same state. */
export interface Platform<R extends Release = Release> {
  readonly name: string;
  /** What tells one release from another, by the release alone; default: the digest of all of it. Pure. */
  revisionOf?(release: R): string;
  /** Every slot as it is now. Slots with nothing in them are listed too. */
  observe(): Promise<Slots<R>>;
  /** Throws for a release that `deploy` would refuse. Asked before a release begins; touches nothing. */
  check?(slot: string, release: R): Promise<void>;
  /** Makes the slot run this release, replacing what is in it. Returns when started, not when ready. */
  deploy(slot: string, release: R, fence: Fence): Promise<void>;
  /**
   * Yields what is seen until the slot is ready (the last value has `ready: true`). Throws `start_failed` as soon as
   * it is known that it never will be (with the last log lines as details), `not_ready` at the deadline.
   */
  ready(slot: string, deadline: Deadline, signal: AbortSignal): AsyncIterable<Readiness>;
  scale(slot: string, replicas: number, fence: Fence): Promise<void>;
  /** Stops the slot gracefully and empties it. */
  retire(slot: string, fence: Fence): Promise<void>;
  /** Absent where a version is what has the traffic and nothing else. */
  readonly followers?: Followers;
}

export interface Target {
  slot: string;
  /** Integer share in percent; the weights of a traffic sum to 100. */
  weight: number;
  /** `host:port` of each instance. Empty only at weight 0. */
  addresses: string[];
}

/** Who gets the traffic. No targets: the router was never configured. */
export interface Traffic {
  targets: Target[];
  /** Opaque token of the configuration that was read; `apply` refuses when it is no longer current. */
  version: string;
  /** The router sends to whatever is ready in a slot: it knows no addresses, and none are compared. */
  bySlot?: boolean;
  /**
   * Where what is switched has several parts and they are on different slots, which a write to one after the other leaves when
   * it is cut off: which is where, and how that is mended by hand. Weights are then the shares of the parts.
   */
  apart?: { words: string; remedy: string };
}

export interface Capabilities {
  /** Arbitrary integer weights, or only all-or-nothing. */
  weights: boolean;
  /** Whether requests on kept-alive connections survive a change: `lossless`, or what is known to be lost. */
  keepAlive: 'lossless' | 'closes-idle';
  /** `atomic`: a deposed writer's write is refused by the store; `checked`: it is detected before and after. */
  fencing: 'atomic' | 'checked';
  /** Whether the router knows how many requests are in flight to a slot. */
  drain: boolean;
}

/** What the data plane did with the requests that were sent to see. */
export interface Observed {
  matches: boolean;
  /** Answers seen by slot. */
  answers: Record<string, number>;
  detail: string;
}

export interface Drained {
  complete: boolean;
  /** Requests still in flight when it returned; null where the router cannot count them. */
  inFlight: number | null;
  /** Milliseconds it took. */
  elapsed: number;
}

export interface Router {
  readonly name: string;
  readonly capabilities: Capabilities;
  read(): Promise<Traffic>;
  /**
   * Called once by whoever takes a lease, when the journal is its own and before anything is started or any traffic
   * moves: where fencing is atomic, the router refuses every earlier holder's writes from then on.
   */
  claim?(fence: Fence): Promise<void>;
  /**
   * Throws for weights that it cannot give, or what else stands in their way. Asked before a release begins; touches
   * nothing.
   */
  check?(weights: number[]): Promise<void>;
  /**
   * Where a slot's share is the number of its instances: starts those that the targets want beyond what is there, before
   * `apply` takes any away. Resolves with the slots that have to become ready first; throws as `apply` does.
   */
  grow?(targets: Target[], expected: string, fence: Fence): Promise<string[]>;
  /**
   * One conditional write. Throws `state_conflict` when `expected` is not the current version, `lock_lost` when the
   * fence is not valid any more, `router_rejected` when the configuration is refused (and then nothing changed).
   */
  apply(targets: Target[], expected: string, fence: Fence): Promise<Traffic>;
  /** Sends requests through the data plane until they follow the traffic, or the deadline passes (`matches: false`). */
  verify(traffic: Traffic, deadline: Deadline, signal: AbortSignal): Promise<Observed>;
  /**
   * Called every second while a version is watched: starts again what ended of the data plane, where nobody else does.
   * Changes no traffic.
   */
  revive?(signal: AbortSignal): Promise<void>;
  /** Waits until no request to the slot is in flight, or the deadline passes (`complete: false`). */
  drain(slot: string, deadline: Deadline, signal: AbortSignal): Promise<Drained>;
}

/** A document with its version number; version 0 means it does not exist. */
export interface Stored<T> {
  value: T | null;
  version: number;
}

/** Milliseconds. */
export interface Pace {
  /** After which a holder without a heartbeat counts as gone; it gives one every third of it. */
  ttl: number;
  /** Between two looks of a run that waits. */
  poll: number;
}

/**
 * Where journal, lease and ledger live: small JSON documents with compare-and-swap. `write` returns the new version,
 * or throws `state_conflict` when `expected` is no longer the version. `touch` renews a document's time without
 * changing it (a heartbeat) and does nothing when `version` is no longer current. `age` is in milliseconds by the
 * store's own clock.
 */
export interface StateStore {
  readonly location: string;
  /** How often it may be asked and renewed, where that costs; default: the lease's own. */
  readonly pace?: Pace;
  read(key: string): Promise<Stored<unknown>>;
  write(key: string, value: unknown, expected: number): Promise<number>;
  touch(key: string, version: number): Promise<void>;
  age(key: string, version: number): Promise<number>;
}
