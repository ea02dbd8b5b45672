// Where the pods of a lane are: on a stand-in, which makes them ready at once, or on the real kubelet.

import { addServerImage } from './server-image.ts';
import { tagImage } from './images.ts';
import { imageStore } from './place.ts';
import type { StandIn } from './stand-in.ts';

const repository = 'acme/lane';

export const imageOf = (version: string): string => `${repository}:${version}`;
export const versionOf = (image: string | undefined): string => (image ?? '').replace(/^.*:/, '');

export interface Ground {
  /** On which the pods are asked. */
  port: number;
  template(labels: Record<string, string>, version: string): object;
}

export function onStandIn({ nodeName, port }: StandIn): Ground {
  return {
    port,
    template: (labels, version) => ({
      metadata: { labels },
      spec: {
        nodeName,
        containers: [{ name: 'server', image: imageOf(version), ports: [{ containerPort: port }] }],
      },
    }),
  };
}

/** Pods of the test server; versions from `v0` to this one can be pulled. All are the same but for their tag. */
export async function onKubelet(last: number): Promise<Ground> {
  const digest = await addServerImage({});
  for (let version = 0; version <= last; version += 1)
    await tagImage(imageStore, imageOf(`v${version}`), digest);
  const port = 8000;
  return {
    port,
    template: (labels, version) => ({
      metadata: { labels },
      spec: {
        terminationGracePeriodSeconds: 1,
        containers: [
          {
            name: 'server',
            image: imageOf(version),
            ports: [{ containerPort: port }],
            readinessProbe: { httpGet: { path: '/health/', port }, periodSeconds: 1 },
          },
        ],
      },
    }),
  };
}
