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

/** Begins with endpoints that are ready. */
export async function watchEndpoints(
  access: Access,
  namespace: string,
  service: string,
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
  const selector = encodeURIComponent(`kubernetes.io/service-name=${service}`);
  const stop = await watch<EndpointSlice>(
    access,
    `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices?labelSelector=${selector}`,
    ({ type, object }) => {
      const { name } = object.metadata;
      if (type === 'DELETED') slices.delete(name);
      else slices.set(name, object);
      changes += 1;
      const count = ready().length;
      least = Math.min(least, count);
      if (count === 0) problems.push(`no endpoint of ${service} was ready at change ${changes}`);
    },
    (cause) => problems.push(String(cause)),
  );
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
