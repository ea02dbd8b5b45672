import { cancelled, sleep, type Deadline, type Log } from '@deploy-actions/core';
import type { Observed, Target, Traffic } from '@deploy-actions/release-engine';

/** What one request through the data plane came to. Both absent is not possible. */
export type ProbeAnswer = { slot: string } | { problem: string };

/** Sends one request. Never rejects: an answer that is none is a problem. */
export type Probe = (signal: AbortSignal) => Promise<ProbeAnswer>;

export interface Verification {
  traffic: Traffic;
  probe: Probe;
  /** Whether probes share their rotation with other requests, so that their shares are those of a random sample. */
  sampled: boolean;
  deadline: Deadline;
  signal: AbortSignal;
  log: Log;
  /** Called after a round that did not follow the traffic: what can be done about it is done before the next. */
  mend?(): Promise<void>;
}

const fewest = 20;
const fewestSampled = 100;
const atOnce = 10;
const pause = 100;
/** Percentage points; another run's probes may come in between. */
const tolerance = 5;
/** Of the binomial distribution. Beyond it, chance alone is in 1 of 2,000 rounds. */
const standardDeviations = 3.5;

/**
 * Sends rounds of probes until one follows the traffic: every answer from the application, none from a slot of
 * weight 0, each slot's share its weight within the tolerance. A round is whole cycles of the weighted rotation, in
 * which the shares of an undisturbed one are exact.
 */
export async function verifyByProbes(verification: Verification): Promise<Observed> {
  const { traffic, deadline, signal, log } = verification;
  if (traffic.targets.length === 0)
    return { matches: false, answers: {}, detail: 'no traffic is configured' };
  let last: Observed = { matches: false, answers: {}, detail: 'there was no time to send a request' };
  while (!deadline.passed()) {
    const answers = await round(verification);
    if (signal.aborted) throw cancelled('verifying the traffic');
    // A round that the deadline cut says less than the one before it, if there was one.
    if (deadline.passed() && Object.keys(last.answers).length > 0) break;
    last = judged(traffic.targets, answers, verification.sampled);
    log.progress({
      what: 'the traffic to follow',
      elapsed: deadline.elapsed(),
      remaining: deadline.remaining(),
      detail: last.detail,
    });
    if (last.matches) break;
    await verification.mend?.();
    await sleep(Math.min(pause, deadline.remaining()), signal, 'verifying the traffic');
  }
  return last;
}

async function round({ traffic, probe, sampled, deadline, signal }: Verification): Promise<ProbeAnswer[]> {
  const count = roundSize(traffic.targets, sampled ? fewestSampled : fewest);
  const limit = AbortSignal.any([signal, AbortSignal.timeout(Math.ceil(deadline.remaining()))]);
  const answers: ProbeAnswer[] = [];
  let started = 0;
  const sender = async () => {
    while (started < count && !limit.aborted) {
      started++;
      answers.push(await probe(limit));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, sender));
  return answers;
}

/** Whole cycles of a weighted rotation, at least this many requests. */
export function roundSize(targets: Target[], atLeast: number): number {
  const divisor = targets.reduce((common, { weight }) => greatestCommonDivisor(common, weight), 0);
  const cycle = 100 / (divisor === 0 ? 100 : divisor);
  return Math.ceil(atLeast / cycle) * cycle;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/** Whether the answers follow the targets, and why not. */
export function judged(targets: Target[], answers: ProbeAnswer[], sampled: boolean): Observed {
  const counts: Record<string, number> = Object.fromEntries(targets.map(({ slot }) => [slot, 0]));
  const problems = new Map<string, number>();
  for (const answer of answers) {
    if ('slot' in answer) counts[answer.slot] = (counts[answer.slot] ?? 0) + 1;
    else problems.set(answer.problem, (problems.get(answer.problem) ?? 0) + 1);
  }
  const wrong = Array.from(
    problems,
    ([problem, count]) => `${count} of ${answers.length} probes: ${problem}`,
  );
  for (const [slot, count] of Object.entries(counts)) {
    const weight = targets.find((target) => target.slot === slot)?.weight ?? 0;
    const share = (100 * count) / Math.max(1, answers.length);
    const chance = Math.sqrt((weight * (100 - weight)) / Math.max(1, answers.length));
    const allowed = weight === 0 ? 0 : sampled ? Math.max(tolerance, standardDeviations * chance) : tolerance;
    if ((weight > 0 && count === 0) || Math.abs(share - weight) > allowed) {
      wrong.push(`${slot} answered ${count} of ${answers.length}, its weight is ${weight} %`);
    }
  }
  const seen = Object.entries(counts).map(([slot, count]) => `${slot} ${count}`);
  return {
    matches: answers.length > 0 && wrong.length === 0,
    answers: counts,
    detail: wrong.length > 0 ? wrong.join('; ') : `of ${answers.length} probes: ${seen.join(', ')}`,
  };
}
