import { type Context, escapeMarkdown, type InputValues, type Outcome } from '@deploy-actions/action-kit';
import {
  cancelled,
  deadlineIn,
  DeployError,
  formatDuration,
  lastLines,
  runProcess,
  sleep,
} from '@deploy-actions/core';
import { type Check, describeFailure, judgeAnswer, request } from './check.ts';
import type { definition } from './definition.ts';

type Inputs = InputValues<(typeof definition)['inputs']>;
type Outputs = (typeof definition)['outputs'];

/** Milliseconds that a check may take which begins at, or just before, the deadline. */
const lastCheckTimeout = 1_000;
/** The last checks, for the report. */
const checksKept = 100;

async function checkUrl(url: URL, inputs: Inputs, timeout: number, signal: AbortSignal): Promise<Check> {
  const start = performance.now();
  try {
    const answer = await request(url, inputs.headers ?? {}, timeout, signal);
    const expected = { status: inputs.status, json: inputs.json ?? {}, body: inputs.body };
    return {
      ...judgeAnswer(answer, expected),
      status: answer.status,
      milliseconds: performance.now() - start,
    };
  } catch (thrown) {
    if (signal.aborted) throw cancelled(`asking ${url.origin}`);
    return {
      healthy: false,
      status: null,
      seen: describeFailure(thrown),
      milliseconds: performance.now() - start,
      dependencies: [],
    };
  }
}

async function checkCommand(
  command: string[],
  inputs: Inputs,
  timeout: number,
  context: Context,
): Promise<Check> {
  const start = performance.now();
  const result = await runProcess({
    command,
    cwd: inputs['working-directory'],
    env: context.environment,
    signal: context.signal,
    timeout,
  }).catch((thrown: unknown) => {
    // A hanging check is an unhealthy answer; a program that is not there never gets better.
    if (thrown instanceof DeployError && thrown.reasonCode === 'timeout') return thrown;
    throw thrown;
  });
  const milliseconds = performance.now() - start;
  if (result instanceof DeployError) {
    return { healthy: false, status: null, seen: result.message, milliseconds, dependencies: [] };
  }
  const output = lastLines(result.stderr.trim() === '' ? result.stdout : result.stderr, 5).join(' | ');
  return {
    healthy: result.code === 0,
    status: result.code,
    seen: result.code === 0 ? 'exit code 0' : `exit code ${result.code ?? result.signal}: ${output}`,
    milliseconds,
    dependencies: [],
  };
}

function summarize(context: Context, target: string, count: number, last: Check | undefined): void {
  const { summary } = context;
  summary.table(
    ['Target', 'Checks', 'Last answer', 'Took'],
    [
      [
        escapeMarkdown(target),
        String(count),
        escapeMarkdown(last?.seen ?? 'none'),
        formatDuration(last?.milliseconds ?? 0),
      ],
    ],
  );
  if (last !== undefined && last.dependencies.length > 0) {
    summary.heading('Dependencies', 3);
    summary.table(
      ['Dependency', 'Status', 'Took', 'Error'],
      last.dependencies.map(({ name, status, seconds, error }) => [
        escapeMarkdown(name),
        escapeMarkdown(status),
        seconds === null ? '–' : formatDuration(seconds * 1_000),
        escapeMarkdown(error ?? ''),
      ]),
    );
  }
}

export async function run(inputs: Inputs, context: Context): Promise<Outcome<Outputs>> {
  const { log, signal } = context;
  for (const value of Object.values(inputs.headers ?? {})) context.mask(value);
  const { url, command = [] } = inputs;
  const target = url === undefined ? command.join(' ') : `${url.origin}${url.pathname}`;
  const deadline = deadlineIn(inputs.timeout);
  const checks: Check[] = [];
  let count = 0;
  let inARow = 0;
  let lastAt = 0;
  /** Milliseconds without a break, and in all, that are not held against `timeout`. */
  const steady = { now: 0, all: 0 };
  const left = () => Math.max(0, inputs.timeout - deadline.elapsed() + steady.all);
  const isHealthy = () => inARow >= inputs.successes && steady.now >= inputs.steady;
  log.info(`Checking ${target}.`);
  for (;;) {
    // The check that begins at the deadline is the last; with a deadline of 0 it is the only one.
    const isLast = left() === 0;
    const longest = inputs.timeout === 0 ? Infinity : Math.max(lastCheckTimeout, left());
    const timeout = Math.ceil(Math.min(inputs['request-timeout'], longest));
    const check =
      url === undefined
        ? await checkCommand(command, inputs, timeout, context)
        : await checkUrl(url, inputs, timeout, signal);
    count += 1;
    if (checks.push(check) > checksKept) checks.shift();
    const at = deadline.elapsed();
    const between = inARow > 0 && inputs.steady > 0 ? at - lastAt : 0;
    lastAt = at;
    inARow = check.healthy ? inARow + 1 : 0;
    steady.now = check.healthy ? steady.now + between : 0;
    steady.all += check.healthy ? between : 0;
    // Once it is healthy it is looked at for as long as it has to stay so.
    const isWatched = check.healthy && inputs.steady > 0;
    if (isHealthy() || (isLast && !isWatched)) break;
    log.progress({
      what: isWatched ? `watching ${target}` : `waiting until ${target} is healthy`,
      elapsed: deadline.elapsed(),
      remaining: isWatched ? inputs.steady - steady.now : left(),
      detail: check.healthy ? `${inARow} of ${inputs.successes} in a row` : check.seen,
    });
    const pause = isWatched ? inputs.interval : Math.min(inputs.interval, left());
    await sleep(pause, signal, `waiting until ${target} is healthy`);
  }

  summarize(context, target, count, checks.at(-1));
  const last = checks.at(-1);
  const healthy = isHealthy();
  const countText = count === 1 ? '1 check' : `${count} checks`;
  const inARowText = inputs.successes === 1 ? '' : `, ${inARow} of ${inputs.successes} needed in a row`;
  return {
    result: healthy ? 'succeeded' : 'failed',
    reasonCode: healthy ? 'ok' : 'unhealthy',
    message: healthy
      ? `${target} is healthy after ${countText} (${formatDuration(deadline.elapsed())}).`
      : `${target} was not healthy ${inputs.steady === 0 ? 'within' : 'for longer than'} ${formatDuration(inputs.timeout)} (${countText}${inARowText}). Last seen: ${last?.seen ?? 'nothing'}.`,
    remedy: healthy
      ? undefined
      : 'Look at the log of the application; if it only needs longer, raise `timeout`.',
    outputs: {
      checks: count,
      'last-status': last?.status ?? undefined,
      dependencies: JSON.stringify(last?.dependencies ?? []),
    },
    report: { target, checks },
  };
}
