// Runs the actions of a built dist as GitHub's runner does: a process of its own for the main step and for the post step,
// in an environment of its own; inputs, outputs, state and summary by INPUT_*, GITHUB_OUTPUT, GITHUB_STATE and
// GITHUB_STEP_SUMMARY; commands such as ::error:: and ::add-mask:: read from its output; a cancel in the runner's three steps.
//
//   const job = await createJob();
//   const step = await job.step('health-check', { url: 'http://127.0.0.1:8080/health/' });
//   step.outputs['result']
//   await job.end();
//
// What the runner does is documented at https://docs.github.com/actions/reference/workflow-commands-for-github-actions, and the
// rest (what a cancel sends, which inputs get an empty value) is as its source has it: github.com/actions/runner.

import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { load } from 'js-yaml';
import { endProcessesWith, type Found, processesWith } from './processes.ts';

export interface JobOptions {
  /** The tree of a version tag; default: the repository's. */
  dist?: string;
  /** Default: a new empty folder, removed by `end`. */
  workspace?: string;
  runId?: string;
  runAttempt?: string;
  repository?: string;
  actor?: string;
  /** A command that becomes the action's process, such as `ip netns exec NAME`. */
  through?: readonly string[];
  /** Variables of the job, for all steps. */
  env?: Record<string, string>;
  /** Values of the repository's secrets: the runner masks these without being told to. */
  secrets?: string[];
  /** What `${{ github.token }}` is, a secret too; default empty, so that nothing is asked of GitHub. */
  token?: string;
}

export interface StepOptions {
  /** Variables of the step, beside those of the job. */
  env?: Record<string, string>;
  /** Modules preloaded into the action's process (`node --import`), such as crash.mjs. */
  imports?: string[];
  /** As «Enable debug logging»: RUNNER_DEBUG=1, and ::debug:: lines are in the log. */
  debug?: boolean;
  /** Gets every line of the log, masked, as it comes. */
  onLine?: (line: string) => void;
}

export interface Annotation {
  level: 'error' | 'warning' | 'notice';
  title: string | undefined;
  /** `k8s/web.yml:14`; undefined for one that is about no line. */
  place: string | undefined;
  message: string;
}

/** One phase of a step that came to its end. */
export interface StepResult {
  action: string;
  phase: 'main' | 'post';
  inputs: Record<string, string>;
  exitCode: number | null;
  signal: NodeJS.Signals | null;
  outputs: Record<string, string>;
  state: Record<string, string>;
  /** The job summary that it wrote, in Markdown. */
  summary: string;
  annotations: Annotation[];
  /** What it asked to have masked. */
  masks: string[];
  /** As people see it: masked, without commands. */
  log: string;
  /** As it was written, but for `::add-mask::` lines: a secret in here was printed before, or without, a mask. */
  raw: string;
  seconds: number;
}

export interface RunningStep {
  readonly pid: number;
  /** When its process was started, as `performance.now()` counts. */
  readonly started: number;
  readonly done: Promise<StepResult>;
  /** Resolves with the first line of the log that matches; rejects when the step ends without. */
  line(pattern: RegExp): Promise<string>;
  /** As the runner cancels: SIGINT, 7.5 s later SIGTERM, 2.5 s later SIGKILL, to the entry process alone. */
  cancel(): Promise<StepResult>;
  /** As when the runner is lost: SIGKILL, and no post step. */
  kill(): Promise<StepResult>;
}

export interface Job {
  readonly workspace: string;
  /** RUNNER_TEMP. */
  readonly temp: string;
  readonly runId: string;
  step(action: string, inputs: Record<string, string>, options?: StepOptions): Promise<StepResult>;
  start(action: string, inputs: Record<string, string>, options?: StepOptions): Promise<RunningStep>;
  /** The post step of a main step, with its state; undefined when the action has none. */
  post(main: StepResult, options?: StepOptions): Promise<StepResult | undefined>;
  /** What is declared in action.yml. */
  manifest(action: string): Promise<Manifest>;
  /**
   * The end of the job: ends the orphans, that is every process that still has the job's RUNNER_TRACKING_ID, and removes
   * the folders. Resolves to the orphans there were.
   */
  end(): Promise<Found[]>;
}

