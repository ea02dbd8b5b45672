// Whether a Service has ready endpoints at every moment, as its EndpointSlices say.

import { watch } from './api.ts';
import type { Access } from './kubeconfig.ts';

interface EndpointSlice {
  metadata: { name: string };
  endpoints?: { conditions?: { ready?: boolean }; targetRef?: { name?: string } }[] | null;
}

export interface EndpointWatch {
  /** Ready endpoints now, by the names of their pods. */
  ready(): string[];
  /** Everything seen that must not be: a moment without a ready endpoint. */
  readonly problems: readonly string[];
  /** Changes that were seen. */
  readonly changes: number;
  /** The fewest that were ready at any change. */
  readonly least: number;
  stop(): void;
}

/**
 * Begins once so many endpoints are ready, which is later than that their pods are: the slices have a controller of their own. Rejects
 * when that is not within `timeoutMs`.
 */
export async function watchEndpoints(
  access: Access,
  namespace: string,
  service: string,
  { from = 1, timeoutMs = 30_000 } = {},
): Promise<EndpointWatch> {
  const slices = new Map<string, EndpointSlice>();
  const problems: string[] = [];
  let changes = 0;
  let least = Number.POSITIVE_INFINITY;
  // Unknown counts as ready (discovery/v1).
  const ready = (): string[] =>
    [...slices.values()].flatMap(({ endpoints }) =>
      (endpoints ?? []).flatMap(({ conditions, targetRef }) =>
        conditions?.ready === false ? [] : [targetRef?.name ?? ''],
      ),
    );
  const first = Promise.withResolvers<void>();
  const selector = encodeURIComponent(`kubernetes.io/service-name=${service}`);
  const stop = await watch<EndpointSlice>(
    access,
    `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices?labelSelector=${selector}`,
    ({ type, object }) => {
      const { name } = object.metadata;
      if (type === 'DELETED') slices.delete(name);
      else slices.set(name, object);
      const count = ready().length;
      if (changes === 0 && count < from) return;
      first.resolve();
      changes += 1;
      least = Math.min(least, count);
      if (count === 0) problems.push(`no endpoint of ${service} was ready at change ${changes}`);
    },
    (cause) => {
      problems.push(String(cause));
      first.reject(cause);
    },
  );
  const late = setTimeout(
    () =>
      first.reject(
        new Error(`${ready().length} of ${from} endpoints of ${service} were ready after ${timeoutMs} ms`),
      ),
    timeoutMs,
  );
  try {
    await first.promise;
  } catch (cause) {
    stop();
    throw cause;
  } finally {
    clearTimeout(late);
  }
  return {
    ready,
    problems,
    get changes() {
      return changes;
    },
    get least() {
      return least;
    },
    stop,
  };
}
