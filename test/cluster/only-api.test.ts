// A release from where nothing but the API server can be reached: the actions run in a network namespace of their own, with one
// cable and no default route, at whose other end a relay passes connections to the API server. Pods are real.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { end, output } from '../support/command.ts';
import { createJob, type Job } from '../support/runner.ts';
import { kubeconfigOf } from './kubeconfig.ts';
import { publishServer } from './server-image.ts';
import { bothColours, openStage, type Stage } from './stage.ts';

/** Short, as names of interfaces are. */
const name = `only${process.pid % 100_000}`;
const [here, there] = ['192.0.2.241', '192.0.2.242'];
const far = `${name}b`;

let stage: Stage;
let folder: string;
let job: Job;
let relay: Server;
const open = new Set<Socket>();
/** Bytes of the API that went through. */
let relayed = 0;

beforeAll(async () => {
  stage = await openStage();
  folder = await mkdtemp(join(tmpdir(), 'only-api-'));
  for (const version of ['1.0', '1.1']) await publishServer(`acme/far:${version}`, { VERSION: version });
  await stage.apply(...bothColours('far', { image: 'acme/far:1.0' }));
  await stage.rolledOut('far-blue');

  await output('ip', ['netns', 'add', name]);
  await output('ip', ['link', 'add', name, 'type', 'veth', 'peer', 'name', far, 'netns', name]);
  await output('ip', ['address', 'add', here, 'peer', there, 'dev', name]);
  await output('ip', ['link', 'set', name, 'up']);
  const inside = (...args: string[]) => output('ip', ['-n', name, ...args]);
  await inside('address', 'add', there, 'peer', here, 'dev', far);
  await inside('link', 'set', far, 'up');

  const api = new URL(stage.releaser.access.server);
  relay = createServer((socket) => {
    const upstream = connect(Number(api.port), api.hostname);
    for (const [from, to] of [
      [socket, upstream],
      [upstream, socket],
    ] as const) {
      open.add(from);
      from.on('data', (data) => (relayed += data.length)).on('error', () => from.destroy());
      from.once('close', () => {
        open.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  });
  await new Promise<void>((resolve, reject) => {
    relay.once('error', reject).listen(Number(api.port), here, resolve);
  });
  const file = join(folder, 'kubeconfig');
  const text = JSON.parse(kubeconfigOf(stage.releaser.access)) as {
    clusters: { cluster: Record<string, string> }[];
  };
  for (const { cluster } of text.clusters) {
    cluster['server'] = `https://${here}:${api.port}`;
    cluster['tls-server-name'] = 'localhost';
  }
  await writeFile(file, JSON.stringify(text), { mode: 0o600 });
  job = await createJob({ env: { KUBECONFIG: file }, through: ['ip', 'netns', 'exec', name] });
});
afterAll(async () => {
  await job.end();
  relay.close();
  open.forEach((socket) => socket.destroy());
  await end('ip', ['link', 'delete', name]);
  await end('ip', ['netns', 'delete', name]);
  await stage.end();
  await rm(folder, { recursive: true });
});

const target = { platform: 'kubernetes', service: 'far', watch: '0s', 'drain-timeout': '2s' };

it('nothing else can be reached from there', async () => {
  const reach = `fetch('https://10.96.0.1').then(() => 'reached', (e) => e.cause?.code ?? String(e)).then(console.log)`;
  const seen = await output('ip', ['netns', 'exec', name, process.execPath, '-e', reach]);
  expect(seen).toMatch(/ENETUNREACH/);
});

it('a version is deployed, checked, switched to and rolled back', async () => {
  const before = relayed;
  const release = await job.step('blue-green-switch', { ...target, image: 'acme/far:1.1' });
  expect(release.outputs, release.log).toMatchObject({ result: 'succeeded', version: '1.1', slot: 'green' });
  const back = await job.step('rollback', target);
  expect(back.outputs, back.log).toMatchObject({ result: 'succeeded', version: '1.0', slot: 'blue' });
  expect(await stage.kubectl('get', 'service', 'far', '-o', 'jsonpath={.spec.selector.version}')).toBe(
    'blue',
  );
  expect(relayed).toBeGreaterThan(before);
});
