import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, it } from 'vitest';
import { freePort, freePorts } from './ports.ts';

const module = new URL('ports.ts', import.meta.url).href;

/** Another process, which takes as many blocks as there are free and then stays. */
async function others(count: number) {
  const script = `
    const { freePorts } = await import(${JSON.stringify(module)});
    const all = [];
    for (let taken = 0; taken < ${count}; taken += 1) all.push((await freePorts(25)).from);
    console.log(JSON.stringify(all));
    setInterval(() => {}, 1_000);`;
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', script],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  child.stdout.setEncoding('utf8');
  let text = '';
  while (!text.includes('\n')) text += String((await once(child.stdout, 'data'))[0]);
  return { child, blocks: JSON.parse(text) as number[] };
}

it('belong to one process until it ends, however it ends', async () => {
  const { child, blocks } = await others(20);
  const own = await Promise.all(blocks.map((first) => freePorts(25, first)));
  expect(new Set([...blocks, ...own.map(({ from }) => from)]).size).toBe(40);
  child.kill('SIGKILL');
  await once(child, 'exit');
  const again = await Promise.all(blocks.map((first) => freePorts(25, first)));
  // All, but for what another test may have taken in between.
  expect(again.filter(({ from }) => blocks.includes(from)).length).toBeGreaterThan(15);
  await Promise.all([...own, ...again].map(({ release }) => release()));
});

it('are not those that somebody listens on', async () => {
  const { from, to, release } = await freePorts(9);
  expect(to).toBe(from + 8);
  const server = createServer().listen(to, '127.0.0.1');
  await once(server, 'listening');
  await release();
  const other = await freePorts(9, from);
  expect(other.from).not.toBe(from);
  await other.release();
  server.close();
  await once(server, 'close');
  const same = await freePorts(9, from);
  expect(same.from).toBe(from);
  await same.release();
});

it('are given once each, one by one as well', async () => {
  const all = await Promise.all(Array.from({ length: 60 }, freePort));
  expect(new Set(all).size).toBe(60);
  expect(Math.min(...all)).toBeGreaterThanOrEqual(20_000);
  expect(Math.max(...all)).toBeLessThan(30_000);
});
