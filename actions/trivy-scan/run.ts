import { mkdir, readFile, stat } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { type Context, escapeMarkdown, type InputValues, type Outcome } from '@deploy-actions/action-kit';
import { DeployError, formatDuration, orUndefinedIfMissing } from '@deploy-actions/core';
import {
  compare,
  describeCounts,
  type Finding,
  identify,
  type Limits,
  parseLimits,
  severities,
  type Target,
} from '@deploy-actions/findings';
import { openReporting, publishFindings } from '@deploy-actions/publish';
import {
  applyIgnores,
  type Database,
  type Ignore,
  judgeScan,
  parseIgnoreLines,
  parseIgnoreYaml,
  parseScanTarget,
  prepareDatabase,
  refuseTampered,
  releaseHosts,
  type Scan,
  type Scanned,
  type Scanner,
  type ScanTarget,
  scanTarget,
  type ScanVerdict,
  trivyArchive,
  type TrivyOptions,
  trivyVersion,
  versionOf,
  writeBill,
} from '@deploy-actions/scanners';
import { installTool } from '@deploy-actions/tools';
import type { definition } from './definition.ts';

type Inputs = InputValues<(typeof definition)['inputs']>;
type Outputs = (typeof definition)['outputs'];

/** What one target came to. */
interface Result {
  scanned: ScanTarget;
  scan: Scan;
  findings: (Finding & Scanned)[];
  report: string;
  bill: string | undefined;
}

/** A Trivy on PATH, unless a version was asked for; else the one that this repository vouches for. */
async function findTrivy(inputs: Inputs, context: Context): Promise<string> {
  const { environment, log, signal } = context;
  if (inputs['trivy-version'] === undefined) {
    for (const folder of (environment['PATH'] ?? '').split(delimiter)) {
      const program = join(folder, 'trivy');
      const there = folder === '' ? undefined : await orUndefinedIfMissing(stat(program));
      if (there?.isFile() === true && (there.mode & 0o111) !== 0) {
        const version = await versionOf(program, { environment, signal });
        refuseTampered(version, program);
        log.info(`Trivy ${version} is on PATH: ${program}.`);
        return program;
      }
    }
  }
  const machine = `${process.platform}-${process.arch}`;
  const { version, url, sha256 } = trivyArchive(
    inputs['trivy-version'] ?? trivyVersion,
    machine,
    inputs['trivy-sha256'],
    inputs['trivy-mirror'].href,
  );
  return installTool(
    { name: 'trivy', version, urls: [url], sha256, redirects: releaseHosts },
    { cache: join(context.facts.temp, 'deploy-actions', 'tools'), log, signal, environment },
  );
}

async function readIgnores(inputs: Inputs, workspace: string): Promise<Ignore[]> {
  const given = inputs['ignore-file'];
  const candidates =
    given === undefined
      ? ['.trivyignore.yaml', '.trivyignore'].map((name) => join(workspace, name))
      : [given];
  for (const file of candidates) {
    const text = await orUndefinedIfMissing(readFile(file, 'utf8'));
    if (text === undefined) continue;
    const name = file.startsWith(`${workspace}/`) ? file.slice(workspace.length + 1) : file;
    return /\.ya?ml$/.test(file) ? parseIgnoreYaml(text, name) : parseIgnoreLines(text, name);
  }
  if (given === undefined) return [];
  throw new DeployError('not_found', `The ignore file ${given} does not exist.`, {
    remedy: 'Correct `ignore-file`.',
  });
}

function parsed(list: readonly string[]): ScanTarget[] {
  // The definition has refused what cannot be parsed.
  return list.map(parseScanTarget).filter((each) => typeof each !== 'string');
}

const nameOf = ({ kind, what }: ScanTarget) => `${kind}:${what}`;

function fileName(target: ScanTarget, index: number): string {
  return `${String(index + 1).padStart(2, '0')}-${nameOf(target)
    .replace(/[^A-Za-z0-9._-]+/g, '_')
    .slice(0, 100)}`;
}

/** With the names of the target that they are compared with, so that they are the same findings. */
function asIn(target: ScanTarget, findings: readonly Scanned[], own: ScanTarget): Scanned[] {
  return findings.map((finding) => {
    if (target.target !== null) return { ...finding, target: target.target };
    const moved = (file: string) =>
      `${target.prefix}${target.prefix === '' ? '' : '/'}${file.slice(own.prefix === '' ? 0 : own.prefix.length + 1)}`;
    return {
      ...finding,
      target: { ...finding.target, name: moved(finding.target.name) },
      location:
        finding.location === null ? null : { ...finding.location, file: moved(finding.location.file) },
    };
  });
}

