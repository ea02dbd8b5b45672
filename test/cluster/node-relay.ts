// Lets pods reach a server of this machine that listens on 127.0.0.1 alone, such as a test's PostgreSQL.

import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { nodeAddress } from './place.ts';

export interface NodeRelay {
  /** What pods connect to. */
  host: string;
  port: number;
  stop(): void;
}

/** Listens on the node's address, on a port of its own, and passes connections to `port` of 127.0.0.1. */
export async function relayFromPods(port: number): Promise<NodeRelay> {
  const open = new Set<Socket>();
  const server = createServer((pod) => {
    const target = connect(port, '127.0.0.1');
    for (const [from, to] of [
      [pod, target],
      [target, pod],
    ] as const) {
      open.add(from);
      from.once('close', () => {
        open.delete(from);
        to.destroy();
      });
      from.on('error', () => from.destroy()).pipe(to);
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, nodeAddress, resolve);
  });
  return {
    host: nodeAddress,
    port: (server.address() as AddressInfo).port,
    stop() {
      server.close();
      open.forEach((socket) => socket.destroy());
    },
  };
}
