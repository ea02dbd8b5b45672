import type { GroupMember } from '@deploy-actions/metrics';

/** Where pods have their metrics: the port of the Service where none is named. */
export interface PodEndpoint {
  port: number | undefined;
  path: string;
}

/** The ready pods of a slot, as they can be asked for their metrics. */
export type PodMetrics = (
  endpoint: PodEndpoint,
  slot: string,
) => (signal: AbortSignal) => Promise<GroupMember[]>;

/** Reads `pod:/metrics` and `pod:9100/metrics`; undefined for what has another form. */
export function parsePodEndpoint(text: string): PodEndpoint | undefined {
  const found = /^pod:(\d{1,5})?(\/[\x21-\x7e]*)$/.exec(text);
  if (found === null) return undefined;
  const [, port, path = ''] = found;
  return { port: port === undefined ? undefined : Number(port), path };
}