async function scanAll(
  inputs: Inputs,
  context: Context,
  trivy: TrivyOptions,
  folder: string,
): Promise<Result[]> {
  const results: Result[] = [];
  const baselines = parsed(inputs.baseline ?? []);
  for (const [index, scanned] of parsed(inputs.targets).entries()) {
    const report = join(folder, `${fileName(scanned, index)}.json`);
    const scan = await scanTarget(scanned, report, trivy);
    let findings = identify(scan.findings);
    const baseline = baselines[index];
    if (baseline !== undefined) {
      const before = await scanTarget(
        baseline,
        join(folder, `${fileName(scanned, index)}.baseline.json`),
        trivy,
      );
      const known = identify(asIn(scanned, before.findings, baseline));
      findings = compare(findings, new Set(known.map(({ fingerprint }) => fingerprint)));
    }
    const format = inputs.sbom;
    const bill =
      format === 'none'
        ? undefined
        : join(folder, `${fileName(scanned, index)}.${format === 'cyclonedx' ? 'cdx' : 'spdx'}.json`);
    if (bill !== undefined && format !== 'none') await writeBill(report, format, bill, trivy);
    context.log.info(
      `${nameOf(scanned)}: ${findings.length} findings in ${scan.packages ?? 'an unknown number of'} packages.`,
    );
    results.push({ scanned, scan, findings, report, bill });
  }
  return results;
}

function policyOf(inputs: Inputs) {
  const none: Limits = Object.fromEntries(severities.map((severity) => [severity, 0]));
  return {
    limits: {
      vulnerability: parseLimits(inputs.limits, 'limits'),
      misconfiguration: parseLimits(inputs['misconfiguration-limits'], 'misconfiguration-limits'),
      licence: parseLimits(inputs['licence-limits'], 'licence-limits'),
      secret: inputs.secrets === 'fail' ? none : {},
    },
    ignoreUnfixed: inputs['ignore-unfixed'],
    onlyNew: inputs.baseline !== undefined && !inputs['count-known'],
  };
}

function tellDatabase({ source, age, why }: Database, context: Context): string {
  const old = age === null ? 'of unknown age' : `${formatDuration(age)} old`;
  const text =
    source === 'cached'
      ? `Vulnerability database: a kept copy, ${old} (${why ?? ''}).`
      : `Vulnerability database: ${old}.`;
  if (source === 'cached') context.log.warning(text);
  else context.log.info(text);
  return text;
}

/** Where a target has a category in code scanning also when nothing was found in it, so that its alerts close. */
function sarifTargets(results: readonly Result[]): Target[] {
  return results.flatMap(({ scanned, findings }) =>
    scanned.target === null ? findings.map(({ target }) => target) : [scanned.target],
  );
}

function summarize(
  context: Context,
  results: readonly Result[],
  verdict: ScanVerdict,
  database: string,
): void {
  context.summary.table(
    ['Target', 'Findings', 'New', 'Packages'],
    results.map(({ scanned, scan, findings }) => {
      const counts = severities
        .map((severity) => [severity, findings.filter((each) => each.severity === severity).length] as const)
        .filter(([, count]) => count > 0);
      const compared = findings.some(({ known }) => known !== null);
      return [
        `${escapeMarkdown(nameOf(scanned))}${scan.endOfLife ? ' (its system gets no updates any more)' : ''}`,
        counts.length === 0 ? 'none' : counts.map(([severity, count]) => `${count} ${severity}`).join(', '),
        compared ? String(findings.filter(({ known }) => known === false).length) : '',
        scan.packages === null ? '' : String(scan.packages),
      ];
    }),
  );
  context.summary.list([
    ...verdict.byClass.map(({ class: name, message }) => `${name}: ${escapeMarkdown(message)}`),
    escapeMarkdown(database),
  ]);
}

function tellIgnores(context: Context, sorted: ReturnType<typeof applyIgnores>): void {
  const lines = [
    ...sorted.ignored.map(
      ({ finding, by }) =>
        `ignored: ${finding.rule.id} in ${finding.subject?.name ?? finding.target.name} (${by.where}${by.until === null ? '' : `, to ${by.until}`}) ${by.statement}`,
    ),
    ...sorted.expired.map(
      ({ id, until, where }) => `expired: ${id} was ignored to ${until ?? ''} (${where}) and counts again`,
    ),
    ...sorted.unused.map(({ id, where }) => `unused: ${id} (${where}) is not found and can go`),
  ];
  for (const { id, until, where } of sorted.expired)
    context.log.warning(`${where}: ${id} was ignored to ${until ?? ''}; it counts again.`);
  if (lines.length > 0) context.summary.details('Ignore file', lines.join('\n'));
}