export interface Manifest {
  /** Every declared input with its default, or with the empty text the runner gives where there is none. */
  inputs: Record<string, string>;
  outputs: string[];
  main: string;
  post: string | undefined;
}

const cancelGrace = { interrupt: 7_500, terminate: 2_500 };
const summaryLimit = 1024 * 1024;

export async function readManifest(dist: string, action: string): Promise<Manifest> {
  const file = join(dist, action, 'action.yml');
  const { inputs, outputs, runs } = load(await readFile(file, 'utf8')) as {
    inputs?: Record<string, { default?: string | number | boolean } | null>;
    outputs?: Record<string, unknown>;
    runs?: { using?: string; main?: string; post?: string };
  };
  if (runs?.using !== 'node24' || runs.main === undefined) throw new Error(`${file} is not for node24`);
  return {
    inputs: Object.fromEntries(
      Object.entries(inputs ?? {}).map(([name, spec]) => [name, String(spec?.default ?? '')]),
    ),
    outputs: Object.keys(outputs ?? {}),
    main: join(dist, action, runs.main),
    post: runs.post === undefined ? undefined : join(dist, action, runs.post),
  };
}

/** Reads what a step wrote to GITHUB_OUTPUT and its like: `name=value` lines, and `name<<MARK`, lines, `MARK`. */
export function parseFileCommands(text: string): Record<string, string> {
  const values: Record<string, string> = {};
  const lines = text.split('\n');
  while (lines.length > 0) {
    const line = (lines.shift() ?? '').replace(/\r$/, '');
    if (line === '') continue;
    const equals = line.indexOf('=');
    const heredoc = line.indexOf('<<');
    if (equals >= 0 && (heredoc < 0 || equals < heredoc)) {
      values[line.slice(0, equals)] = line.slice(equals + 1);
    } else if (heredoc > 0) {
      const end = lines.indexOf(line.slice(heredoc + 2));
      if (end < 0)
        throw new Error(`Invalid value. Matching delimiter not found '${line.slice(heredoc + 2)}'`);
      values[line.slice(0, heredoc)] = lines
        .splice(0, end + 1)
        .slice(0, -1)
        .join('\n');
    } else throw new Error(`Invalid format '${line}'`);
  }
  return values;
}

export interface Command {
  name: string;
  properties: Record<string, string>;
  message: string;
}

/** A line of output as a command: `::name key=value,key=value::message`. */
export function parseCommand(line: string): Command | undefined {
  const match = /^\s*::([\w-]+)(?: ([^:]*))?::(.*)$/.exec(line);
  if (match === null) return undefined;
  const [, name = '', properties = '', message = ''] = match;
  return {
    name,
    message: unescapeData(message),
    properties: Object.fromEntries(
      properties
        .split(',')
        .filter((pair) => pair.includes('='))
        .map((pair) => [
          pair.slice(0, pair.indexOf('=')).trim(),
          unescapeData(pair.slice(pair.indexOf('=') + 1))
            .replaceAll('%3A', ':')
            .replaceAll('%2C', ','),
        ]),
    ),
  };
}

function unescapeData(text: string): string {
  return text.replaceAll('%0D', '\r').replaceAll('%0A', '\n').replaceAll('%25', '%');
}

/** The variable that the runner gives an input by; a hyphen stays. */
export function inputVariable(name: string): string {
  return `INPUT_${name.replaceAll(' ', '_').toUpperCase()}`;
}

