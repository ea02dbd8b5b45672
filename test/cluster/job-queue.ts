// A queue of jobs for the workers of server/worker.go, which keeps who took and finished what, and when a scheduler ran.

import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { watch } from './api.ts';
import type { Access } from './kubeconfig.ts';
import { nodeAddress } from './place.ts';

export interface Job {
  id: string;
  milliseconds: number;
  /** Everybody who took it, and who finished it: pods, with their versions. */
  taken: { by: string; version: string }[];
  done: { by: string; version: string }[];
}

export interface JobQueue {
  /** As pods reach it. */
  readonly url: string;
  readonly jobs: readonly Job[];
  /** Signs of life of schedulers, in their order. */
  readonly beats: readonly { by: string; version: string; at: number }[];
  add(milliseconds: number): void;
  stop(): void;
}

export async function startJobQueue(): Promise<JobQueue> {
  const jobs: Job[] = [];
  const waiting: Job[] = [];
  const beats: { by: string; version: string; at: number }[] = [];
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://queue.test');
    const who = { by: searchParams.get('by') ?? '', version: searchParams.get('version') ?? '' };
    let answer = '';
    if (pathname === '/take') {
      const job = waiting.shift();
      job?.taken.push(who);
      if (job !== undefined) answer = `${job.id} ${job.milliseconds}ms`;
    } else if (pathname === '/done') {
      jobs.find(({ id }) => id === searchParams.get('id'))?.done.push(who);
    } else if (pathname === '/beat') {
      beats.push({ ...who, at: performance.now() });
    }
    response.end(answer);
  });
  server.listen(0, nodeAddress);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${nodeAddress}:${port}`,
    jobs,
    beats,
    add(milliseconds) {
      const job: Job = { id: `job-${jobs.length + 1}`, milliseconds, taken: [], done: [] };
      jobs.push(job);
      waiting.push(job);
    },
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}

interface Pod {
  metadata: { name: string };
  status?: { phase?: string };
}

export interface PodCount {
  /** The most pods that there were at once, the ones that are ending counted. */
  most(): number;
  readonly problems: readonly string[];
  stop(): void;
}

/** Counts the pods of an application, from when they are made until they have ended. */
export async function countPods(access: Access, namespace: string, app: string): Promise<PodCount> {
  const there = new Set<string>();
  const problems: string[] = [];
  let most = 0;
  const stop = await watch<Pod>(
    access,
    `/api/v1/namespaces/${namespace}/pods?labelSelector=${encodeURIComponent(`app=${app}`)}`,
    ({ type, object: { metadata, status } }) => {
      const hasEnded = status?.phase === 'Failed' || status?.phase === 'Succeeded';
      if (type === 'DELETED' || hasEnded) there.delete(metadata.name);
      else there.add(metadata.name);
      most = Math.max(most, there.size);
      if (there.size > 1) problems.push(`at once: ${[...there].join(', ')}`);
    },
    (cause) => problems.push(String(cause)),
  );
  return { most: () => most, problems, stop };
}
