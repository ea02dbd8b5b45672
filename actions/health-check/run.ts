import { type Context, escapeMarkdown, type InputValues, type Outcome } from '@deploy-actions/action-kit';
import { deadlineIn, DeployError, formatDuration, lastLines, runProcess, sleep } from '@deploy-actions/core';
import { type Check, describeFailure, judgeAnswer, request } from './check.ts';
import type { definition } from './definition.ts';

type Inputs = InputValues<(typeof definition)['inputs']>;
type Outputs = (typeof definition)['outputs'];

async function checkUrl(url: URL, inputs: Inputs, signal: AbortSignal): Promise<Check> {
  const start = performance.now();
  try {
    const answer = await request(url, inputs.headers ?? {}, inputs['request-timeout'], signal);
    const expected = { status: inputs.status, json: inputs.json ?? {}, body: inputs.body };
    return {
      ...judgeAnswer(answer, expected),
      status: answer.status,
      milliseconds: performance.now() - start,
    };
  } catch (thrown) {
    return {
      healthy: false,
      status: null,
      seen: describeFailure(thrown),
      milliseconds: performance.now() - start,
      dependencies: [],
    };
  }
}

async function checkCommand(command: string[], inputs: Inputs, context: Context): Promise<Check> {
  const start = performance.now();
  const result = await runProcess({
    command,
    cwd: inputs['working-directory'],
    env: context.environment,
    signal: context.signal,
    timeout: inputs['request-timeout'],
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

function summarize(context: Context, target: string, checks: Check[]): void {
  const { summary } = context;
  const last = checks.at(-1);
  summary.table(
    ['Target', 'Checks', 'Last answer', 'Took'],
    [
      [
        escapeMarkdown(target),
        String(checks.length),
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
  let inARow = 0;
  log.info(`Checking ${target}.`);
  for (;;) {
    const check =
      url === undefined ? await checkCommand(command, inputs, context) : await checkUrl(url, inputs, signal);
    checks.push(check);
    inARow = check.healthy ? inARow + 1 : 0;
    if (inARow >= inputs.successes || deadline.remaining() <= inputs.interval) break;
    log.progress({
      what: `waiting until ${target} is healthy`,
      elapsed: deadline.elapsed(),
      remaining: deadline.remaining(),
      detail: check.healthy ? `${inARow} of ${inputs.successes} in a row` : check.seen,
    });
    await sleep(inputs.interval, signal, `waiting until ${target} is healthy`);
  }

  summarize(context, target, checks);
  const last = checks.at(-1);
  const healthy = inARow >= inputs.successes;
  const inARowText = inputs.successes === 1 ? '' : `, ${inARow} of ${inputs.successes} needed in a row`;
  return {
    result: healthy ? 'succeeded' : 'failed',
    reasonCode: healthy ? 'ok' : 'unhealthy',
    message: healthy
      ? `${target} is healthy after ${checks.length} ${checks.length === 1 ? 'check' : 'checks'} (${formatDuration(deadline.elapsed())}).`
      : `${target} was not healthy within ${formatDuration(inputs.timeout)} (${checks.length} ${checks.length === 1 ? 'check' : 'checks'}${inARowText}). Last seen: ${last?.seen ?? 'nothing'}.`,
    remedy: healthy
      ? undefined
      : 'Look at the log of the application; if it only needs longer, raise `timeout`.',
    outputs: {
      checks: checks.length,
      'last-status': last?.status ?? undefined,
      dependencies: JSON.stringify(last?.dependencies ?? []),
    },
    report: { target, checks: checks.slice(-100) },
  };
}
