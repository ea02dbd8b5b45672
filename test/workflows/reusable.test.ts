// The suite's reusable workflows, called from a user's repository by the lines of workflows-examples/linux-host-blue-green:
// the shipped files, their jobs and their own actions at the version that they name.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createExample, type Example, type Settings } from './example.ts';
import { stepsOf } from './repository.ts';

const patience = 120_000;
const caller = `
name: Deploy
on:
  push:
    branches: [main]
permissions: {}
jobs:
  release:
    uses: org/deploy-actions/.github/workflows/deploy.yml@v1
    permissions:
      contents: read
      deployments: write
    with:
      environment: production
      runs-on: '["self-hosted", "production"]'
      releases: \${{ vars.RELEASES || '/srv/helpdesk/releases' }}
      watch: 500ms
      approval-environment: approval
  after:
    needs: release
    runs-on: ubuntu-latest
    steps:
      - name: Say what came out
        id: after
        run: |
          echo "result=\${{ needs.release.outputs.result }}" >> "$GITHUB_OUTPUT"
          echo "version=\${{ needs.release.outputs.version }}" >> "$GITHUB_OUTPUT"
`;

let example: Example;
const sha: Record<string, string> = {};
beforeAll(async () => {
  example = await createExample('linux-host-blue-green', {
    watch: '200ms',
    'ready-timeout': '20s',
    health: { interval: '100ms', timeout: '2s' },
    strategy: 'blue-green',
  });
  await writeFile(join(example.directory, '.github/workflows/deploy.yml'), caller);
});
afterAll(() => example.end());

async function deploy(version: string, env: Record<string, string> = {}, settings: Settings = {}) {
  sha[version] = await example.commit(version, env, {
    'linux-host': { directory: join(example.folder, 'releases/{version}') },
    ...settings,
  });
  return example.run('deploy.yml');
}

test(
  'a release is approved, deployed and watched',
  async () => {
    const run = await deploy('v1');
    console.log(run.log, run.jobs, stepsOf(run), run.outputs, run.annotations);
    console.log(JSON.stringify(example.github.repository.deployments, null, 1));
    console.log(example.github.calls.map((call) => `${call.operation} ${call.outcome}`));
    expect(run.jobs).toEqual({});
  },
  patience,
);
