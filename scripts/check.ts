// npm run check [-- --json FILE]: everything about the repository that can be said without running it. All checks run, all
// failures are shown.
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { overBudget } from './build/budget.ts';
import { differences, readTree } from './build/tree.ts';
import { distTree } from './build.ts';
import { failureOf } from './check/command.ts';
import { findKeptOut } from './check/kept-out.ts';
import { writeReadmeWorkflows } from './check/readme-workflows.ts';
import { actionlint, type Tool, zizmor } from './check/tools.ts';
import { staleFiles } from './gen.ts';

const root = join(import.meta.dirname, '..');

/** Failures; none when all is well. */
type Check = () => Promise<string[]>;

function program(name: string, ...args: string[]): Check {
  return () => failureOf(join(root, 'node_modules/.bin', name), args, { cwd: root });
}

async function workflows(): Promise<string[]> {
  const folders = ['.github/workflows', 'dist/.github/workflows', 'workflows-examples'].filter((path) =>
    existsSync(join(root, path)),
  );
  const files = await Promise.all(
    folders.map(async (folder) =>
      (await readdir(join(root, folder), { recursive: true })).map((path) => join(folder, path)),
    ),
  );
  return files
    .flat()
    .filter((path) => /\/workflows\/[^/]+\.ya?ml$/.test(path))
    .toSorted();
}

/** A linter's findings in all workflows: those of the repository, those to call, those to copy, and those of the READMEs. */
async function lintWorkflows(tool: Tool, ...args: string[]): Promise<string[]> {
  if ('failure' in tool) return [tool.failure];
  const folder = await mkdtemp(join(tmpdir(), 'readme-workflows-'));
  try {
    const files = [...(await workflows()), ...(await writeReadmeWorkflows(root, folder))];
    return await failureOf(tool.path, [...args, ...files], { cwd: root });
  } finally {
    await rm(folder, { recursive: true });
  }
}

const checks: Record<string, Check> = {
  types: program('tsc', '--noEmit', '-p', '.'),
  'types in the browser': program('tsc', '--noEmit', '-p', 'test/pages/browser'),
  'types of the portal': program('tsc', '--noEmit', '-p', 'test/helpdesk/customer-portal'),
  lint: program('oxlint', '--type-aware', '--deny-warnings', '--format', 'unix'),
  format: program('prettier', '--check', '--log-level', 'warn', '.'),
  generated: async () =>
    [...(await staleFiles()).keys()].map(
      (path) => `${path} is not what the definitions say; renew it with: npm run gen`,
    ),
  dist: async () => {
    const wanted = await distTree();
    const different = differences(await readTree(join(root, 'dist')), wanted);
    return [...different.map((what) => `dist/${what}; renew it with: npm run build`), ...overBudget(wanted)];
  },
  actionlint: async () =>
    lintWorkflows(await actionlint(), '-no-color', '-config-file', '.github/actionlint.yaml'),
  zizmor: async () =>
    lintWorkflows(
      await zizmor(),
      '--offline',
      '--no-progress',
      '--color',
      'never',
      '--quiet',
      '--config',
      '.github/zizmor.yml',
      'dist',
    ),
  'kept out': () => findKeptOut(root),
};

interface Result {
  name: string;
  failures: string[];
  seconds: number;
}

async function timed(name: string, check: Check): Promise<Result> {
  const start = performance.now();
  const failures = await check().catch((thrown: unknown) => [String(thrown)]);
  return { name, failures, seconds: Number(((performance.now() - start) / 1000).toFixed(1)) };
}

const results: Result[] = [];
const queue = Object.entries(checks);

async function work(): Promise<void> {
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const result = await timed(...next);
    results.push(result);
    console.log(`${result.failures.length === 0 ? 'ok  ' : 'FAIL'} ${result.name} (${result.seconds} s)`);
    for (const failure of result.failures) console.log(failure.replace(/^/gm, '     '));
  }
}

// Most of them wait for a process of their own: two at once keep two cores busy.
await Promise.all([work(), work()]);
const failed = results.filter(({ failures }) => failures.length > 0).length;
const json = process.argv.indexOf('--json');
if (json >= 0) {
  const counts = { passed: results.length - failed, failed };
  await writeFile(
    process.argv[json + 1] ?? '',
    `${JSON.stringify({ ...counts, checks: results }, null, 2)}\n`,
  );
}
if (failed > 0) process.exitCode = 1;
