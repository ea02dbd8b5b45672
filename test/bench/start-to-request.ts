import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { bestOf, medianOf, type Row } from './measure.ts';
import { dist, stepPlace } from './step.ts';

const rounds = 15;

/** Milliseconds from starting the process of health-check to its first request at a server on this machine. */
export async function startToRequest(): Promise<Row[]> {
  const place = stepPlace();
  let arrived = 0;
  const server = createServer((_request, response) => {
    arrived = performance.now();
    response.end('ok');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  try {
    const times: number[] = [];
    // The first fills the compile cache, as the first step of a job does for the later ones.
    for (let round = 0; round <= rounds; round += 1) {
      const start = performance.now();
      const child = spawn(process.execPath, [join(dist, 'health-check/main.mjs')], {
        cwd: place.directory,
        env: place.environment({ url: `http://127.0.0.1:${port}/health/` }),
        stdio: 'ignore',
      });
      const [code] = (await once(child, 'exit')) as [number | null];
      if (code !== 0) throw new Error(`health-check ended with ${code}`);
      if (round > 0) times.push(arrived - start);
    }
    return [
      {
        measure: 'start to first request',
        subject: 'health-check',
        unit: 'ms',
        best: bestOf(times),
        median: medianOf(times),
      },
    ];
  } finally {
    server.close();
    place.remove();
  }
}
