import { DeployError, isRecord, messageOf } from '@deploy-actions/core';
import { type Severity, severityOf } from '@deploy-actions/findings';
import type { Advisory } from './advisory.ts';

export interface SeverityOptions {
  /** Address of the OSV interface, `https://api.osv.dev/v1`. */
  osv: string;
  signal: AbortSignal;
  /** Milliseconds for one answer; default 20 s. */
  timeout?: number;
}

/**
 * Rates advisories that have no severity by what GitHub's advisory of the same vulnerability says (`database_specific.severity` in the OSV
 * format). Without such an advisory they stay `unknown`. Throws `scan_failed` when the service does not answer: an advisory that it might
 * rate as critical is not let through as unrated.
 */
export async function rate(advisories: readonly Advisory[], options: SeverityOptions): Promise<Advisory[]> {
  const known = new Map<string, Severity>();
  const idOf = ({ ids }: Advisory) => ids.find((id) => id.startsWith('GHSA-'));
  const wanted = [
    ...new Set(
      advisories.filter(({ severity }) => severity === 'unknown').flatMap((each) => idOf(each) ?? []),
    ),
  ];
  // A few at a time: a public service is not to be flooded.
  const next = wanted.values();
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      for (const id of next) known.set(id, await severityFrom(id, options));
    }),
  );
  return advisories.map((advisory) =>
    advisory.severity === 'unknown'
      ? { ...advisory, severity: known.get(idOf(advisory) ?? '') ?? 'unknown' }
      : advisory,
  );
}

async function severityFrom(
  id: string,
  { osv, signal, timeout = 20_000 }: SeverityOptions,
): Promise<Severity> {
  const url = `${osv.replace(/\/$/, '')}/vulns/${encodeURIComponent(id)}`;
  try {
    const answer = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(timeout)]) });
    if (answer.status === 404) {
      await answer.body?.cancel();
      return 'unknown';
    }
    if (!answer.ok) throw new Error(`it answers ${answer.status}`);
    const said: unknown = await answer.json();
    const own = isRecord(said) ? said['database_specific'] : undefined;
    return isRecord(own) && typeof own['severity'] === 'string' ? severityOf(own['severity']) : 'unknown';
  } catch (cause) {
    if (signal.aborted) throw new DeployError('cancelled', 'Cancelled while asking for severities.');
    throw new DeployError(
      'scan_failed',
      `${new URL(url).host} did not say how severe ${id} is: ${messageOf(cause)}.`,
      {
        remedy:
          'Run it again, or do without with `severities: none`; then what is not rated counts as `unknown-counts-as` says.',
        cause,
      },
    );
  }
}
