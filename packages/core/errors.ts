import type { ReasonCode } from './reason-codes.ts';

/**
 * An error that a person can act on. `message` says what was wrong and where; `remedy` what is allowed or what
 * to do next; `reasonCode` is for workflows to branch on.
 */
export class DeployError extends Error {
  readonly reasonCode: ReasonCode;
  readonly remedy: string | undefined;
  /** Evidence for the report: last log lines, events, the answer of an API. Never secrets. */
  readonly details: string[];

  constructor(
    reasonCode: ReasonCode,
    message: string,
    options: { remedy?: string | undefined; details?: string[]; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'DeployError';
    this.reasonCode = reasonCode;
    this.remedy = options.remedy;
    this.details = options.details ?? [];
  }
}

/** The action was asked to stop. Thrown by waits when their signal aborts. */
export function cancelled(what: string): DeployError {
  return new DeployError('cancelled', `Cancelled while ${what}.`);
}

/** The message of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  if (thrown instanceof AggregateError && thrown.errors.length > 0) {
    return thrown.errors.map(messageOf).join('; ');
  }
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** Anything that was thrown, as an error that can be thrown again. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** The `code` of a system error (`ENOENT`, `EEXIST`, …), if it has one. */
export function codeOf(thrown: unknown): string | undefined {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string'
    ? thrown.code
    : undefined;
}

/** Runs a read and turns "no such file" into undefined. */
export async function orUndefinedIfMissing<T>(read: Promise<T>): Promise<T | undefined> {
  try {
    return await read;
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}
