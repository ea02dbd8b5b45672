// npm run test:load                        the suites on a real nginx and a real Prometheus, then switches under load
//   --router embedded-proxy                on one of the routers alone
//   --dist FOLDER                          another build
//   --json FILE                            what the load saw, for machines
//
// About 4 minutes, at most 210 requests a second. Fails when a request is lost that must not be, or when the switch that
// loses on purpose is not seen to.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { silentLog } from '@deploy-actions/core';
import { createEmbeddedProxy, createNginx } from '@deploy-actions/routers';
import { createHost, endHostsOnSignals, type Host } from '../support/host.ts';
import { type Kind, type LoadReport } from '../support/load/index.ts';
import { type Nginx, requireNginx, startNginx } from '../support/nginx.ts';
import { switchUnderLoad } from './switching.ts';

const root = join(import.meta.dirname, '../..');
const kinds: readonly Kind[] = ['new', 'keepalive-post', 'inflight'];

const { values: options } = parseArgs({
  options: {
    router: { type: 'string', default: 'embedded-proxy,nginx' },
    dist: { type: 'string' },
    json: { type: 'string' },
  },
});

interface Section {
  router: string;
  switches: number;
  /** Kinds of which none may be lost by a switch. */
  lossless: readonly Kind[];
  report: LoadReport;
}

const say = (text: string) => void process.stdout.write(`${text}\n`);

async function onEmbeddedProxy(): Promise<Section> {
  const host = await createHost({ dist: options.dist });
  try {
    const report = await switchUnderLoad({
      host,
      inputs: {},
      router: async () => {
        const stateDirectory = join(host.stateDirectory, 'proxy');
        const command = [process.execPath, join(stateDirectory, 'program.mjs')];
        const listen = new URL(host.url).host;
        const proxy = createEmbeddedProxy({
          stateDirectory,
          listen,
          command,
          verifyPath: '/',
          log: silentLog,
        });
        return { ...proxy, claim: (fence) => proxy.ensureRunning(fence, new AbortController().signal) };
      },
      actions: [5, 5],
      writes: 20,
      say: (text) => say(`embedded-proxy: ${text}`),
    });
    return { router: 'embedded-proxy', switches: 30, lossless: kinds, report };
  } finally {
    await host.end();
  }
}

async function onNginx(): Promise<Section> {
  const version = requireNginx();
  const host: Host = await createHost({ dist: options.dist });
  let nginx: Nginx | undefined;
  try {
    nginx = await startNginx(join(host.folder, 'nginx'), new URL(host.url).host);
    const { inputs, options: own } = nginx;
    const report = await switchUnderLoad({
      host,
      inputs,
      router: () => createNginx({ ...own, verifySocket: join(host.stateDirectory, 'nginx-verify.sock') }),
      actions: [5, 5],
      writes: 20,
      say: (text) => say(`nginx ${version}: ${text}`),
    });
    // Before 1.27.4 a reload closes idle connections that a client may just be sending on.
    return { router: `nginx ${version}`, switches: 30, lossless: ['new', 'inflight'], report };
  } finally {
    await nginx?.stop();
    await host.end();
  }
}

async function conforms(): Promise<boolean> {
  requireNginx();
  const child = spawn(
    process.execPath,
    [
      join(root, 'node_modules/vitest/vitest.mjs'),
      'run',
      '--config',
      join(root, 'test/load/vitest.config.ts'),
    ],
    { cwd: root, stdio: 'inherit' },
  );
  const [code] = (await once(child, 'exit')) as [number | null];
  return code === 0;
}

function problemsOf({ router, lossless, report }: Section): string[] {
  const problems: string[] = [];
  for (const phase of report.phases) {
    for (const kind of kinds) {
      const counts = phase.kinds[kind];
      const where = `${router}, ${phase.name}, ${kind}`;
      if (counts === undefined || counts.sent === 0) {
        problems.push(`${where}: nothing was sent`);
        continue;
      }
      const mayLose = phase.name === 'switches' && !lossless.includes(kind);
      if (phase.name === 'lossy' && counts.lost === 0)
        problems.push(`${where}: a loss was made and is not seen`);
      if (phase.name !== 'lossy' && counts.lost > 0 && !mayLose)
        problems.push(`${where}: ${counts.lost} lost: ${JSON.stringify(counts.firstLost.slice(0, 3))}`);
      if (counts.failed + counts.clientErrors > 0)
        problems.push(`${where}: ${counts.failed + counts.clientErrors} answers of status 4xx or 5xx`);
      if (counts.notSent > 0)
        problems.push(`${where}: ${counts.notSent} could not be sent from this machine`);
    }
  }
  return problems;
}

function table(sections: Section[]): string {
  const head = [
    'router',
    'phase',
    'kind',
    'sent',
    'lost',
    'p50 ms',
    'p99 ms',
    'longest ms',
    'announced closes',
  ];
  const rows = sections.flatMap(({ router, report }) =>
    report.phases.flatMap((phase) =>
      kinds.map((kind) => {
        const { sent = 0, lost = 0, latencyMs, announcedCloses = 0 } = phase.kinds[kind] ?? {};
        const times = [latencyMs?.p50, latencyMs?.p99, latencyMs?.max].map((ms) => (ms ?? 0).toFixed(0));
        return [router, phase.name, kind, sent, lost, ...times, announcedCloses].map(String);
      }),
    ),
  );
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all
    .map((row) =>
      row
        .map((cell, column) =>
          column < 3 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  '),
    )
    .join('\n');
}

async function main(): Promise<number> {
  const wanted = options.router.split(',');
  const routers: Record<string, () => Promise<Section>> = {
    'embedded-proxy': onEmbeddedProxy,
    nginx: onNginx,
  };
  const chosen = wanted.map((name) => {
    const run = routers[name];
    if (run === undefined)
      throw new Error(`--router ${name}: routers are ${Object.keys(routers).join(', ')}`);
    return run;
  });
  const problems: string[] = [];
  if (wanted.includes('nginx') && !(await conforms()))
    problems.push('a real nginx or Prometheus does not do what is expected: see the tests above');
  const settled = await Promise.allSettled(chosen.map((run) => run()));
  const sections: Section[] = [];
  for (const outcome of settled) {
    if (outcome.status === 'rejected') problems.push(String(outcome.reason));
    else sections.push(outcome.value);
  }
  for (const section of sections) problems.push(...problemsOf(section));
  say(`\n${table(sections)}`);
  for (const { router, switches, report } of sections) {
    const { lost = 0, sent = 0 } =
      report.phases.find(({ name }) => name === 'switches')?.kinds['keepalive-post'] ?? {};
    say(`${router}: keep-alive POST through ${switches} switches: ${lost} of ${sent} lost`);
    say(`${router}: the generator was at most ${report.lagMs.max.toFixed(0)} ms late`);
  }
  for (const problem of problems) say(`BAD ${problem}`);
  if (options.json !== undefined)
    await writeFile(options.json, `${JSON.stringify({ sections, problems }, null, 2)}\n`);
  return problems.length > 0 ? 1 : 0;
}

endHostsOnSignals();
process.exitCode = await main();
