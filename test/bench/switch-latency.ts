import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { silentLog } from '@deploy-actions/core';
import type { Fence, Router, Target } from '@deploy-actions/release-engine';
import { createEmbeddedProxy, createNginx } from '@deploy-actions/routers';
import { freePort } from '../support/ports.ts';
import { observeNewConnections } from '../support/new-connections.ts';
import { nginxVersion, startNginx } from '../support/nginx.ts';
import { endProcessesWith } from '../support/processes.ts';
import { bestOf, medianOf, type Row } from './measure.ts';
import { dist } from './step.ts';

const rounds = 24;
/** Requests under way at any time, each on a connection of its own, one after the other. */
const probers = 4;
/** The old version must not answer again for this long. */
const quietTime = 400;
/** A router that still gives traffic to the old version then is broken. */
const patience = 10_000;

const fence: Fence = { token: 1, check: async () => {} };
const application = join(import.meta.dirname, '../support/static-server.ts');

/**
 * Milliseconds from the begin of the router's write until every new connection is answered by the new slot: the time at which
 * the first connection is opened after the last one that the old slot answered. Both versions run all the time.
 */
export async function switchLatency(): Promise<Row[]> {
  const rows: Row[] = [];
  const add = async (name: string, open: (address: string, folder: string) => Promise<Opened>) => {
    const times = await measure(open);
    const row = { measure: 'switch latency', unit: 'ms' as const };
    rows.push({ ...row, subject: name, best: bestOf(times), median: medianOf(times) });
    const worst = Math.max(...times);
    rows.push({ ...row, subject: `${name}, worst of ${rounds}`, best: worst, median: worst });
  };
  await add('embedded-proxy', async (address, folder) => {
    const command = [process.execPath, join(dist, 'bundle/proxy.mjs')];
    const stateDirectory = join(folder, 'proxy');
    const listen = address;
    const router = createEmbeddedProxy({ stateDirectory, listen, command, verifyPath: '/', log: silentLog });
    return { router, close: async () => {} };
  });
  const version = nginxVersion();
  if (version !== undefined) {
    await add(`nginx ${version}`, async (address, folder) => {
      const nginx = await startNginx(join(folder, 'nginx'), address);
      return { router: await createNginx(nginx.options), close: () => nginx.stop() };
    });
  }
  return rows;
}

interface Opened {
  router: Router;
  close(): Promise<void>;
}

async function measure(open: (address: string, folder: string) => Promise<Opened>): Promise<number[]> {
  const folder = await mkdtemp(join(tmpdir(), 'switch-latency-'));
  const port = await freePort();
  const blue = await startVersion('blue', folder);
  const green = await startVersion('green', folder);
  const { router, close } = await open(`127.0.0.1:${port}`, folder);
  try {
    const shareOf = (slot: string): Target[] => [
      { slot: 'blue', weight: slot === 'blue' ? 100 : 0, addresses: [blue] },
      { slot: 'green', weight: slot === 'green' ? 100 : 0, addresses: [green] },
    ];
    let traffic = await router.apply(shareOf('blue'), (await router.read()).version, fence);
    const times: number[] = [];
    // The first is not counted: what is done once only is no matter of switching.
    for (let round = 0; round <= rounds; round += 1) {
      const [to, from] = round % 2 === 0 ? ['green', 'blue'] : ['blue', 'green'];
      const observer = observeNewConnections({ port, loops: probers });
      try {
        await observer.answered(from);
        const start = performance.now();
        traffic = await router.apply(shareOf(to), traffic.version, fence);
        const settled = await observer.allTo(to, { quiet: quietTime, limit: patience });
        if (round > 0) times.push(Math.max(0, settled - start));
      } finally {
        await observer.stop();
      }
    }
    return times;
  } finally {
    await close();
    await endProcessesWith(folder, 1_000);
    await rm(folder, { recursive: true, force: true });
  }
}

/** Its address. It ends with everything else that works in the folder. */
async function startVersion(version: string, folder: string): Promise<string> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', application], {
    cwd: folder,
    env: { PATH: process.env['PATH'], VERSION: version, TERM: 'immediate' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const { listening } = JSON.parse(line) as { listening: number };
    return `127.0.0.1:${listening}`;
  }
  throw new Error(`the application of ${version} ended before it listened`);
}
