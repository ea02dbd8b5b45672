// A stand-in for kubelet, for tests of what happens between the API server, its controllers and a release: a Node of its own, on
// which pods are ready some milliseconds after they are made and gone at once when they are deleted. Nothing runs in them. What
// asks them through the API server reaches one small server on the node's address, which answers 200 to everything.
//
// Only pods whose template names the Node are its own: it is closed to the scheduler.

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { ask, get, watch } from './api.ts';
import { adminAccess } from './cluster.ts';
import type { Access } from './kubeconfig.ts';
import { nodeAddress } from './place.ts';

interface Pod {
  metadata: { name: string; namespace: string; uid: string; deletionTimestamp?: string };
  spec: { containers: { name: string; image: string }[] };
  status?: { conditions?: { type: string; status: string }[] };
}

export interface StandIn {
  /** What a pod's template names to be here. */
  readonly nodeName: string;
  /** Of the server that answers for every pod. */
  readonly port: number;
  /** What it could not do so far. */
  readonly problems: readonly string[];
  /** Removes the Node. */
  stop(): Promise<void>;
}

const merge = { type: 'application/merge-patch+json' };
/** The controllers take a node for lost after 40 s without a sign of life. */
const signOfLife = 8_000;

const label = 'deploy-actions.dev/stand-in';

/** Nodes of stand-ins that were killed. */
async function removeLeftovers(admin: Access): Promise<void> {
  const { items } = (await get(admin, `/api/v1/nodes?labelSelector=${encodeURIComponent(label)}`)) as {
    items: { metadata: { name: string }; status?: { conditions?: { lastHeartbeatTime?: string }[] } }[];
  };
  for (const { metadata, status } of items) {
    const beat = Date.parse(status?.conditions?.[0]?.lastHeartbeatTime ?? '');
    if (Date.now() - beat > 60_000) await ask(admin, 'DELETE', `/api/v1/nodes/${metadata.name}`);
  }
}

/** `readyAfter`: milliseconds. */
export async function startStandIn({ readyAfter = 30 } = {}): Promise<StandIn> {
  const admin = await adminAccess();
  const nodeName = `stand-in-${randomBytes(4).toString('hex')}`;
  const node = `/api/v1/nodes/${nodeName}`;
  const problems: string[] = [];
  const server = createServer((_request, response) => response.end('well'));
  server.listen(0, nodeAddress);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  async function send(method: string, path: string, body?: unknown): Promise<void> {
    const { status, body: said } = await ask(admin, method, path, body, method === 'PATCH' ? merge : {});
    // Objects go away under it all the time.
    if (status >= 400 && status !== 404)
      problems.push(`${method} ${path}: ${status} ${JSON.stringify(said)}`);
  }

  function note(work: Promise<void>): void {
    work.catch((thrown: unknown) => problems.push(String(thrown)));
  }

  const beat = (): Promise<void> => {
    const now = new Date().toISOString();
    const ready = { type: 'Ready', status: 'True', reason: 'StandIn', lastHeartbeatTime: now };
    return send('PATCH', `${node}/status`, { status: { conditions: [ready] } });
  };
  await removeLeftovers(admin);
  await send('POST', '/api/v1/nodes', {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: nodeName, labels: { [label]: '' } },
    spec: { unschedulable: true, taints: [{ key: label, effect: 'NoSchedule' }] },
  });
  await beat();
  const beats = setInterval(() => note(beat()), signOfLife);

  const made = new Set<string>();
  const ended = new Set<string>();
  async function attend({ metadata, spec }: Pod): Promise<void> {
    const { namespace, name, uid, deletionTimestamp } = metadata;
    const path = `/api/v1/namespaces/${namespace}/pods/${name}`;
    if (deletionTimestamp !== undefined) {
      if (ended.has(uid)) return;
      ended.add(uid);
      return send('DELETE', path, {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        gracePeriodSeconds: 0,
        preconditions: { uid },
      });
    }
    if (made.has(uid)) return;
    made.add(uid);
    await delay(readyAfter);
    const now = new Date().toISOString();
    const types = ['Initialized', 'PodReadyToStartContainers', 'ContainersReady', 'Ready'];
    await send('PATCH', `${path}/status`, {
      metadata: { uid },
      status: {
        phase: 'Running',
        hostIP: nodeAddress,
        podIP: nodeAddress,
        podIPs: [{ ip: nodeAddress }],
        startTime: now,
        conditions: types.map((type) => ({ type, status: 'True', lastTransitionTime: now })),
        containerStatuses: spec.containers.map(({ name: container, image }) => ({
          name: container,
          image,
          imageID: image,
          ready: true,
          started: true,
          restartCount: 0,
          state: { running: { startedAt: now } },
        })),
      },
    });
  }

  const stopWatch = await watch<Pod>(
    admin,
    `/api/v1/pods?fieldSelector=spec.nodeName%3D${nodeName}`,
    ({ type, object }) => {
      if (type !== 'DELETED') note(attend(object));
    },
    (cause) => problems.push(String(cause)),
  );

  return {
    nodeName,
    port,
    problems,
    async stop() {
      clearInterval(beats);
      stopWatch();
      server.close();
      server.closeAllConnections();
      await send('DELETE', node);
    },
  };
}
