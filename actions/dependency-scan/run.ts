import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Context, escapeMarkdown, type InputValues, type Outcome } from '@deploy-actions/action-kit';
import { DeployError, orUndefinedIfMissing } from '@deploy-actions/core';
import { compare, type Finding, identify, parseLimits } from '@deploy-actions/findings';
import {
  type AuditedFile,
  auditLockFile,
  changesOf,
  checkBaseline,
  concludeScan,
  type DependencyOptions,
  findLockFiles,
  isPython,
  type LockFile,
  orNoVerdict,
  pipAuditRequirements,
  pipAuditVersion,
  readIgnores,
  repositoryFiles,
  type Scanned,
  targetCells,
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

async function auditAll(files: readonly LockFile[], options: DependencyOptions): Promise<AuditedFile[]> {
  const audited: AuditedFile[] = [];
  for (const file of files) {
    const one = await auditLockFile(file, options);
    options.log.info(
      `${file.path}: ${one.findings.length} findings in ${one.packages ?? 'an unknown number of'} packages.`,
    );
    audited.push(one);
  }
  return audited;
}

/** A requirements file is audited with those that it takes in: what one of these has, too, is its finding alone. */
function onceEach(audited: readonly AuditedFile[]): AuditedFile[] {
  const keyOf = ({ rule, subject }: Scanned) => JSON.stringify([rule.id, subject?.name, subject?.version]);
  return audited.map((one) => {
    const included = audited.filter(
      // Two that take in each other would each leave all to the other.
      ({ file }) => one.file.includes?.includes(file.path) && !file.includes?.includes(one.file.path),
    );
    const theirs = new Set(included.flatMap(({ findings }) => findings.map(keyOf)));
    return { ...one, findings: one.findings.filter((finding) => !theirs.has(keyOf(finding))) };
  });
}

/** The fingerprints of what the base branch has; a lock file that it does not have is new with all that is in it. */
async function knownBefore(
  baseline: string,
  audited: readonly AuditedFile[],
  options: DependencyOptions,
): Promise<Set<string>> {
  await checkBaseline(baseline);
  const known = new Set<string>();
  for (const { file } of audited) {
    if ((await orUndefinedIfMissing(stat(join(baseline, file.path)))) === undefined) continue;
    const { findings } = await auditLockFile(file, {
      ...options,
      root: baseline,
      // What they hide there is taken for new, which errs on the safe side; refusing would refuse the change that mends it, too.
      toolIgnores: 'warn',
    });
    for (const { fingerprint } of identify(findings)) known.add(fingerprint);
  }
  return known;
}

function summarize(
  { summary }: Context,
  audited: readonly AuditedFile[],
  findings: readonly (Finding & Scanned)[],
): void {
  summary.table(
    ['Lock file', 'Findings', 'New', 'Packages'],
    audited.map(({ file, packages }) => [
      ...targetCells(
        file.path,
        findings.filter(({ target }) => target.name === file.path),
      ),
      packages === null ? '' : String(packages),
    ]),
  );
  const changes = changesOf(findings);
  if (changes.length === 0) return;
  summary.heading('What fixes would change', 3);
  summary.table(
    ['Lock file', 'Package', 'Now', 'Fixed in', 'Ends'],
    changes.map(({ lockFile, package: name, from, to, ends }) =>
      [lockFile, name, from ?? '', to ?? 'see the advisories', String(ends)].map(escapeMarkdown),
    ),
  );
}

export function run(inputs: Inputs, context: Context): Promise<Outcome<Outputs>> {
  return orNoVerdict(definition.outputs, () => scanAndJudge(inputs, context));
}

async function scanAndJudge(inputs: Inputs, context: Context): Promise<Outcome<Outputs>> {
  const { facts, log, signal, environment } = context;
  const ignores = await readIgnores(inputs, ['.dependencyignore.yaml', '.dependencyignore'], context);
  const { files, passed } = await findLockFiles(facts.workspace, inputs.paths, inputs.baseline);
  for (const { path, why } of passed) log.warning(`${path}: ${why}.`);
  const temp = join(facts.temp, 'deploy-actions');
  await mkdir(temp, { recursive: true });
  const options: DependencyOptions = {
    program: files.some(isPython) ? await findPipAudit(inputs, context) : [],
    service: inputs.advisories,
    osv: inputs['osv-url'].href,
    rated: inputs.severities === 'osv',
    registry: inputs['npm-registry']?.href,
    productionOnly: inputs['production-only'],
    toolIgnores: 'refuse',
    unaudited: inputs.unaudited ?? [],
    root: facts.workspace,
    temp,
    timeout: inputs.timeout,
    environment,
    log,
    signal,
  };

  const audited = onceEach(await auditAll(files, options));
  const found = identify(audited.flatMap(({ findings }) => findings));
  const { findings, verdict, outputs, ...outcome } = await concludeScan(inputs, context, {
    purpose: 'dependency-scan',
    title: 'Dependency scan',
    limits: { vulnerability: parseLimits(inputs.limits, 'limits') },
    found:
      inputs.baseline === undefined
        ? found
        : compare(found, await knownBefore(inputs.baseline, audited, options)),
    ignores,
    unrated: inputs['unknown-counts-as'],
    ignoreUnfixed: inputs['ignore-unfixed'],
    targets: [],
    files: repositoryFiles(inputs.paths),
    done: audited.length === 1 ? '1 lock file audited' : `${audited.length} lock files audited`,
    remedy:
      'Update what has a fixed version; for what cannot be mended now, write an ignore entry with a last day and a reason.',
    summarize: (kept) => {
      summarize(context, audited, kept);
      if (passed.length > 0)
        context.summary.details('Not audited', passed.map(({ path, why }) => `${path}: ${why}`).join('\n'));
    },
  });
  const fixes = changesOf(findings);
  return {
    ...outcome,
    outputs: { ...outputs, fixes: JSON.stringify(fixes) },
    report: {
      verdict,
      lockFiles: audited.map(({ file, packages, unaudited }) => ({ ...file, packages, unaudited })),
      passed,
      fixes,
      findings,
    },
  };
}
