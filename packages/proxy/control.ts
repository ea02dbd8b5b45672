import { canonicalJson } from '@deploy-actions/core';
import type { Target } from '@deploy-actions/release-engine';
import type { ProxyConfig } from './config.ts';
import { parseTargets, problemsOfTargets } from './targets.ts';

/** The answer to a writer. Only `done` changed anything. */
export type Outcome =
  | { kind: 'done' }
  | { kind: 'deposed'; fence: number }
  | { kind: 'conflict' }
  | { kind: 'invalid'; problems: string[] };

/** The one writer of the configuration. */
export interface Control {
  config(): ProxyConfig;
  /** One conditional write: compares fence and version, saves, puts in force. Rejects when it cannot be saved. */
  setTargets(targets: unknown, fence: number, expected: number): Promise<Outcome>;
  /** From now on a writer with a lower token is refused. */
  raiseFence(fence: number): Promise<Outcome>;
  /** Resolves when the last write is done; those that come later are rejected. */
  stop(): Promise<void>;
}

/**
 * Writes one after the other; each is on the disk before it is in force and before it is answered, so that a proxy
 * that is killed at any moment serves after its restart what it had told anybody.
 */
export function createControl(
  initial: ProxyConfig,
  save: (config: ProxyConfig) => Promise<void>,
  putInForce: (targets: Target[]) => void,
): Control {
  let config = initial;
  let last: Promise<unknown> = Promise.resolve();
  let stopped = false;

  function oneAtATime<T>(write: () => Promise<T>): Promise<T> {
    if (stopped) return Promise.reject(new Error('the proxy is ending'));
    const result = last.then(write);
    last = result.catch(() => {});
    return result;
  }

  async function commit(next: ProxyConfig): Promise<Outcome> {
    await save(next);
    config = next;
    putInForce(next.targets);
    return { kind: 'done' };
  }

  return {
    config: () => config,

    setTargets: (value, fence, expected) =>
      oneAtATime(async () => {
        if (fence < config.fence) return { kind: 'deposed', fence: config.fence };
        if (expected !== config.version) return { kind: 'conflict' };
        const targets = parseTargets(value);
        if (targets === undefined) return { kind: 'invalid', problems: problemsOfTargets(value) };
        const same = canonicalJson(targets) === canonicalJson(config.targets);
        if (same && fence === config.fence) return { kind: 'done' };
        return commit({ ...config, targets, fence, version: config.version + (same ? 0 : 1) });
      }),

    raiseFence: (fence) =>
      oneAtATime(async () => {
        if (fence < config.fence) return { kind: 'deposed', fence: config.fence };
        if (fence === config.fence) return { kind: 'done' };
        return commit({ ...config, fence });
      }),

    async stop() {
      stopped = true;
      await last;
    },
  };
}
