import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  DeployError,
  formatDuration,
  isRecord,
  lastLines,
  type Log,
  messageOf,
  orUndefinedIfMissing,
  runProcess,
  sleep,
} from '@deploy-actions/core';
import type { Target } from '@deploy-actions/findings';
import type { Scan } from '../model.ts';
import { withProgress } from '../progress.ts';
import { readTrivyReport } from './report.ts';

/** What Trivy can look at. */
export const scanKinds = ['image', 'archive', 'fs', 'repo', 'config', 'sbom'] as const;
export type ScanKind = (typeof scanKinds)[number];

export interface ScanTarget {
  kind: ScanKind;
  /** An image reference, a path, or the address of a repository. */
  what: string;
  /** What its findings are about; null where each file is a target of its own. */
  target: Target | null;
  /** The scanned folder relative to the repository's root; empty for the root, and for what is no folder. */
  prefix: string;
  /** Folders below the scanned one that are no part of it, relative to it. */
  without?: readonly string[];
}

export type Scanner = 'vuln' | 'misconfig' | 'secret' | 'license';

export interface TrivyOptions {
  program: string;
  /** Holds the vulnerability database; made when it is missing. */
  cache: string;
  scanners: readonly Scanner[];
  /** Files that say which vulnerabilities do not affect the product. */
  vex: readonly string[];
  /** Nothing is downloaded, whatever a target has in it. */
  offline?: boolean;
  /** Milliseconds for one target. */
  timeout: number;
  /** The folder that paths of targets are relative to. */
  directory: string;
  environment: NodeJS.ProcessEnv;
  log: Log;
  signal: AbortSignal;
}

/** Where the vulnerability database came from, and how old it is. */
export interface Database {
  source: 'downloaded' | 'current' | 'cached';
  /** Milliseconds since it was made, by its own word; null when it does not say. */
  age: number | null;
  /** Why the cached copy had to do. */
  why: string | null;
}

export interface DatabaseOptions extends TrivyOptions {
  /** Repositories of the database, in the order in which they are tried; none for Trivy's own. */
  mirrors: readonly string[];
  /** Use what is in the cache, whatever its age. */
  offline: boolean;
  /** Milliseconds up to which a cached copy may stand in for one that cannot be downloaded. */
  maxAge: number;
  /** Milliseconds before each further attempt. */
  pauses?: readonly number[];
}

/**
 * Makes sure of a vulnerability database, once for all targets. When it cannot be downloaded, a cached copy that is young enough stands
 * in, and the caller says so. Throws `scan_failed` when there is none.
 */
export async function prepareDatabase(options: DatabaseOptions): Promise<Database> {
  const before = await databaseAge(options.cache);
  if (options.offline) {
    if (before === undefined) {
      throw new DeployError('scan_failed', `There is no vulnerability database in ${options.cache}.`, {
        remedy: 'Without the right to download one, put one there first.',
      });
    }
    return { source: 'cached', age: before, why: 'downloading is switched off' };
  }
  const pauses = [...(options.pauses ?? [2_000, 10_000])];
  for (;;) {
    const failure = await downloadFromAny(options);
    if (failure === undefined) {
      const age = (await databaseAge(options.cache)) ?? null;
      return { source: before !== undefined && before === age ? 'current' : 'downloaded', age, why: null };
    }
    const pause = pauses.shift();
    if (pause !== undefined) {
      options.log.warning(`Trying again to download the vulnerability database: ${failure}`);
      await sleep(pause, options.signal, 'downloading the vulnerability database');
      continue;
    }
    if (before !== undefined && before !== null && before <= options.maxAge) {
      return { source: 'cached', age: before, why: failure };
    }
    const old =
      before === undefined || before === null
        ? ''
        : ` The copy in ${options.cache} is ${formatDuration(before)} old.`;
    throw new DeployError(
      'scan_failed',
      `The vulnerability database could not be downloaded: ${failure}${old}`,
      {
        remedy:
          'Name mirrors that the runner reaches (`database-mirrors`), or keep the cache folder between runs; then run it again.',
      },
    );
  }
}

