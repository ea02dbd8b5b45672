// The actions that look at and recover what runs, each with the rights of its example's Role, in this process: all that they
// say is kept.

import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSummary, type InputValues, type Outcome } from '@deploy-actions/action-kit';
import { loadAll } from 'js-yaml';
import type { definition as diagnoseDefinition } from '../../actions/diagnose/definition.ts';
import { run as runDiagnose } from '../../actions/diagnose/run.ts';
import type { definition as restartDefinition } from '../../actions/restart-app/definition.ts';
import { run as runRestart } from '../../actions/restart-app/run.ts';
import { createTestContext } from '../support/context.ts';
import type { Account, PolicyRule } from './namespace.ts';

const folder = join(import.meta.dirname, '../../workflows-examples/kubernetes-operations');

/** The rules of the Role in a file of the example. */
export async function rulesOf(file: string): Promise<PolicyRule[]> {
  const documents = loadAll(await readFile(join(folder, file), 'utf8')) as {
    kind: string;
    rules?: PolicyRule[];
  }[];
  return documents.find(({ kind }) => kind === 'Role')?.rules ?? [];
}

export interface Said {
  outcome: Outcome;
  /** Log, summary, outcome and every file that was written. */
  everything: string;
  log: string;
  /** The folder that it wrote to. */
  temp: string;
}

async function textOf(directory: string): Promise<string> {
  const files = await readdir(directory, { recursive: true, withFileTypes: true });
  const texts = files
    .filter((file) => file.isFile())
    .map(({ parentPath, name }) => readFile(join(parentPath, name), 'utf8'));
  return (await Promise.all(texts)).join('\n');
}

/** Runs an action's code with what a step would give it. The caller removes `temp`. */
export async function runWith<I>(
  code: (inputs: I, context: ReturnType<typeof createTestContext>['context']) => Promise<Outcome>,
  inputs: I,
  signal = new AbortController().signal,
): Promise<Said> {
  const temp = await mkdtemp(join(tmpdir(), 'operations-'));
  const plain = createTestContext();
  const summary = createSummary();
  const { context, lines } = createTestContext({
    signal,
    summary,
    facts: { ...plain.context.facts, temp, runId: '7', actor: 'tester' },
    environment: { PATH: process.env['PATH'] },
  });
  const outcome = await code(inputs, context).catch(async (error: unknown) => {
    await rm(temp, { recursive: true, force: true });
    throw error;
  });
  const log = lines.join('\n');
  const everything = [log, summary.text(), JSON.stringify(outcome), await textOf(temp)].join('\n');
  return { outcome, everything, log, temp };
}

type DiagnoseInputs = InputValues<(typeof diagnoseDefinition)['inputs']>;

/** With one Service by its name alone. */
type With<I> = Omit<Partial<I>, 'service'> & { service?: string };

const listed = ({ service }: { service?: string }) => ({
  service: service === undefined ? undefined : [service],
});

export function diagnoseWith(account: Account, own: With<DiagnoseInputs>): Promise<Said> {
  const inputs: DiagnoseInputs = {
    workload: undefined,
    selector: undefined,
    environment: undefined,
    namespace: undefined,
    kubeconfig: account.kubeconfig,
    context: undefined,
    lines: 200,
    exec: true,
    'metrics-path': '/metrics',
    'database-url': undefined,
    ...own,
    ...listed(own),
  };
  return runWith(runDiagnose, inputs);
}

type RestartInputs = InputValues<(typeof restartDefinition)['inputs']>;

export function restartWith(account: Account, own: With<RestartInputs>, signal?: AbortSignal): Promise<Said> {
  const inputs: RestartInputs = {
    workload: undefined,
    environment: undefined,
    app: undefined,
    namespace: undefined,
    kubeconfig: account.kubeconfig,
    context: undefined,
    strategy: 'rollout',
    reason: 'a test',
    timeout: 240_000,
    'health-url': undefined,
    'health-timeout': 20_000,
    'lock-timeout': 0,
    'dry-run': false,
    ...own,
    ...listed(own),
  };
  return runWith(runRestart, inputs, signal);
}
