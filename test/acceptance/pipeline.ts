// The pipeline in one step as users have it: a repository on a GitHub of its own, with a deploy.yml, a host to release to,
// and somebody who is told how it ended.

import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text as readText } from 'node:stream/consumers';
import { type GitHubDouble, startGitHub } from '../support/github/index.ts';
import type { Job, JobOptions, StepResult } from '../support/runner.ts';
import { ending } from './ending.ts';
import { createHost, type Host } from './host.ts';

interface Told {
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

export interface PipelineBench {
  host: Host;
  github: GitHubDouble;
  /** A job of a push to the repository. */
  job: Job;
  jobOf(options?: JobOptions): Promise<Job>;
  /** A URL whose requests are in `told`. */
  receiver: string;
  told: Told[];
  /** Writes deploy.yml as a user writes it once; `env` is the application's. */
  configure(
    env: Record<string, string>,
    more?: { health?: Record<string, unknown>; [key: string]: unknown },
  ): Promise<void>;
  /** Settings of a health check that passes so many times and then never again. */
  healthyFor(times: number): Promise<{ health: Record<string, unknown> }>;
  deploy(version: string, inputs?: Record<string, string>, by?: Job): Promise<StepResult>;
  /** The statuses of the newest deployment of a version on GitHub. */
  statusesOf(version: string): string[] | undefined;
  end(): Promise<void>;
}

/** Each phase of the output `phases` with its result and what became of it. */
export function phasesOf({ outputs }: StepResult): string[] {
  const phases = JSON.parse(outputs['phases'] ?? '[]') as {
    name: string;
    result: string;
    undone: string | null;
  }[];
  return phases.map(
    ({ name, result, undone }) => `${name}: ${result}${undone === null ? '' : `, ${undone}`}`,
  );
}

async function startReceiver() {
  const told: Told[] = [];
  const server = createServer((request, response) => {
    void readText(request).then((body) => {
      told.push({ path: request.url ?? '', headers: request.headers, body });
      response.end('ok');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, told, stop: () => server.close() };
}

export async function createPipelineBench(): Promise<PipelineBench> {
  const [github, receiver] = await Promise.all([startGitHub(), startReceiver()]);
  // After them: it looks for free ports that it takes later.
  const host = await createHost();
  const workspace = join(host.root, 'workspace');
  await mkdir(join(workspace, '.github'), { recursive: true });
  const jobOf = ({ env = {}, ...more }: JobOptions = {}) =>
    host.job({
      workspace,
      token: github.token(),
      repository: github.name,
      env: {
        GITHUB_API_URL: github.apiUrl,
        GITHUB_GRAPHQL_URL: github.graphqlUrl,
        GITHUB_SHA: github.head,
        ...env,
      },
      ...more,
    });
  const job = await jobOf();
  return {
    ...{ host, github, job, jobOf, told: receiver.told, receiver: receiver.url },
    async configure(env, { health, ...more } = {}) {
      const { command, 'port-range': range } = await host.release('v1');
      for (const version of ['v2', 'v3']) await host.release(version);
      await writeFile(
        join(workspace, '.github/deploy.yml'),
        // JSON is YAML.
        JSON.stringify({
          app: host.target['app'],
          platform: 'linux-host',
          'state-directory': host.state,
          router: { type: 'embedded-proxy', listen: host.target['listen'] },
          strategy: 'blue-green',
          'watch-after': '500ms',
          'ready-timeout': '10s',
          'linux-host': {
            directory: join(host.root, 'releases/{version}'),
            command,
            'port-range': range,
            'readiness-path': '/health/',
            supervisor: 'process',
            env,
          },
          health: health ?? { url: `${host.url}health/`, timeout: '3s' },
          environments: { production: {} },
          ...more,
        }),
      );
    },
    async healthyFor(times) {
      await writeFile(
        join(workspace, 'health.sh'),
        `printf . >> asked; [ "$(wc -c < asked)" -le ${times} ] || { echo 'the queue is stuck' >&2; exit 1; }`,
      );
      await writeFile(join(workspace, 'asked'), '');
      return { health: { command: ['sh', 'health.sh'], timeout: '1s', interval: '100ms' } };
    },
    deploy: (version, inputs = {}, by = job) =>
      ending(by, 'deploy', { environment: 'production', version, ...inputs }),
    statusesOf: (version) =>
      github.repository.deployments
        .findLast(({ payload }) => (payload as { version?: string }).version === version)
        ?.statuses.map(({ state, description }) => `${state}: ${description}`),
    async end() {
      receiver.stop();
      await host.end();
      await github.stop();
    },
  };
}
