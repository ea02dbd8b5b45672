import { Agent } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { allTo, ask, backend, metricsOf, named, never, proxied } from './test-support.ts';

test('a split is exact', async () => {
  const [blue, green] = [await named('blue'), await named('green')];
  const { listen, use, stateDirectory } = await proxied(
    allTo('blue', { blue: blue.address, green: green.address }),
  );
  for (const weight of [20, 40, 60, 80]) {
    await use([
      { slot: 'blue', weight: 100 - weight, addresses: [blue.address] },
      { slot: 'green', weight, addresses: [green.address] },
    ]);
    const answers = await Promise.all(Array.from({ length: 100 }, () => ask(listen)));
    expect(answers.filter(({ body }) => body === 'green')).toHaveLength(weight);
  }
  const metrics = await metricsOf(stateDirectory);
  expect(metrics.get('deploy_actions_proxy_requests_total{slot="green",code="200"}')).toBe(200);
  expect(metrics.get('deploy_actions_proxy_request_duration_seconds_count{slot="blue"}')).toBe(200);
  expect(
    metrics.get('deploy_actions_proxy_request_duration_seconds_bucket{slot="blue",le="1"}'),
  ).toBeGreaterThan(0);
});

test('requests in flight end on the slot they began on; drain waits for them', async () => {
  const waiting: (() => void)[] = [];
  const blue = await backend((_request, response) => {
    response.write('begun ');
    waiting.push(() => response.end('and ended on blue'));
  });
  const green = await named('green');
  const addresses = { blue: blue.address, green: green.address };
  const { listen, use, admin } = await proxied(allTo('blue', addresses));
  const inFlight = Array.from({ length: 10 }, () => ask(listen));
  while (waiting.length < 10) await delay(5);
  await use(allTo('green', addresses));
  expect((await ask(listen)).body).toBe('green');
  const drained = admin.drain('blue', 5_000, { signal: never });
  let ended = false;
  void drained.then(() => (ended = true));
  await delay(50);
  expect(ended).toBe(false);
  for (const end of waiting) end();
  for (const answer of await Promise.all(inFlight)) expect(answer.body).toBe('begun and ended on blue');
  expect((await drained).body).toMatchObject({ complete: true, inFlight: 0 });
});

test('30 switches under keep-alive POST and new connections lose nothing, and nothing reaches a drained slot', async () => {
  const live = { blue: true, green: true };
  let strays = 0;
  const app = (slot: 'blue' | 'green') =>
    backend((request, response) => {
      if (!live[slot]) strays++;
      let length = 0;
      request.on('data', (chunk: Buffer) => (length += chunk.length));
      request.on('end', () => setTimeout(() => response.end(`${slot} ${length}`), 5));
    });
  const [blue, green] = [await app('blue'), await app('green')];
  const addresses = { blue: blue.address, green: green.address };
  const { listen, use, admin } = await proxied(allTo('blue', addresses));

  let stop = false;
  const lost: string[] = [];
  let sent = 0;
  const client = async (agent: Agent | undefined) => {
    while (!stop) {
      sent++;
      await ask(listen, { method: 'POST', body: 'x'.repeat(1_000), ...(agent && { agent }) }).then(
        (answer) => /^(blue|green) 1000$/.test(answer.body) || lost.push(`${answer.status} ${answer.body}`),
        (error: unknown) => lost.push(String(error)),
      );
      await delay(30);
    }
  };
  const agents = Array.from({ length: 4 }, () => new Agent({ keepAlive: true, maxSockets: 1 }));
  onTestFinished(() => agents.forEach((agent) => agent.destroy()));
  const clients = [...agents.map((agent) => client(agent)), client(undefined), client(undefined)];

  for (let index = 0; index < 30; index++) {
    const [to, from] = index % 2 === 0 ? (['green', 'blue'] as const) : (['blue', 'green'] as const);
    live[to] = true;
    await use(allTo(to, addresses));
    expect((await admin.drain(from, 5_000, { signal: never })).body).toMatchObject({ complete: true });
    live[from] = false;
    await delay(40);
  }
  stop = true;
  await Promise.all(clients);
  expect(lost).toEqual([]);
  expect(strays).toBe(0);
  expect(sent).toBeGreaterThan(100);
});
