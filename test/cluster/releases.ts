// A release by the engine on the real cluster: platform, router and state as an action opens them, with the least rights.

import { silentLog } from '@deploy-actions/core';
import { createKubernetesStore, type KubernetesClient, stateName } from '@deploy-actions/kubernetes';
import { createKubernetes, type KubernetesRelease } from '@deploy-actions/platforms';
import {
  acquireLease,
  deliver,
  type Delivery,
  type DeliveryEvent,
  isHolderAlive,
  thisProcess,
  type Wanted,
} from '@deploy-actions/release-engine';
import { createServiceSelector } from '@deploy-actions/routers';

export interface ReleaseOptions {
  client: KubernetesClient;
  service: string;
  image: string;
  keepPrevious?: boolean;
  watch?: number;
  readyTimeout?: number;
  strategy?: Wanted<KubernetesRelease>['strategy'];
  /** Milliseconds that nodes get to follow; default: the router's. */
  margin?: number;
  signal?: AbortSignal;
  onEvent?(event: DeliveryEvent): void;
}

export function releaseOf(image: string): KubernetesRelease {
  return {
    version: image.slice(image.lastIndexOf(':') + 1),
    images: [image],
    container: null,
    replicas: null,
  };
}

/** Takes the lease, releases, and gives it back. */
export async function release(options: ReleaseOptions): Promise<Delivery<KubernetesRelease>> {
  const { client, service, signal = new AbortController().signal } = options;
  const log = silentLog;
  const store = createKubernetesStore(client, stateName('service', service));
  const platform = createKubernetes({
    client,
    service,
    log,
    scope: { images: [options.image], container: null },
  });
  const margin = options.margin === undefined ? {} : { margin: options.margin };
  const router = createServiceSelector({ client, service, log, ...margin });
  const run = { id: `test-${process.pid}`, url: '', actor: '' };
  const lease = await acquireLease({
    store,
    run,
    process: thisProcess(),
    isAlive: isHolderAlive,
    wait: 0,
    signal,
    log,
  });
  try {
    return await deliver(
      lease,
      {
        strategy: options.strategy ?? 'blue-green',
        release: releaseOf(options.image),
        weights: [100],
        keepPrevious: options.keepPrevious ?? true,
      },
      {
        platform,
        router,
        store,
        log,
        signal,
        run,
        readyTimeout: options.readyTimeout ?? 60_000,
        verifyTimeout: 20_000,
        drainTimeout: 20_000,
        hold: () => Promise.resolve({ pass: true }),
        onEvent: (event) => options.onEvent?.(event),
      },
    );
  } finally {
    await lease.release();
  }
}
