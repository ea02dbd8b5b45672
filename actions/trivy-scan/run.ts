import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Context, escapeMarkdown, type InputValues, type Outcome } from '@deploy-actions/action-kit';
import { formatDuration } from '@deploy-actions/core';
import {
  compare,
  type Finding,
  identify,
  type Limits,
  parseLimits,
  severities,
} from '@deploy-actions/findings';
import {
  concludeScan,
  type Database,
  type FindingClass,
  orNoVerdict,
  parseScanTarget,
  prepareDatabase,
  readIgnores,
  releaseHosts,
  repositoryFiles,
  type Scan,
  type Scanned,
  type Scanner,
  type ScanTarget,
  scanTarget,
  type ScanVerdict,
  targetCells,
  trivyArchive,
  trivyOnPath,
  type TrivyOptions,
  trivyVersion,
  withoutBaseline,
  writeBill,
} from '@deploy-actions/scanners';
import { installTool } from '@deploy-actions/tools';
import { definition } from './definition.ts';

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
    const program = await trivyOnPath({ environment, log, signal });
    if (program !== undefined) return program;
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

function parsed(list: readonly string[], { facts }: Context): ScanTarget[] {
  // The definition has refused what cannot be parsed.
  return list
    .map((text) => parseScanTarget(text, facts.workspace))
    .filter((each) => typeof each !== 'string');
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
  const baselines = parsed(inputs.baseline ?? [], context);
  for (const [index, scanned] of parsed(inputs.targets, context).entries()) {
    const report = join(folder, `${fileName(scanned, index)}.json`);
    const baseline = baselines[index];
    const scan = await scanTarget(withoutBaseline(scanned, baseline), report, trivy);
    let findings = identify(scan.findings);
    if (baseline !== undefined) {
      const before = await scanTarget(
        // About the same thing, so that they are the same findings: also where one is fetched and the other is a folder.
        { ...baseline, target: scanned.target },
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

/** Licences count when they are looked for, secrets unless they are to be told only. */
function limitsOf(inputs: Inputs): Record<FindingClass, Limits> {
  const none: Limits = Object.fromEntries(severities.map((severity) => [severity, 0]));
  return {
    vulnerability: parseLimits(inputs.limits, 'limits'),
    misconfiguration: parseLimits(inputs['misconfiguration-limits'], 'misconfiguration-limits'),
    licence: parseLimits(inputs['licence-limits'], 'licence-limits'),
    secret: inputs.secrets === 'fail' ? none : {},
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

function summarize(
  { summary }: Context,
  results: readonly Result[],
  kept: ReadonlySet<Finding>,
  verdict: ScanVerdict,
  database: string,
): void {
  summary.table(
    ['Target', 'Findings', 'New', 'Packages'],
    results.map(({ scanned, scan, findings }) => {
      const [name = '', ...cells] = targetCells(
        nameOf(scanned),
        findings.filter((finding) => kept.has(finding)),
      );
      return [
        `${name}${scan.endOfLife ? ' (its system gets no updates any more)' : ''}`,
        ...cells,
        scan.packages === null ? '' : String(scan.packages),
      ];
    }),
  );
  summary.list([
    ...verdict.byClass.map(({ class: name, message }) => `${name}: ${escapeMarkdown(message)}`),
    escapeMarkdown(database),
  ]);
}

export function run(inputs: Inputs, context: Context): Promise<Outcome<Outputs>> {
  return orNoVerdict(definition.outputs, () => scanAndJudge(inputs, context));
}

async function scanAndJudge(inputs: Inputs, context: Context): Promise<Outcome<Outputs>> {
  const { facts, log, signal, environment } = context;
  const ignores = await readIgnores(inputs, ['.trivyignore.yaml', '.trivyignore'], context);
  const own = join(facts.temp, 'deploy-actions', 'trivy');
  const folder = inputs['output-directory'] ?? join(own, 'reports');
  await mkdir(folder, { recursive: true });
  const trivy: TrivyOptions = {
    program: await findTrivy(inputs, context),
    cache: inputs['cache-directory'] ?? join(own, 'cache'),
    scanners: inputs.scanners as Scanner[],
    vex: inputs.vex ?? [],
    offline: inputs.offline,
    timeout: inputs.timeout,
    directory: facts.workspace,
    environment,
    log,
    signal,
  };
  const needsDatabase =
    inputs.scanners.includes('vuln') && parsed(inputs.targets, context).some(({ kind }) => kind !== 'config');
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
  const folders = results.flatMap(({ scanned }) => (scanned.target === null ? [scanned.what] : []));
  const { findings, verdict, outputs, ...outcome } = await concludeScan(inputs, context, {
    purpose: 'trivy-scan',
    title: 'Trivy scan',
    tool: 'Trivy',
    limits: limitsOf(inputs),
    found: results.flatMap((result) => result.findings),
    ignores,
    ignoreUnfixed: inputs['ignore-unfixed'],
    targets: results.flatMap(({ scanned }) => scanned.target ?? []),
    ...(folders.length === 0 ? {} : { files: repositoryFiles(folders) }),
    done: results.length === 1 ? '1 target scanned' : `${results.length} targets scanned`,
    remedy:
      'Update what has a fixed version; for what cannot be mended now, write an ignore entry with a last day and a reason.',
    summarize: (kept, judged) => summarize(context, results, new Set(kept), judged, database),
  });
  const byTarget = (value: (result: Result) => string | undefined) =>
    JSON.stringify(Object.fromEntries(results.map((result) => [nameOf(result.scanned), value(result)])));
  return {
    ...outcome,
    outputs: {
      ...outputs,
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
