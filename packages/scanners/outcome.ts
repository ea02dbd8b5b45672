import type { Outcome, OutputSpecs } from '@deploy-actions/action-kit';
import { DeployError, type ReasonCode } from '@deploy-actions/core';

const noVerdict: readonly ReasonCode[] = [
  'scan_failed',
  'tool_rejected',
  'unreachable',
  'not_found',
  'timeout',
  'permission_denied',
];

/** What a scan came to, or `error` where it could not come to its end: that is neither passed nor findings, and sets no output. */
export async function orNoVerdict<O extends OutputSpecs>(
  outputs: O,
  scan: () => Promise<Outcome<O>>,
): Promise<Outcome<O>> {
  try {
    return await scan();
  } catch (thrown) {
    if (!(thrown instanceof DeployError) || !noVerdict.includes(thrown.reasonCode)) throw thrown;
    const empty = Object.fromEntries(Object.keys(outputs).map((name) => [name, undefined]));
    return {
      result: 'error',
      reasonCode: thrown.reasonCode,
      message: `There is no verdict. ${thrown.message}`,
      remedy: thrown.remedy,
      outputs: empty as Outcome<O>['outputs'],
      report: { details: thrown.details },
    };
  }
}
