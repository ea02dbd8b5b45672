import type { ReasonCode } from '@deploy-actions/core';
import type { Outcome, Verdict } from './verdict.ts';

export interface Combined {
  outcome: Outcome;
  /** Of the first of the worst verdicts. */
  reasonCode: ReasonCode;
  /** The words of all verdicts, the worst first. */
  words: string[];
  verdicts: Verdict[];
}

const severity: Record<Outcome, number> = { pass: 0, undecided: 1, inconclusive: 2, fail: 3 };

/** One outcome of several limits: the worst wins. Nothing judged is inconclusive, not a pass. */
export function combine(verdicts: readonly Verdict[]): Combined {
  const [worst, ...others] = verdicts.toSorted((a, b) => severity[b.outcome] - severity[a.outcome]);
  if (worst === undefined) {
    return {
      outcome: 'inconclusive',
      reasonCode: 'insufficient_data',
      words: ['No limit was judged.'],
      verdicts: [],
    };
  }
  return {
    outcome: worst.outcome,
    reasonCode: worst.reasonCode,
    words: [worst, ...others].map(({ words }) => words),
    verdicts: [...verdicts],
  };
}

/** What is to happen when the time is over and there still is no verdict. There is no default. */
export type OnInconclusive = 'hold' | 'fail' | 'pass';

/** `wait`: look again. `hold`: stop here, keep the traffic as it is, and let a person decide. */
export type Decision = 'pass' | 'fail' | 'hold' | 'wait';

/** What to do about an outcome. Until the deadline what is open is waited for; after it the policy says. */
export function settle(outcome: Outcome, policy: OnInconclusive, deadlinePassed: boolean): Decision {
  if (outcome === 'pass' || outcome === 'fail') return outcome;
  return deadlinePassed ? policy : 'wait';
}
