/** How a deployment ended, for people who did not watch it. */
export interface Notification {
  app: string;
  environment: string;
  /** The version that was to be released. */
  version: string;
  /** As in the output `result`. */
  result: string;
  /** Whether `result` is a good one. */
  good: boolean;
  /** It went well, after the deployment before it had not. */
  recovered: boolean;
  reasonCode: string;
  message: string;
  /** What to do next, when it did not go well. */
  remedy?: string;
  /** The version that has the traffic now; empty when that is not known. */
  serving: string;
  /** The page of the run; empty outside of a workflow. */
  run: string;
  actor: string;
}

export const occasions = ['failure', 'change', 'always'] as const;
export type Occasion = (typeof occasions)[number];

/**
 * Whether an ending is one to tell of: `failure` is all that is not good, and the first good one after it; `change`
 * leaves out what changed nothing; `always` leaves out nothing.
 */
export function isWanted(
  on: Occasion,
  { good, recovered, result }: Pick<Notification, 'good' | 'recovered' | 'result'>,
): boolean {
  switch (on) {
    case 'always':
      return true;
    case 'change':
      return result !== 'unchanged';
    case 'failure':
      return !good || recovered;
  }
}

/** `❌ helpdesk 1.4.2 to production: rolled-back` */
export function headlineOf({ app, version, environment, result, good, recovered }: Notification): string {
  const mark = good ? '✅' : result === 'cancelled' ? '⏹️' : '❌';
  return `${mark} ${app} ${version} to ${environment}: ${result}${recovered ? ' (recovered)' : ''}`;
}
