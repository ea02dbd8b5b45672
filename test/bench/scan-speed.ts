import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createJob } from '../support/runner.ts';
import { manyFindings, trivyStandIn } from '../support/trivy-stand-in.ts';
import { bestOf, medianOf, type Row } from './measure.ts';

const rounds = 7;
const images = Array.from({ length: 20 }, (_, index) => `service-${index}`);

/**
 * Milliseconds of a whole step of trivy-scan, from the start of its process to its end, with 1,000 findings over 20 images: reports read,
 * gate, comment, check, SARIF and summary written. Of Trivy itself only the start of a stand-in, 22 times; no call to GitHub.
 */
export async function scanSpeed(): Promise<Row[]> {
  const folder = await mkdtemp(join(tmpdir(), 'deploy-actions-bench-'));
  const trivy = await trivyStandIn(folder);
  for (const name of images)
    await writeFile(join(trivy.made, `${name}.json`), await manyFindings(name, 1_000 / images.length));
  const event = {
    pull_request: { number: 1, head: { sha: 'a'.repeat(40), repo: { full_name: 'acme/helpdesk' } } },
  };
  await writeFile(join(folder, 'event.json'), JSON.stringify(event));
  const job = await createJob({
    env: {
      ...trivy.environment,
      GITHUB_EVENT_NAME: 'pull_request',
      GITHUB_EVENT_PATH: join(folder, 'event.json'),
    },
  });
  try {
    const times: number[] = [];
    // The first fills the compile cache.
    for (let round = 0; round <= rounds; round += 1) {
      const step = await job.step('trivy-scan', {
        targets: images.map((name) => `image:registry.example/${name}:1.4.2`).join('\n'),
        'cache-directory': trivy.cache,
      });
      if (step.outputs['findings'] !== '1000')
        throw new Error(`trivy-scan found ${step.outputs['findings']}:\n${step.log}`);
      if (round > 0) times.push(step.seconds * 1_000);
    }
    return [
      {
        measure: '1,000 findings, 20 images',
        subject: 'trivy-scan',
        unit: 'ms',
        best: bestOf(times),
        median: medianOf(times),
        goal: 1_000,
      },
    ];
  } finally {
    await job.end();
    await rm(folder, { recursive: true });
  }
}
