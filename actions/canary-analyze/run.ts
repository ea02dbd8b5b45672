import { type Context, escapeMarkdown, type InputValues, type Outcome } from '@deploy-actions/action-kit';
import { formatDuration } from '@deploy-actions/core';
import { analysisOf, checkMetrics, watchWindow } from '@deploy-actions/targets';
import type { definition } from './definition.ts';

type Inputs = InputValues<(typeof definition)['inputs']>;
type Outputs = (typeof definition)['outputs'];

export async function run(inputs: Inputs, context: Context): Promise<Outcome<Outputs>> {
  const analysis = analysisOf(inputs, undefined, { slot: inputs.slot, version: inputs.version }, 1);
  await checkMetrics(inputs, context.signal, context.log);
  const { decision, combined, elapsed } = await watchWindow(
    analysis,
    inputs.window,
    context.signal,
    context.log,
    () => Promise.resolve(),
  );
  const findings = combined.verdicts.map((verdict) => verdict.findings);
  const errors = findings.find((found) => found?.kind === 'error-rate');
  const times = findings.find((found) => found?.kind === 'response-time');
  const verdict = decision === 'hold' ? 'inconclusive' : decision;
  context.summary.table(
    ['Limit', 'Verdict', 'Why'],
    combined.verdicts.map(({ limit, outcome, words }) => [
      limit.kind === 'error-rate'
        ? `error rate < ${limit.max * 100} %`
        : `response time p${Math.round(limit.quantile * 100)} < ${formatDuration(limit.max)}`,
      outcome,
      escapeMarkdown(words),
    ]),
  );
  for (const words of combined.words) context.log.info(words);
  return {
    result: verdict === 'pass' ? 'succeeded' : verdict === 'fail' ? 'failed' : 'inconclusive',
    reasonCode: verdict === 'pass' ? 'ok' : combined.reasonCode,
    message: `${verdict} after ${formatDuration(elapsed)}: ${combined.words.join(' ')}`,
    remedy:
      verdict === 'pass'
        ? undefined
        : verdict === 'fail'
          ? 'Look at the errors and response times of the version; do not promote it.'
          : 'Give it more traffic or time (`window`, `hold-timeout`), lower `min-requests`, or see that the endpoint has the metrics asked for.',
    outputs: {
      verdict,
      'error-rate':
        errors?.estimate === null || errors === undefined
          ? undefined
          : Number((errors.estimate * 100).toFixed(3)),
      'response-time': times?.estimate.estimate ?? undefined,
      requests: errors?.n,
    },
    report: { verdict, verdicts: combined.verdicts, elapsed },
  };
}