function refuseUndated(inputs: Inputs, ignores: readonly Ignore[], context: Context): void {
  const undated = ignores.filter(({ until }) => until === null);
  if (undated.length === 0) return;
  const text = `Ignore entries without a last day: ${undated.map(({ id, where }) => `${id} (${where})`).join(', ')}.`;
  if (inputs['ignore-without-date'] === 'fail') {
    throw new DeployError('invalid_config', text, {
      remedy: 'Give each the day on which it is looked at again: `exp:2030-01-31`, or `expired_at` in YAML.',
    });
  }
  context.log.warning(text);
}

/** No verdict: neither passed nor findings. */
function unable(thrown: DeployError): Outcome<Outputs> {
  return {
    result: 'error',
    reasonCode: thrown.reasonCode,
    message: `There is no verdict. ${thrown.message}`,
    remedy: thrown.remedy,
    outputs: {
      passed: undefined,
      counts: undefined,
      findings: undefined,
      new: undefined,
      reports: undefined,
      sboms: undefined,
    },
    report: { details: thrown.details },
  };
}

const noVerdict = [
  'scan_failed',
  'tool_rejected',
  'unreachable',
  'not_found',
  'timeout',
  'permission_denied',
];

export async function run(inputs: Inputs, context: Context): Promise<Outcome<Outputs>> {
  try {
    return await scanAndJudge(inputs, context);
  } catch (thrown) {
    if (thrown instanceof DeployError && noVerdict.includes(thrown.reasonCode)) return unable(thrown);
    throw thrown;
  }
}

async function scanAndJudge(inputs: Inputs, context: Context): Promise<Outcome<Outputs>> {
  const { facts, log, signal, environment } = context;
  const ignores = await readIgnores(inputs, facts.workspace);
  refuseUndated(inputs, ignores, context);
  const own = join(facts.temp, 'deploy-actions', 'trivy');
  const folder = inputs['output-directory'] ?? join(own, 'reports');
  await mkdir(folder, { recursive: true });
  const trivy: TrivyOptions = {
    program: await findTrivy(inputs, context),
    cache: inputs['cache-directory'] ?? join(own, 'cache'),
    scanners: inputs.scanners as Scanner[],
    vex: inputs.vex ?? [],
    timeout: inputs.timeout,
    directory: facts.workspace,
    environment,
    log,
    signal,
  };
  const needsDatabase =
    inputs.scanners.includes('vuln') && parsed(inputs.targets).some(({ kind }) => kind !== 'config');
  const database = needsDatabase
    ? tellDatabase(
        await prepareDatabase({
          ...trivy,
          mirrors: inputs['database-mirrors'] ?? [],
          offline: inputs.offline,
          maxAge: inputs['max-database-age'],
        }),
        context,
      )
    : 'Vulnerabilities were not looked for, so no database was needed.';

  const results = await scanAll(inputs, context, trivy, folder);
  const sorted = applyIgnores(
    results.flatMap(({ findings }) => findings),
    ignores,
    new Date().toISOString().slice(0, 10),
  );
  tellIgnores(context, sorted);
  const kept = new Set<Scanned>(sorted.kept);
  for (const result of results) result.findings = result.findings.filter((finding) => kept.has(finding));
  const findings = results.flatMap((result) => result.findings);
  const verdict = judgeScan(findings, policyOf(inputs));
  summarize(context, results, verdict, database);
  await publishFindings(openReporting(context, inputs['github-token']), context, {
    purpose: 'trivy-scan',
    title: 'Trivy scan',
    findings,
    verdict: { passed: verdict.passed, message: verdict.message },
    ...(inputs.sarif ? { sarif: { tool: 'Trivy', targets: sarifTargets(results) } } : {}),
  });

  const byTarget = (value: (result: Result) => string | undefined) =>
    JSON.stringify(Object.fromEntries(results.map((result) => [nameOf(result.scanned), value(result)])));
  return {
    result: verdict.passed ? 'succeeded' : 'failed',
    reasonCode: verdict.passed ? 'ok' : 'findings_over_limit',
    message: `${results.length === 1 ? '1 target' : `${results.length} targets`} scanned; ${describeCounts(verdict.counts)} counted. ${verdict.message}`,
    remedy: verdict.passed
      ? undefined
      : 'Update what has a fixed version; for what cannot be mended now, write an ignore entry with a last day and a reason.',
    outputs: {
      passed: verdict.passed,
      counts: JSON.stringify(verdict.counts),
      findings: findings.length,
      new: inputs.baseline === undefined ? undefined : findings.filter(({ known }) => known === false).length,
      reports: byTarget(({ report }) => report),
      sboms: inputs.sbom === 'none' ? undefined : byTarget(({ bill }) => bill),
    },
    report: {
      verdict,
      targets: results.map(({ scanned, scan, report, bill }) => ({
        target: nameOf(scanned),
        scanner: scan.scanner,
        report,
        bill,
      })),
      findings,
    },
  };
}