export async function createJob(options: JobOptions = {}): Promise<Job> {
  const dist = resolve(options.dist ?? join(import.meta.dirname, '../../dist'));
  const home = await mkdtemp(join(tmpdir(), 'job-'));
  const workspace = options.workspace ?? join(home, 'workspace');
  const temp = join(home, 'temp');
  const commands = join(home, 'commands');
  for (const folder of [workspace, temp, commands]) await mkdir(folder, { recursive: true });
  const runId = options.runId ?? '1';
  const tracking = `github_${randomUUID()}`;
  /** Collected from GITHUB_ENV and GITHUB_PATH of the steps so far. */
  const exported: Record<string, string> = {};
  const paths: string[] = [];
  const { token = '' } = options;
  const secrets = new Set([...(options.secrets ?? []), ...(token === '' ? [] : [token])]);
  let phases = 0;

  async function startPhase(
    phase: 'main' | 'post',
    action: string,
    inputs: Record<string, string>,
    state: Record<string, string>,
    step: StepOptions,
  ): Promise<RunningStep> {
    const manifest = await readManifest(dist, action);
    const program = phase === 'main' ? manifest.main : manifest.post;
    if (program === undefined) throw new Error(`${action} has no post step`);
    phases += 1;
    const folder = join(commands, String(phases));
    await mkdir(folder);
    const file = (name: string) => join(folder, name);
    const names = ['output', 'summary', 'state', 'env', 'path'];
    await Promise.all(names.map((name) => writeFile(file(name), '')));
    const start = performance.now();
    const [command, ...before] = [...(options.through ?? []), process.execPath];
    const child = spawn(
      command,
      [...before, ...(step.imports ?? []).map((module) => `--import=${module}`), program],
      {
        cwd: workspace,
        // Not in this one's process group: a Ctrl-C in the terminal is for whoever drives the job.
        detached: true,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: {
          PATH: [...paths.toReversed(), process.env['PATH']].join(delimiter),
          HOME: process.env['HOME'] ?? home,
          LANG: 'C.UTF-8',
          CI: 'true',
          GITHUB_ACTIONS: 'true',
          GITHUB_ACTION: `__${action}`,
          GITHUB_ACTOR: options.actor ?? 'ada',
          GITHUB_API_URL: 'https://api.github.com',
          GITHUB_EVENT_NAME: 'push',
          GITHUB_JOB: 'deploy',
          GITHUB_REF: 'refs/heads/main',
          GITHUB_REPOSITORY: options.repository ?? 'acme/helpdesk',
          GITHUB_RUN_ATTEMPT: options.runAttempt ?? '1',
          GITHUB_RUN_ID: runId,
          GITHUB_SERVER_URL: 'https://github.com',
          GITHUB_SHA: '0123456789abcdef0123456789abcdef01234567',
          GITHUB_WORKFLOW: 'release',
          GITHUB_WORKSPACE: workspace,
          RUNNER_OS: 'Linux',
          RUNNER_TEMP: temp,
          RUNNER_TRACKING_ID: tracking,
          ...(step.debug === true ? { RUNNER_DEBUG: '1' } : {}),
          ...exported,
          ...options.env,
          ...step.env,
          ...Object.fromEntries(
            Object.entries({ ...manifest.inputs, ...inputs }).map(([name, value]) => [
              inputVariable(name),
              value === '${{ github.token }}' ? token : value,
            ]),
          ),
          ...Object.fromEntries(Object.entries(state).map(([name, value]) => [`STATE_${name}`, value])),
          GITHUB_OUTPUT: file('output'),
          GITHUB_STEP_SUMMARY: file('summary'),
          GITHUB_STATE: file('state'),
          GITHUB_ENV: file('env'),
          GITHUB_PATH: file('path'),
        },
      },
    );
    const killChild = () => void child.kill('SIGKILL');
    process.once('exit', killChild);

    const annotations: Annotation[] = [];
    const masks: string[] = [];
    const log: string[] = [];
    const raw: string[] = [];
    const listeners = new Set<(line: string) => void>();
    const show = (line: string) => {
      const masked = mask(line, [...secrets]);
      log.push(masked);
      step.onLine?.(masked);
      for (const listener of listeners) listener(masked);
    };
    let stopped: string | undefined;
    const take = (line: string) => {
      const command = parseCommand(line);
      if (command?.name !== 'add-mask') raw.push(line);
      if (stopped !== undefined) {
        if (command?.name === stopped) stopped = undefined;
        else show(line);
      } else if (command === undefined) show(line);
      else if (command.name === 'add-mask') {
        masks.push(command.message);
        // Of several lines each is masked by itself, as the log has only lines.
        for (const part of command.message.split('\n')) if (part.trim() !== '') secrets.add(part);
      } else if (command.name === 'error' || command.name === 'warning' || command.name === 'notice') {
        const { title, file, line } = command.properties;
        annotations.push({
          level: command.name,
          title,
          place: file === undefined ? undefined : `${file}:${line}`,
          message: mask(command.message, [...secrets]),
        });
        for (const part of command.message.split('\n')) show(`${command.name}: ${part}`);
      } else if (command.name === 'debug') {
        if (step.debug === true) show(`debug: ${command.message}`);
      } else if (command.name === 'stop-commands') stopped = command.message;
      else if (command.name !== 'group' && command.name !== 'endgroup') show(line);
      else if (command.name === 'group') show(`▾ ${command.message}`);
    };
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream, crlfDelay: Infinity }).on('line', take);
    }

    const { promise: closed, resolve: onClosed, reject } = Promise.withResolvers<void>();
    child.once('error', reject).once('close', () => onClosed());
    const done = closed.then(async (): Promise<StepResult> => {
      process.off('exit', killChild);
      const [output = '', summary = '', written = '', env = '', path = ''] = await Promise.all(
        names.map((name) => readFile(file(name), 'utf8')),
      );
      if (Buffer.byteLength(summary) > summaryLimit)
        throw new Error(`the summary of ${action} is above 1 MiB; the runner would drop it`);
      Object.assign(exported, parseFileCommands(env));
      paths.push(...path.split('\n').filter((line) => line !== ''));
      return {
        action,
        phase,
        inputs,
        exitCode: child.exitCode,
        signal: child.signalCode,
        outputs: parseFileCommands(output),
        state: { ...state, ...parseFileCommands(written) },
        summary: mask(summary, [...secrets]),
        annotations,
        masks,
        log: log.join('\n'),
        raw: [...raw, summary, output, written].join('\n'),
        seconds: (performance.now() - start) / 1000,
      };
    });
    done.catch(() => {}); // told to whoever awaits it

    const within = (milliseconds: number) => {
      const { promise, resolve: late } = Promise.withResolvers<boolean>();
      const timer = setTimeout(() => late(false), milliseconds);
      return Promise.race([closed.then(() => true), promise]).finally(() => clearTimeout(timer));
    };
    if (child.pid === undefined) await closed;
    return {
      pid: child.pid ?? 0,
      started: start,
      done,
      line(pattern) {
        const known = log.find((line) => pattern.test(line));
        if (known !== undefined) return Promise.resolve(known);
        const { promise, resolve: found } = Promise.withResolvers<string>();
        const listener = (line: string) => {
          if (!pattern.test(line)) return;
          listeners.delete(listener);
          found(line);
        };
        listeners.add(listener);
        const ended = done.then((result) => {
          throw new Error(`${action} ended without a line like ${String(pattern)}:\n${result.log}`);
        });
        return Promise.race([promise, ended]);
      },
      async cancel() {
        child.kill('SIGINT');
        if (!(await within(cancelGrace.interrupt))) child.kill('SIGTERM');
        if (!(await within(cancelGrace.terminate))) child.kill('SIGKILL');
        return done;
      },
      kill() {
        child.kill('SIGKILL');
        return done;
      },
    };
  }

  const job: Job = {
    workspace,
    temp,
    runId,
    start: (action, inputs, step = {}) => startPhase('main', action, inputs, {}, step),
    async step(action, inputs, step = {}) {
      return (await startPhase('main', action, inputs, {}, step)).done;
    },
    async post(main, step = {}) {
      if ((await readManifest(dist, main.action)).post === undefined) return undefined;
      return (await startPhase('post', main.action, main.inputs, main.state, step)).done;
    },
    manifest: (action) => readManifest(dist, action),
    async end() {
      const orphans = processesWith(tracking);
      if (orphans.length > 0) await endProcessesWith(tracking);
      await rm(home, { recursive: true, force: true });
      return orphans;
    },
  };
  return job;
}

function mask(text: string, secrets: string[]): string {
  return secrets
    .toSorted((a, b) => b.length - a.length)
    .reduce((masked, secret) => masked.replaceAll(secret, '***'), text);
}
