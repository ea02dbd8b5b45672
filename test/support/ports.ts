import { createServer } from 'node:net';

/** A port of 127.0.0.1 that is free now. */
export async function freePort(): Promise<number> {
  const { port, close } = await hold(0);
  await close();
  return port;
}

/**
 * `count` ports in a row that are free now. They lie below those that the system gives to clients by itself, so that no
 * outgoing connection takes one in the meantime.
 */
export async function freePorts(count: number): Promise<{ from: number; to: number }> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const from = 20_000 + Math.floor((Math.random() * 10_000) / count) * count;
    const held = await Promise.allSettled(Array.from({ length: count }, (_, index) => hold(from + index)));
    const open = held.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    await Promise.all(open.map(({ close }) => close()));
    if (open.length === count) return { from, to: from + count - 1 };
  }
  throw new Error(`no ${count} free ports in a row between 20000 and 30000`);
}

async function hold(port: number): Promise<{ port: number; close(): Promise<void> }> {
  const server = createServer();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject).listen(port, '127.0.0.1', resolve);
  await promise;
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port was given');
  return {
    port: address.port,
    close: () => new Promise((closed) => void server.close(() => closed())),
  };
}
