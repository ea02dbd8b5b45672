// What can go wrong with a call, made to go wrong.

import type { Answer } from './routes/shared.ts';

export type Fault =
  /** Answers this in the place of what was asked for; nothing is done. */
  | { kind: 'answer'; answer: Answer }
  /** Cuts the connection: before the call takes effect, after it, or in the middle of the answer. */
  | { kind: 'cut'; effect: 'none' | 'done' | 'half-answered' }
  /** Answers so many milliseconds late; the call takes effect at once, or just before the answer. */
  | { kind: 'late'; milliseconds: number; effect: 'at-once' | 'late' };

export interface Injection {
  /** An operation (`POST /repos/{owner}/{repo}/check-runs`, `graphql updateRefs`), or a pattern of operations. */
  operation?: string | RegExp;
  /** Only the n-th call (from 1) that fits. */
  nth?: number;
  /** Only the n-th call (from 1) that fits, and all after it. */
  from?: number;
  /** Only the first so many calls that fit. */
  times?: number;
  fault: Fault;
}

const answer = (status: number, message: string, headers: Record<string, string> = {}): Fault => ({
  kind: 'answer',
  answer: {
    status,
    body: { message, documentation_url: 'https://docs.github.example/rest', status: String(status) },
    headers,
  },
});

/** The faults that GitHub and networks have, as GitHub words them. */
export const faults = {
  badCredentials: answer(401, 'Bad credentials'),
  missingPermission: answer(403, 'Resource not accessible by integration'),
  notFound: answer(404, 'Not Found'),
  conflict: answer(409, 'Conflict'),
  unprocessable: answer(422, 'Validation Failed'),
  serverError: answer(500, 'Server Error'),
  badGateway: answer(502, 'Server Error'),
  unavailable: answer(503, 'No server is currently available to service your request.'),
  secondaryLimit: (status: 403 | 429, retryAfter?: number): Fault =>
    answer(
      status,
      'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.',
      retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) },
    ),
  /** `resetAt` in seconds since 1970. */
  primaryLimit: (resetAt: number): Fault =>
    answer(403, 'API rate limit exceeded for installation.', {
      'x-ratelimit-remaining': '0',
      'x-ratelimit-reset': String(resetAt),
    }),
  cut: { kind: 'cut', effect: 'none' },
  cutAfterEffect: { kind: 'cut', effect: 'done' },
  cutInAnswer: { kind: 'cut', effect: 'half-answered' },
  late: (milliseconds: number): Fault => ({ kind: 'late', milliseconds, effect: 'at-once' }),
  lateEffect: (milliseconds: number): Fault => ({ kind: 'late', milliseconds, effect: 'late' }),
} as const satisfies Record<string, Fault | ((...all: never[]) => Fault)>;

/** Says for each call which fault it gets: the first injection that fits decides, the others count on. */
export function createInjections() {
  const injections: (Injection & { seen: number })[] = [];
  return {
    add(injection: Injection): void {
      injections.push({ ...injection, seen: 0 });
    },
    clear(): void {
      injections.length = 0;
    },
    choose(operation: string): Fault | undefined {
      let chosen: Fault | undefined;
      for (const injection of injections) {
        const { operation: wanted } = injection;
        if (typeof wanted === 'string' ? wanted !== operation : wanted?.test(operation) === false) continue;
        injection.seen += 1;
        if (injection.nth !== undefined && injection.nth !== injection.seen) continue;
        if (injection.from !== undefined && injection.seen < injection.from) continue;
        if (injection.times !== undefined && injection.seen > injection.times) continue;
        chosen ??= injection.fault;
      }
      return chosen;
    },
  };
}
