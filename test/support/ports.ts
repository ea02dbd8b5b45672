import { createServer } from 'node:net';

/** A port of 127.0.0.1 that is free now; see `freePorts`. */
export async function freePort(): Promise<number> {
  return (await freePorts(1)).from;
}

/** The first port of 127.0.0.1 from `first` on that is free now. */
export async function freePortFrom(first: number): Promise<number> {
  for (let port = first; port < first + 1_000; port += 1) {
    const held = await hold(port).catch(() => undefined);
    if (held === undefined) continue;
    await held.close();
    return port;
  }
  throw new Error(`no free port from ${first} to ${first + 1_000}`);
}

/** `127.0.0.1:PORT`, with a port that is free now. */
export async function freeAddress(): Promise<string> {
  return `127.0.0.1:${await freePort()}`;
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

async function hold(port: number): Promise<{ close(): Promise<void> }> {
  const server = createServer();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject).listen(port, '127.0.0.1', resolve);
  await promise;
  return { close: () => new Promise((closed) => void server.close(() => closed())) };
}
