// Runs a workflow as users have it, by act in host mode, and tells what became of every job and step.
//
// act ends well when it skips jobs, and ignores `concurrency`, time-outs, `services` and `environment`: a test asserts which
// jobs and steps ran and how each ended, never the exit code alone.

import { spawn } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { isRecord } from '@deploy-actions/core';
import { act } from '../../scripts/check/tools.ts';

export interface ActOptions {
  /** A git repository with the workflow committed; its remote `origin` says which repository it is. */
  repository: string;
  event: 'push' | 'workflow_dispatch' | 'pull_request';
  /** The payload of the event. act puts `inputs` into the payload itself when there is none. */
  payload?: object;
  /** Path of the workflow in the repository. */
  workflow: string;
  /** What `workflow_dispatch` is given. */
  inputs?: Record<string, string>;
  /** The repository's variables: `vars.NAME`. */
  variables?: Record<string, string>;
  /** The repository's secrets: `secrets.NAME`. */
  secrets?: Record<string, string>;
  /** The token of the workflow: `github.token`, and `secrets.GITHUB_TOKEN`. act knows no `permissions`. */
  token?: string;
  /** Where the token is for. */
  github?: { apiUrl: string; graphqlUrl: string };
  /** Who started the run. */
  actor?: string;
  /** Labels of `runs-on`; the first of a job's that is in here makes it run on this machine. */
  labels: string[];
  /** Folders in the place of actions, by `owner/repository@ref`. */
  actions: Record<string, string>;
  /** Home and cache of the runner: an empty folder, or that of an earlier run. */
  home: string;
  runId: string;
  /** Folders of programs that the runner has beside this machine's. */
  programs?: string[];
  /** Cancels the run once, as a person would, when the line of a step's log contains this. */
  cancelAt?: string;
  /** Gets every line of act's log as it comes. */
  onLine?: (line: string) => void;
}

export interface ActStep {
  job: string;
  /** The `id`, or the position in the job. */
  id: string;
  /** The `name`, or what it runs. */
  name: string;
  stage: 'Main' | 'Post';
  result: string;
}

export interface ActRun {
  exitCode: number | null;
  /** Result by id of each job that ran. */
  jobs: Record<string, string>;
  /** Steps that ran, in order; one whose `if` is false is not among them. */
  steps: ActStep[];
  /** Outputs by id of the step. */
  outputs: Record<string, Record<string, string>>;
  /** What the steps added to the job summary. */
  summary: string;
  /** `error T: text`, one an annotation. */
  annotations: string[];
  /** Everything that was logged. */
  log: string;
}

/** Runs one workflow to its end. Throws when act cannot be installed or started. */
export async function runWorkflow(options: ActOptions): Promise<ActRun> {
  const tool = await act();
  if ('failure' in tool) throw new Error(tool.failure);
  await mkdir(options.home, { recursive: true });
  const secretFile = join(options.home, 'secrets');
  const payloadFile = join(options.home, 'event.json');
  if (options.payload !== undefined) await writeFile(payloadFile, JSON.stringify(options.payload));
  const { token } = options;
  const secrets = Object.entries({
    ...options.secrets,
    ...(token === undefined ? {} : { GITHUB_TOKEN: token }),
  }).map(([name, value]) => `${name}=${JSON.stringify(value)}\n`);
  await writeFile(secretFile, secrets.join(''), { mode: 0o600 });
  const files = [
    '--secret-file',
    secretFile,
    ...(options.payload === undefined ? [] : ['--eventpath', payloadFile]),
  ];
  const child = spawn(tool.path, [...argumentsOf(options), ...files], {
    cwd: options.repository,
    // Nothing of the developer's or the CI's own variables: a workflow has to do without them.
    env: {
      PATH: [...(options.programs ?? []), dirname(process.execPath), process.env['PATH']].join(delimiter),
      HOME: options.home,
      XDG_CACHE_HOME: join(options.home, '.cache'),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const run: ActRun = {
    exitCode: null,
    jobs: {},
    steps: [],
    outputs: {},
    summary: '',
    annotations: [],
    log: '',
  };
  let cancelled = false;
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject).once('close', resolve);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (run.log += text));
  createInterface({ input: child.stdout }).on('line', (line) => {
    record(run, line);
    options.onLine?.(line);
    if (!cancelled && options.cancelAt !== undefined && line.includes(options.cancelAt)) {
      cancelled = true;
      child.kill('SIGINT');
    }
  });
  run.exitCode = await ended;
  await rm(secretFile);
  return run;
}

function argumentsOf(options: ActOptions): string[] {
  const pairs = (flag: string, values: Record<string, string> = {}) =>
    Object.entries(values).flatMap(([name, value]) => [flag, `${name}=${value}`]);
  return [
    options.event,
    '--json',
    '--no-cache-server',
    '--actor',
    options.actor ?? 'a-developer',
    '--workflows',
    options.workflow,
    ...pairs('--env', {
      GITHUB_RUN_ID: options.runId,
      ...(options.github === undefined
        ? {}
        : { GITHUB_API_URL: options.github.apiUrl, GITHUB_GRAPHQL_URL: options.github.graphqlUrl }),
    }),
    ...pairs('--input', options.inputs),
    ...pairs('--var', options.variables),
    ...pairs('--platform', Object.fromEntries(options.labels.map((label) => [label, '-self-hosted']))),
    ...pairs('--local-repository', options.actions),
  ];
}

/** Adds one line of act's JSON log to what is known of the run. */
function record(run: ActRun, line: string): void {
  const entry = parsed(line);
  if (entry === undefined) {
    run.log += `${line}\n`;
    return;
  }
  const text = (key: string) => (typeof entry[key] === 'string' ? entry[key] : '');
  const job = text('jobID');
  const id = Array.isArray(entry['stepID']) ? entry['stepID'].join('/') : '';
  run.log += `${text('msg').trimEnd()}\n`;
  if (text('jobResult') !== '') run.jobs[job] = text('jobResult');
  const stage = text('stage');
  if (text('stepResult') !== '' && (stage === 'Main' || stage === 'Post')) {
    run.steps.push({ job, id, name: text('step'), stage, result: text('stepResult') });
  }
  const properties = isRecord(entry['kvPairs']) ? entry['kvPairs'] : {};
  const title = typeof properties['title'] === 'string' ? properties['title'] : '';
  switch (text('command')) {
    case 'set-output':
      (run.outputs[id] ??= {})[text('name')] = text('arg');
      break;
    case 'summary':
      run.summary += text('content');
      break;
    case 'error':
    case 'warning':
    case 'notice':
      run.annotations.push(`${text('command')} ${title}: ${text('arg')}`);
      break;
  }
}

function parsed(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
