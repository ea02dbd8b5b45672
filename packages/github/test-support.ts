import { cancelled, type Log } from '@deploy-actions/core';
import {
  actionsBot,
  type GitHubDouble,
  type Permissions,
  presets,
  startGitHub,
} from '../../test/support/github/index.ts';
import { createGitHub, type GitHub, type GitHubOptions } from './client.ts';

/** Time that passes only while somebody sleeps. */
export function createClock(start = Date.UTC(2030, 0, 1)) {
  let now = start;
  const slept: number[] = [];
  return {
    now: () => now,
    slept,
    advance(milliseconds: number) {
      now += milliseconds;
    },
    async sleep(milliseconds: number, signal: AbortSignal, what = 'waiting') {
      if (signal.aborted) throw cancelled(what);
      slept.push(milliseconds);
      now += milliseconds;
    },
  };
}

export function createTestLog() {
  const lines: string[] = [];
  const add = (level: string) => (message: string) => void lines.push(`${level}: ${message}`);
  const log: Log = {
    info: add('info'),
    warning: add('warning'),
    debug: add('debug'),
    progress: ({ what, detail = '' }) => void lines.push(`progress: ${what}: ${detail}`),
  };
  return { log, lines, of: (level: string) => lines.filter((line) => line.startsWith(`${level}: `)) };
}

export interface Bench {
  double: GitHubDouble;
  clock: ReturnType<typeof createClock>;
  log: ReturnType<typeof createTestLog>;
  /** A client with a token of its own. */
  connect(options?: Partial<GitHubOptions> & { permissions?: Permissions }): GitHub;
  stop(): Promise<void>;
}

/** A GitHub and clients of it, on one clock of their own. */
export async function startBench(options: { enterprise?: boolean } = {}): Promise<Bench> {
  const clock = createClock();
  const double = await startGitHub({ now: clock.now, ...options });
  const log = createTestLog();
  return {
    double,
    clock,
    log,
    connect({ permissions = presets.write, ...more } = {}) {
      return createGitHub({
        token: double.token(permissions, actionsBot),
        apiUrl: double.apiUrl,
        graphqlUrl: double.graphqlUrl,
        repository: double.name,
        log: log.log,
        signal: new AbortController().signal,
        sleep: clock.sleep,
        random: () => 0,
        ...more,
      });
    },
    stop: () => double.stop(),
  };
}
