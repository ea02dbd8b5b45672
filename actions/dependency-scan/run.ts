import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Context, escapeMarkdown, type InputValues, type Outcome } from '@deploy-actions/action-kit';
import { DeployError, orUndefinedIfMissing } from '@deploy-actions/core';
import {
  compare,
  countBySeverity,
  describeCounts,
  type Finding,
  identify,
  parseLimits,
} from '@deploy-actions/findings';
import { openReporting, publishFindings } from '@deploy-actions/publish';
import {
  applyIgnores,
  type AuditedFile,
  auditLockFile,
  type Change,
  changesOf,
  type DependencyOptions,
  findLockFiles,
  isPython,
  judgeScan,
  orNoVerdict,
  pipAuditRequirements,
  pipAuditVersion,
  readIgnoreFile,
  refuseUndated,
  type Scanned,
  tellIgnores,
} from '@deploy-actions/scanners';
import { findProgram, installPythonTool } from '@deploy-actions/tools';
import { definition } from './definition.ts';

type Inputs = InputValues<(typeof definition)['inputs']>;
type Outputs = (typeof definition)['outputs'];

/** A pip-audit on PATH, else the one that this repository vouches for. */
async function findPipAudit(inputs: Inputs, context: Context): Promise<string[]> {
  const { environment, facts, log, signal } = context;
  const program = await findProgram('pip-audit', environment);
  if (program !== undefined) {
    log.info(`pip-audit is on PATH: ${program}.`);
    return [program];
  }
  if (!inputs['install-pip-audit']) {
    throw new DeployError('not_found', 'pip-audit is not on PATH, and `install-pip-audit` is false.', {
      remedy: 'Install it in a step before, or let this step install it.',
    });
  }
  return installPythonTool(
    {
      name: 'pip-audit',
      module: 'pip_audit',
      version: pipAuditVersion,
      requirements: pipAuditRequirements,
    },
    { cache: join(facts.temp, 'deploy-actions', 'tools'), log, signal, environment },
  );
}

async function auditAll(
  files: readonly string[] | undefined,
  options: DependencyOptions,
): Promise<AuditedFile[]> {
  const audited: AuditedFile[] = [];
  for (const file of await findLockFiles(options.root, files)) {
    const one = await auditLockFile(file, options);
    options.log.info(
      `${file.path}: ${one.findings.length} findings in ${one.packages ?? 'an unknown number of'} packages.`,
    );
    audited.push(one);
  }
  return audited;
}

/** The fingerprints of what the base branch has; a lock file that it does not have is new with all that is in it. */
async function knownBefore(
  baseline: string,
  audited: readonly AuditedFile[],
  options: DependencyOptions,
): Promise<Set<string>> {
  if ((await orUndefinedIfMissing(stat(baseline)))?.isDirectory() !== true) {
    throw new DeployError('not_found', `The baseline ${baseline} is no folder.`, {
      remedy: 'Check the base branch out there in a step before, or leave `baseline` out.',
    });
  }
  const known = new Set<string>();
  for (const { file } of audited) {
    if ((await orUndefinedIfMissing(stat(join(baseline, file.path)))) === undefined) continue;
    const { findings } = await auditLockFile(file, { ...options, root: baseline });
    for (const { fingerprint } of identify(findings)) known.add(fingerprint);
  }
  return known;
}

function summarize(
  { summary }: Context,
  audited: readonly AuditedFile[],
  findings: readonly (Finding & Scanned)[],
  changes: readonly Change[],
): void {
  summary.table(
    ['Lock file', 'Findings', 'New', 'Packages'],
    audited.map(({ file, packages }) => {
      const own = findings.filter(({ target }) => target.name === file.path);
      const compared = own.some(({ known }) => known !== null);
      return [
        escapeMarkdown(file.path),
        describeCounts(countBySeverity(own)),
        compared ? String(own.filter(({ known }) => known === false).length) : '',
        packages === null ? '' : String(packages),
      ];
    }),
  );
  if (changes.length > 0) {
    summary.heading('What fixes would change', 3);
    summary.table(
      ['Lock file', 'Package', 'Now', 'Fixed in', 'Ends'],
      changes.map(({ lockFile, package: name, from, to, ends }) =>
        [lockFile, name, from ?? '', to ?? 'see the advisories', String(ends)].map(escapeMarkdown),
      ),
    );
  }
}

