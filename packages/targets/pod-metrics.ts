import { DeployError } from '@deploy-actions/core';
import {
  findColours,
  findSharers,
  hasLabels,
  type KubernetesClient,
  labelsOf,
  resources,
  selectorOf,
  selectorQuery,
} from '@deploy-actions/kubernetes';
import type { GroupMember } from '@deploy-actions/metrics';
import { targetPortOf } from '@deploy-actions/platforms';
import type { PodMetrics } from './pod-endpoint.ts';

const requestTimeout = 5_000;

/** Asks the pods of a Service's slots through the API server, which alone need be reachable. */
export function podMetricsOf(
  client: KubernetesClient,
  options: { service: string; slotLabel: string | undefined },
): PodMetrics {
  return ({ port, path }, slot) =>
    async (signal) => {
      const [service, { items }] = await Promise.all([
        client.get(resources.services, options.service, signal),
        client.list(resources.deployments, {}, signal),
      ]);
      const selector = selectorOf(service);
      const isShared = items.filter((one) => hasLabels(labelsOf(one), selector)).length > 1;
      const { base, label, deployments } = (isShared ? findSharers : findColours)(
        service,
        items,
        options.slotLabel,
      );
      if (!deployments.has(slot)) {
        throw new DeployError(
          'invalid_input',
          `There is no slot "${slot}" behind Service ${options.service}.`,
          {
            remedy: `Slots are the values of label ${label}: ${[...deployments.keys()].join(', ')}.`,
          },
        );
      }
      const pods = await client.list(
        resources.pods,
        { labelSelector: selectorQuery({ ...base, [label]: slot }) },
        signal,
      );
      const [servicePort] = service.spec.ports ?? [];
      return pods.items
        .filter(
          ({ metadata, status }) =>
            metadata.deletionTimestamp === undefined &&
            status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') ===
              true,
        )
        .map((pod): GroupMember => {
          const { name } = pod.metadata;
          return {
            name,
            async read(reading) {
              const number = port ?? (servicePort === undefined ? undefined : targetPortOf(pod, servicePort));
              if (number === undefined) {
                throw new DeployError(
                  'metrics_unavailable',
                  `${name} has no port that Service ${options.service} leads to`,
                );
              }
              const { status, headers, body } = await client.askPod(name, number, path, {
                timeout: requestTimeout,
                signal: reading,
              });
              const contentType = headers['content-type'];
              return {
                status,
                contentType: typeof contentType === 'string' ? contentType : '',
                text: body,
                at: client.now() ?? Date.now(),
              };
            },
          };
        });
    };
}
