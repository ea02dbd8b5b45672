// A Prometheus of a test's own on the loopback interface, which scrapes what the test says once a second. Installed from the
// system's packages when this is root.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requireProgram, versionOf } from './debian.ts';
import { until } from './until.ts';
import { freePort } from './ports.ts';

export interface Prometheus {
  url: string;
  /** The value of an expression that gives one, by the server's own API; undefined for none. */
  value(expression: string): Promise<number | undefined>;
  /** Until every target was scraped. */
  settled(): Promise<void>;
  stop(): Promise<void>;
  end(): Promise<void>;
}

/** Installs Debian's prometheus as root. Throws with what is missing where that cannot be done. */
export function requirePrometheus(): string {
  return requireProgram('prometheus', 'prometheus', () =>
    versionOf('prometheus', '--version', /prometheus, version ([\d.]+)/),
  );
}

/** `targets`: `127.0.0.1:PORT` of what has `/metrics`, by the slot that its series are labelled with. */
export function startPrometheus(targets: Record<string, string>): Promise<Prometheus> {
  const static_configs = Object.entries(targets).map(([slot, target]) => ({
    targets: [target],
    labels: { slot },
  }));
  return startPrometheusOn({ static_configs }, Object.keys(targets).length);
}

/** `discovery`: what Prometheus finds its targets by, in its own words; `expected`: how many there have to be in the end. */
export async function startPrometheusOn(discovery: object, expected: number): Promise<Prometheus> {
  const folder = await mkdtemp(join(tmpdir(), 'prometheus-'));
  const url = `http://127.0.0.1:${await freePort()}`;
  const configFile = join(folder, 'prometheus.json');
  // JSON is YAML.
  await writeFile(
    configFile,
    JSON.stringify({
      global: { scrape_interval: '1s', scrape_timeout: '900ms' },
      scrape_configs: [{ job_name: 'app', ...discovery }],
    }),
  );
  const child = spawn(
    'prometheus',
    [
      `--config.file=${configFile}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=${new URL(url).host}`,
      '--log.level=error',
    ],
    { cwd: folder, stdio: 'ignore' },
  );
  const ended = once(child, 'exit');
  const answer = async (path: string) => {
    const response = await fetch(`${url}${path}`).catch(() => undefined);
    return response?.ok === true ? response : undefined;
  };
  const value = async (expression: string) => {
    const response = await answer(`/api/v1/query?query=${encodeURIComponent(expression)}`);
    const json = (await response?.json()) as { data: { result: { value: [number, string] }[] } } | undefined;
    const text = json?.data.result[0]?.value[1];
    return text === undefined ? undefined : Number(text);
  };
  const stop = async () => {
    child.kill('SIGTERM');
    await ended;
  };
  await until('Prometheus to start', async () => (await answer('/-/ready')) !== undefined, 60_000);
  return {
    url,
    value,
    settled: () =>
      until('every target to be scraped', async () => (await value('count(up == 1)')) === expected, 30_000),
    stop,
    async end() {
      if (child.exitCode === null) await stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
