import { type KubernetesClient, resources } from '@deploy-actions/kubernetes';

/** The least number of ready endpoints that a Service has had, as the API server told it. */
export function watchEndpoints(
  admin: KubernetesClient,
  service: string,
): { least(): number; end(): Promise<void> } {
  const controller = new AbortController();
  let least = Number.POSITIVE_INFINITY;
  const query = { labelSelector: `kubernetes.io/service-name=${service}` };
  const done = (async () => {
    for await (const slices of admin.follow(resources.endpointSlices, query, controller.signal)) {
      const ready = slices.flatMap(({ endpoints }) =>
        (endpoints ?? []).filter(({ conditions }) => conditions?.ready !== false),
      );
      least = Math.min(least, ready.length);
    }
  })();
  return {
    least: () => least,
    async end() {
      controller.abort();
      await done;
    },
  };
}