/** Trivy goes on to its next mirror after some failures only; not after one that it cannot connect to. */
async function downloadFromAny(options: DatabaseOptions): Promise<string | undefined> {
  const failures: string[] = [];
  for (const mirror of options.mirrors.length === 0 ? [undefined] : options.mirrors) {
    const failure = await downloadDatabase(mirror, options);
    if (failure === undefined) {
      if (mirror !== undefined) options.log.info(`The vulnerability database is from ${mirror}.`);
      return undefined;
    }
    failures.push(mirror === undefined ? failure : `${mirror}: ${failure}`);
  }
  return failures.join('; ');
}

async function downloadDatabase(
  mirror: string | undefined,
  options: DatabaseOptions,
): Promise<string | undefined> {
  const from = mirror === undefined ? [] : ['--db-repository', mirror];
  try {
    const { code, stderr } = await trivy(options, ['image', '--download-db-only', ...from], 300_000);
    return code === 0 ? undefined : causeOf(stderr);
  } catch (thrown) {
    if (thrown instanceof DeployError && thrown.reasonCode === 'timeout') return thrown.message;
    throw thrown;
  }
}

/** Undefined without a database, null for one that does not say when it was made. */
async function databaseAge(cache: string): Promise<number | null | undefined> {
  const text = await orUndefinedIfMissing(readFile(join(cache, 'db', 'metadata.json'), 'utf8'));
  if (text === undefined) return undefined;
  try {
    const metadata: unknown = JSON.parse(text);
    const updated =
      isRecord(metadata) && typeof metadata['UpdatedAt'] === 'string'
        ? Date.parse(metadata['UpdatedAt'])
        : Number.NaN;
    return Number.isNaN(updated) ? null : Math.max(0, Date.now() - updated);
  } catch {
    return null;
  }
}

function trivy(options: TrivyOptions, args: string[], timeout: number) {
  return runProcess({
    // A trivy.yaml of the folder is not read: whoever writes the code that is scanned could switch off the scan with it.
    command: [options.program, ...args, '--cache-dir', options.cache, '--config', '/dev/null', '--quiet'],
    cwd: options.directory,
    env: withoutSettings(options.environment),
    signal: options.signal,
    timeout,
  });
}

/** Who Trivy logs in as. Other variables are settings that it would take beside its options, whatever step they were meant for. */
const credentials = ['TRIVY_USERNAME', 'TRIVY_PASSWORD', 'TRIVY_REGISTRY_TOKEN'];

function withoutSettings(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(environment).filter(([name]) => !name.startsWith('TRIVY_') || credentials.includes(name)),
  );
}

/** `2026-01-01T… FATAL Fatal error run error: …: no such file`: that line, and what follows it, say why. */
function causeOf(stderr: string): string {
  const lines = stderr.trim().split('\n');
  const fatal = lines.findLastIndex((line) => /\sFATAL\s/.test(line));
  const said = (fatal < 0 ? lines.slice(-1) : lines.slice(fatal)).map((line) => line.trim()).join(' ');
  return said.replace(/^\S+\s+FATAL\s+(?:Fatal error\s+)?/, '') || 'Trivy ended without a word';
}

/**
 * Scans one target, once. The exit code of Trivy tells findings from failures only when it is not asked to fail on findings, so it is not;
 * the verdict is taken from the report. What is to be ignored is not told to it either. Throws `scan_failed`; never returns a scan
 * that did not come to its end.
 */
