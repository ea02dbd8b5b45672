// Ports of 127.0.0.1 for tests. They lie below those that the system gives to clients by itself, so that no outgoing connection takes
// one before it is used; and they are had in blocks that belong to one process at a time, as many run beside each other.

import { createServer, type Server } from 'node:net';

export interface Ports {
  from: number;
  to: number;
  /** Lets others have them; else they belong to this process until it ends. */
  release(): Promise<void>;
}

const lowest = 20_000;
const blocks = 400;
const blockSize = 25;
const anyBlock = () => Math.floor(Math.random() * blocks);

/**
 * `count` ports in a row, 25 at most, that are free and that no other test takes.
 *
 * @param first where to look first: the beginning of a block
 */
export async function freePorts(count: number, first = lowest + anyBlock() * blockSize): Promise<Ports> {
  if (count > blockSize) throw new Error(`${count} ports in a row: there are blocks of ${blockSize}`);
  const begin = (first - lowest) / blockSize;
  for (let index = 0; index < blocks; index += 1) {
    const from = lowest + ((begin + index) % blocks) * blockSize;
    const guard = await guardOf(from);
    if (guard === undefined) continue;
    if (await areFree(from, count)) return { from, to: from + count - 1, release: () => closed(guard) };
    await closed(guard);
  }
  throw new Error(`no ${count} free ports in a row between ${lowest} and ${lowest + blocks * blockSize}`);
}

/** What is left of the block that single ports are from. */
let single: Promise<number[]> = Promise.resolve([]);

/** A port that is free, that no other test takes, and that is not given again. */
export function freePort(): Promise<number> {
  const port = single.then(async (left) => {
    if (left.length > 0) return left;
    const { from } = await freePorts(blockSize);
    return Array.from({ length: blockSize }, (_, index) => from + index);
  });
  single = port.then((left) => left.slice(1));
  return port.then(([first = 0]) => first);
}

/** `127.0.0.1:PORT`, with a port of {@link freePort}. */
export async function freeAddress(): Promise<string> {
  return `127.0.0.1:${await freePort()}`;
}

/**
 * Undefined where another process has the block, or this one. An abstract socket (unix(7)) has a name that one alone can have, that is of
 * the same network namespace as ports are, and that ends with its process, however that ends.
 */
function guardOf(block: number): Promise<Server | undefined> {
  return listening({ path: `\0deploy-actions-test-ports-${block}` });
}

async function areFree(from: number, count: number): Promise<boolean> {
  const ports = Array.from({ length: count }, (_, index) => from + index);
  const held = await Promise.all(ports.map((port) => listening({ host: '127.0.0.1', port })));
  await Promise.all(held.flatMap((server) => (server === undefined ? [] : [closed(server)])));
  return !held.includes(undefined);
}

/** Undefined where the address is in use. */
function listening(address: { path: string } | { host: string; port: number }): Promise<Server | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<Server | undefined>();
  const server = createServer();
  server.once('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EADDRINUSE') resolve(undefined);
    else reject(error);
  });
  server.listen(address, () => resolve(server));
  server.unref();
  return promise;
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => void server.close(() => resolve()));
}
