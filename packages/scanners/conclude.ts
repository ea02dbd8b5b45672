import { stat } from 'node:fs/promises';
import type { Context, InputValues, Outcome } from '@deploy-actions/action-kit';
import { DeployError, orUndefinedIfMissing } from '@deploy-actions/core';
import {
  describeCounts,
  type Finding,
  type Limits,
  type Severity,
  type Target,
} from '@deploy-actions/findings';
import { openReporting, publishFindings } from '@deploy-actions/publish';
import { readIgnoreFile, refuseUndated, tellIgnores } from './ignore-file.ts';
import { applyIgnores, type Ignore } from './ignore.ts';
import type { verdictInputs } from './inputs.ts';
import { judgeScan, type ScanVerdict } from './judge.ts';
import type { FindingClass, Scanned } from './model.ts';

type VerdictInputs = InputValues<ReturnType<typeof verdictInputs>>;

/** Of the inputs of a scan, what it is concluded by; of `baseline` only whether there is one. */
type ConcludeInputs = Pick<VerdictInputs, 'count-known' | 'sarif'> & {
  baseline: string | string[] | undefined;
  'github-token': string | undefined;
};

/** The ignore file of a scan, refused before anything is scanned when it cannot be used. */
export async function readIgnores(
  inputs: Pick<VerdictInputs, 'ignore-file' | 'ignore-without-date'>,
  usual: readonly string[],
  { facts, log }: Pick<Context, 'facts' | 'log'>,
): Promise<Ignore[]> {
  const ignores = await readIgnoreFile(inputs['ignore-file'], usual, facts.workspace);
  refuseUndated(ignores, inputs['ignore-without-date'], log);
  return ignores;
}

/** Throws `not_found` for a baseline that is no folder: without it all would be new. */
export async function checkBaseline(baseline: string): Promise<void> {
  if ((await orUndefinedIfMissing(stat(baseline)))?.isDirectory() === true) return;
  throw new DeployError('not_found', `The baseline ${baseline} is no folder.`, {
    remedy: 'Check the base branch out there in a step before, or leave `baseline` out.',
  });
}

/** What was found, and what it is judged and reported by. */
export interface Scanning {
  /** Of the check, the comment and code scanning. */
  purpose: string;
  title: string;
  /** As code scanning names it; default the purpose. */
  tool?: string;
  /** A class that is left out has none. */
  limits: Partial<Record<FindingClass, Limits>>;
  found: readonly (Finding & Scanned)[];
  ignores: readonly Ignore[];
  /** As what a finding counts that nobody rates. */
  unrated?: Severity;
  ignoreUnfixed?: boolean;
  /** What was looked at, so that code scanning closes what is not found any more. */
  targets: readonly Target[];
  /** The one category in code scanning of what lies in files of the repository, however many there are. */
  files?: Target;
  /** What the outcome begins with: `3 lock files audited`. */
  done: string;
  remedy: string;
  /** Writes the summary above the findings: without those that are ignored. */
  summarize(findings: readonly (Finding & Scanned)[], verdict: ScanVerdict): void;
}

export interface Concluded extends Pick<Outcome, 'result' | 'reasonCode' | 'message' | 'remedy'> {
  findings: (Finding & Scanned)[];
  verdict: ScanVerdict;
  outputs: { passed: boolean; counts: string; findings: number; new: number | undefined };
}

/** Takes out what is ignored, judges the rest, and says all of it: in the summary, the check, the comment and code scanning. */
export async function concludeScan(
  inputs: ConcludeInputs,
  context: Context,
  scanning: Scanning,
): Promise<Concluded> {
  const { purpose, title, unrated = 'unknown' } = scanning;
  const sorted = applyIgnores(scanning.found, scanning.ignores, new Date().toISOString().slice(0, 10));
  tellIgnores(sorted, context.log, context.summary);
  const kept = new Set<Scanned>(sorted.kept);
  const findings = scanning.found.filter((finding) => kept.has(finding));
  const verdict = judgeScan(
    findings.map((finding) => (finding.severity === 'unknown' ? { ...finding, severity: unrated } : finding)),
    {
      limits: {
        vulnerability: {},
        misconfiguration: {},
        secret: {},
        licence: {},
        ...scanning.limits,
      },
      ignoreUnfixed: scanning.ignoreUnfixed ?? false,
      onlyNew: inputs.baseline !== undefined && !inputs['count-known'],
    },
  );
  const unknown = findings.filter(({ severity }) => severity === 'unknown').length;
  const message =
    unknown === 0 || unrated === 'unknown'
      ? verdict.message
      : `${verdict.message} Rated by no advisory and counted as ${unrated}: ${unknown}.`;
  scanning.summarize(findings, verdict);
  await publishFindings(openReporting(context, inputs['github-token']), context, {
    purpose,
    title,
    findings,
    verdict: { passed: verdict.passed, message },
    ...(inputs.sarif
      ? { sarif: { tool: scanning.tool ?? purpose, targets: scanning.targets, files: scanning.files } }
      : {}),
  });
  const { passed, counts } = verdict;
  return {
    result: passed ? 'succeeded' : 'failed',
    reasonCode: passed ? 'ok' : 'findings_over_limit',
    message: `${scanning.done}; ${describeCounts(counts)} counted. ${message}`,
    remedy: passed ? undefined : scanning.remedy,
    findings,
    verdict,
    outputs: {
      passed,
      counts: JSON.stringify(counts),
      findings: findings.length,
      new: inputs.baseline === undefined ? undefined : findings.filter(({ known }) => known === false).length,
    },
  };
}
