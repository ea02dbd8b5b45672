import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { InputValues, Outcome } from '@deploy-actions/action-kit';
import { createTestContext, type TestContext } from '../../test/support/context.ts';
import type { GitHubDouble } from '../../test/support/github/index.ts';
import { type TrivyStandIn, trivyStandIn } from '../../test/support/trivy-stand-in.ts';
import type { definition } from './definition.ts';
import { run } from './run.ts';

type Inputs = InputValues<(typeof definition)['inputs']>;

/** Scans with a stand-in for Trivy; with a GitHub, in a run of a pull request there. */
export interface ScanBench {
  trivy: TrivyStandIn;
  workspace: string;
  scan(changes: Partial<Inputs>): Promise<{ outcome: Outcome; test: TestContext }>;
}

export async function scanBench(folder: string, github?: GitHubDouble): Promise<ScanBench> {
  const trivy = await trivyStandIn(folder);
  const workspace = join(folder, 'workspace');
  await mkdir(workspace);
  const facts = { workspace, temp: join(folder, 'temp') };
  if (github !== undefined) {
    const { number, head } = github.openPull();
    const eventPath = join(folder, 'event.json');
    await writeFile(
      eventPath,
      JSON.stringify({ pull_request: { number, head: { sha: head, repo: { full_name: github.name } } } }),
    );
    Object.assign(facts, {
      repository: github.name,
      sha: head,
      ref: `refs/pull/${number}/merge`,
      runId: '7',
      eventName: 'pull_request',
      eventPath,
      apiUrl: github.apiUrl,
      graphqlUrl: github.graphqlUrl,
    });
  }
  return {
    trivy,
    workspace,
    async scan(changes) {
      const test = createTestContext({ environment: trivy.environment });
      Object.assign(test.context.facts, facts);
      const outcome = await run(
        {
          targets: ['image:registry.example/helpdesk-backend:1.4.2'],
          baseline: undefined,
          'count-known': false,
          scanners: ['vuln', 'secret', 'misconfig'],
          limits: 'critical: 0, high: 5',
          'misconfiguration-limits': 'critical: 0',
          'licence-limits': 'none',
          secrets: 'fail',
          'ignore-unfixed': false,
          'ignore-file': undefined,
          'ignore-without-date': 'warn',
          vex: undefined,
          sbom: 'none',
          'output-directory': undefined,
          sarif: true,
          'trivy-version': undefined,
          'trivy-sha256': undefined,
          'trivy-mirror': new URL('https://trivy.example/releases'),
          'cache-directory': trivy.cache,
          'database-mirrors': undefined,
          'max-database-age': 7 * 86_400_000,
          offline: false,
          timeout: 60_000,
          'github-token': github?.token(),
          ...changes,
        },
        test.context,
      );
      return { outcome, test };
    },
  };
}