export function run(inputs: Inputs, context: Context): Promise<Outcome<Outputs>> {
  return orNoVerdict(definition.outputs, () => scanAndJudge(inputs, context));
}

async function scanAndJudge(inputs: Inputs, context: Context): Promise<Outcome<Outputs>> {
  const { facts, log, signal, environment } = context;
  const ignores = await readIgnoreFile(
    inputs['ignore-file'],
    ['.dependencyignore.yaml', '.dependencyignore'],
    facts.workspace,
  );
  refuseUndated(ignores, inputs['ignore-without-date'], log);
  const files = await findLockFiles(facts.workspace, inputs.paths);
  const temp = join(facts.temp, 'deploy-actions');
  await mkdir(temp, { recursive: true });
  const options: DependencyOptions = {
    program: files.some(isPython) ? await findPipAudit(inputs, context) : [],
    service: inputs.advisories,
    osv: inputs['osv-url'].href,
    rated: inputs.severities === 'osv',
    registry: inputs['npm-registry']?.href,
    productionOnly: inputs['production-only'],
    unaudited: inputs.unaudited ?? [],
    root: facts.workspace,
    temp,
    timeout: inputs.timeout,
    environment,
    log,
    signal,
  };

  const audited = await auditAll(inputs.paths, options);
  let found: (Finding & Scanned)[] = identify(audited.flatMap(({ findings }) => findings));
  if (inputs.baseline !== undefined) {
    found = compare(found, await knownBefore(inputs.baseline, audited, options));
  }
  const sorted = applyIgnores(found, ignores, new Date().toISOString().slice(0, 10));
  tellIgnores(sorted, log, context.summary);
  const kept = new Set<Scanned>(sorted.kept);
  const findings = found.filter((finding) => kept.has(finding));

  const unrated = inputs['unknown-counts-as'];
  const verdict = judgeScan(
    findings.map((finding) => (finding.severity === 'unknown' ? { ...finding, severity: unrated } : finding)),
    {
      limits: {
        vulnerability: parseLimits(inputs.limits, 'limits'),
        misconfiguration: {},
        secret: {},
        licence: {},
      },
      ignoreUnfixed: inputs['ignore-unfixed'],
      onlyNew: inputs.baseline !== undefined && !inputs['count-known'],
    },
  );
  const unknown = findings.filter(({ severity }) => severity === 'unknown').length;
  const message =
    unknown === 0 || unrated === 'unknown'
      ? verdict.message
      : `${verdict.message} Rated by no advisory and counted as ${unrated}: ${unknown}.`;
  const changes = changesOf(findings);
  summarize(context, audited, findings, changes);
  await publishFindings(openReporting(context, inputs['github-token']), context, {
    purpose: 'dependency-scan',
    title: 'Dependency scan',
    findings,
    verdict: { passed: verdict.passed, message },
    ...(inputs.sarif
      ? {
          sarif: {
            tool: 'dependency-scan',
            targets: audited.map(({ file }) => ({ kind: 'lock-file', name: file.path, version: null })),
          },
        }
      : {}),
  });

  return {
    result: verdict.passed ? 'succeeded' : 'failed',
    reasonCode: verdict.passed ? 'ok' : 'findings_over_limit',
    message: `${audited.length === 1 ? '1 lock file' : `${audited.length} lock files`} audited; ${describeCounts(verdict.counts)} counted. ${message}`,
    remedy: verdict.passed
      ? undefined
      : 'Update what has a fixed version; for what cannot be mended now, write an ignore entry with a last day and a reason.',
    outputs: {
      passed: verdict.passed,
      counts: JSON.stringify(verdict.counts),
      findings: findings.length,
      new: inputs.baseline === undefined ? undefined : findings.filter(({ known }) => known === false).length,
      fixes: JSON.stringify(changes),
    },
    report: {
      verdict,
      lockFiles: audited.map(({ file, packages, unaudited }) => ({ ...file, packages, unaudited })),
      fixes: changes,
      findings,
    },
  };
}