export async function scanTarget(scanned: ScanTarget, report: string, options: TrivyOptions): Promise<Scan> {
  const work = await mkdtemp(`${report}.`);
  try {
    const ignore = join(work, 'ignore-nothing');
    await writeFile(ignore, '');
    const command = [
      ...commandOf(scanned, options),
      // Where there is none it takes its own rules; unless told, it would take a trivy-secret.yaml of the folder that it runs in. It passes
      // over files of the target that are named like it.
      ...(looksForSecrets(scanned) ? ['--secret-config', join(work, randomUUID())] : []),
      '--format',
      'json',
      '--output',
      report,
      '--exit-code',
      '0',
      '--ignorefile',
      ignore,
      '--timeout',
      `${Math.ceil(options.timeout / 1_000)}s`,
    ];
    const { code, stderr } = await withProgress(
      options.log,
      `scanning ${scanned.what}`,
      options.timeout,
      () => trivy(options, command, options.timeout + 5_000),
    );
    if (code !== 0) throw failed(scanned, causeOf(stderr), lastLines(stderr, 10));
    const text = await orUndefinedIfMissing(readFile(report, 'utf8'));
    if (text === undefined) throw failed(scanned, 'it wrote no report', lastLines(stderr, 10));
    return readTrivyReport(text, scanned.target, scanned.prefix);
  } catch (thrown) {
    if (thrown instanceof DeployError && thrown.reasonCode === 'timeout')
      throw failed(scanned, thrown.message, thrown.details);
    throw thrown;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

function failed({ kind, what }: ScanTarget, why: string, details: string[]): DeployError {
  return new DeployError('scan_failed', `The scan of ${kind} ${what} did not come to its end: ${why}`, {
    remedy:
      'It has no verdict. See that the target exists and that the runner may read it, then run it again.',
    details,
  });
}

/** The database is had once, before; the checks are those that this version of Trivy has in it, so that the same files give the same findings. */
function commandOf(
  { kind, what, without = [] }: ScanTarget,
  { scanners, vex, offline = false }: TrivyOptions,
): string[] {
  const checks = '--skip-check-update';
  const unaided = offline ? ['--skip-java-db-update', '--offline-scan'] : [];
  const database = ['--skip-db-update', ...unaided, ...vex.flatMap((file) => ['--vex', file])];
  const wanted = ['--scanners', scanners.join(','), checks, ...database];
  const skipped = without.flatMap((folder) => ['--skip-dirs', folder]);
  switch (kind) {
    case 'image':
      return ['image', ...wanted, what];
    case 'archive':
      return ['image', ...wanted, '--input', what];
    case 'fs':
      return ['fs', ...wanted, ...skipped, what];
    case 'repo':
      return ['repo', ...wanted, ...skipped, what];
    case 'config':
      return ['config', checks, ...skipped, what];
    case 'sbom': {
      const looked = scanners.filter(isForBills);
      return ['sbom', '--scanners', looked.join(','), ...database, what];
    }
  }
}

/** What can be looked for in a bill of materials. */
export const isForBills = (scanner: string): boolean => scanner === 'vuln' || scanner === 'license';

const looksForSecrets = ({ kind }: ScanTarget): boolean => kind !== 'config' && kind !== 'sbom';

/** The bill of materials of a report that was written before. Throws `scan_failed`. */
export async function writeBill(
  report: string,
  format: 'cyclonedx' | 'spdx-json',
  to: string,
  options: TrivyOptions,
): Promise<void> {
  const { code, stderr } = await trivy(
    options,
    ['convert', '--format', format, '--output', to, report],
    120_000,
  );
  if (code !== 0) {
    throw new DeployError('scan_failed', `The bill of materials could not be written: ${causeOf(stderr)}`, {
      details: lastLines(stderr, 10),
    });
  }
}

/** The version of a Trivy on this machine. Throws `not_found`, and `tool_rejected` for what does not say its version. */
export async function versionOf(
  program: string,
  options: Pick<TrivyOptions, 'environment' | 'signal'>,
): Promise<string> {
  const { stdout } = await runProcess({
    command: [program, 'version', '--format', 'json'],
    env: options.environment,
    signal: options.signal,
    timeout: 30_000,
  });
  try {
    const said: unknown = JSON.parse(stdout);
    if (isRecord(said) && typeof said['Version'] === 'string') return said['Version'];
    throw new Error('it says no version');
  } catch (cause) {
    throw new DeployError('tool_rejected', `${program} does not answer as Trivy does: ${messageOf(cause)}`, {
      cause,
    });
  }
}
