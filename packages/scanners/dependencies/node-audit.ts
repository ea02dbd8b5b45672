import { dirname, join } from 'node:path';
import { DeployError, isRecord, lastLines, messageOf, runProcess } from '@deploy-actions/core';
import { severityOf } from '@deploy-actions/findings';
import { withProgress } from '../progress.ts';
import { type Advisory, compareVersions, sortedIds } from './advisory.ts';
import type { LockFile } from './lock-files.ts';
import { type NodeLock, type NodeTool, readNodeLock } from './node-locks.ts';
import { describeOwnIgnores, ownIgnores, withoutHiding } from './own-ignores.ts';
import { type Audit, auditFailed, type AuditOptions } from './port.ts';

export interface NodeAuditOptions extends AuditOptions {
  /** Leave out what is for development alone. */
  productionOnly: boolean;
  /** Asked for advisories instead of the one that the project's settings name. */
  registry: string | undefined;
  /** What to do about ignore lists of the tools themselves, which hide findings without a last day. */
  toolIgnores: 'refuse' | 'warn';
}

type Fields = Record<string, unknown>;

/**
 * Audits one lock file of Node with the tool that it belongs to. All of them end with 1 for findings and for failures, so the verdict is
 * read from what they write. Throws `not_found` without the tool, `scan_failed` for anything but a whole answer, and for settings of the tool
 * that would leave findings out of it.
 */
export async function auditNode(file: LockFile, options: NodeAuditOptions): Promise<Audit> {
  const lock = await readNodeLock(options.root, file);
  const folder = dirname(join(options.root, file.path));
  await checkToolIgnores(file, lock.tool, folder, options);
  const command = commandOf(lock.tool, options);
  const { code, stdout, stderr } = await withProgress(
    options.log,
    `auditing ${file.path}`,
    options.timeout,
    () =>
      runProcess({
        command,
        cwd: folder,
        env: {
          ...withoutHiding(options.environment),
          ...(lock.tool === 'pnpm' ? groupsOfPnpm(options) : {}),
          ...registryOf(options.registry),
        },
        signal: options.signal,
        timeout: options.timeout,
        keep: 64 * 1024 ** 2,
      }),
  );
  try {
    const { advisories, packages } = readers[lock.tool](stdout, lock, code);
    return { advisories, packages, unaudited: [] };
  } catch (thrown) {
    const said = lastLines(stderr, 10).filter((line) => line.trim() !== '');
    throw auditFailed(file.path, `${command[0]}: ${messageOf(thrown)}`, said, thrown);
  }
}

async function checkToolIgnores(
  { path }: LockFile,
  tool: NodeTool,
  folder: string,
  { root, environment, toolIgnores, log }: NodeAuditOptions,
): Promise<void> {
  const ignores = await ownIgnores(tool, folder, environment);
  if (ignores.length === 0) return;
  const said = describeOwnIgnores(ignores, root);
  if (toolIgnores === 'warn') {
    log.warning(`In ${root}, findings of ${path} are hidden by ${said}; they count as new.`);
    return;
  }
  throw new DeployError(
    'scan_failed',
    `The audit of ${path} would hide findings without a last day and a reason: ${said}.`,
    {
      remedy:
        'Take them out there, and write the ids of what is to be lived with into `.dependencyignore.yaml`, each with a last day (`expired_at`) and a reason (`statement`).',
    },
  );
}

function commandOf(tool: NodeTool, { productionOnly, registry }: NodeAuditOptions): string[] {
  switch (tool) {
    case 'npm':
      return [
        'npm',
        'audit',
        '--json',
        '--package-lock-only',
        // What is included wins over what the settings of the project or the runner omit.
        ...(productionOnly ? ['--omit=dev'] : ['--include=dev']),
        '--include=optional',
        '--include=peer',
      ];
    case 'pnpm':
      // A level of the settings would leave what is below it out of the list, and not out of the counts.
      return ['pnpm', 'audit', '--json', '--audit-level', 'low', ...(productionOnly ? ['--prod'] : [])];
    case 'yarn-classic':
      return [
        'yarn',
        'audit',
        '--json',
        '--level',
        'info',
        ...(registry === undefined ? [] : ['--registry', registry]),
        ...(productionOnly ? ['--groups', 'dependencies'] : []),
      ];
    case 'yarn':
      return [
        'yarn',
        'npm',
        'audit',
        '--json',
        '--all',
        '--recursive',
        ...(productionOnly ? ['--environment', 'production'] : []),
      ];
  }
}

/** Against groups that .npmrc leaves out: pnpm has no arguments for it that all its versions know. `--prod` wins over these. */
function groupsOfPnpm({ productionOnly }: NodeAuditOptions): NodeJS.ProcessEnv {
  return { ...(productionOnly ? {} : { npm_config_production: 'false' }), npm_config_optional: 'true' };
}

/** Each tool by the name that it reads. */
function registryOf(registry: string | undefined): NodeJS.ProcessEnv {
  return registry === undefined
    ? {}
    : {
        npm_config_registry: registry,
        pnpm_config_registry: registry,
        YARN_NPM_AUDIT_REGISTRY: registry,
      };
}

type Read = (text: string, lock: NodeLock, code: number | null) => Pick<Audit, 'advisories' | 'packages'>;

const readers: Record<NodeTool, Read> = {
  npm: readNpm,
  pnpm: readAdvisories,
  yarn: readYarn,
  'yarn-classic': readYarnClassic,
};

function fieldsOf(value: unknown, what: string): Fields {
  if (!isRecord(value)) throw new Error(`its answer has no ${what}`);
  return value;
}

function textOf(fields: Fields, name: string): string {
  const value = fields[name];
  return typeof value === 'string' ? value : '';
}

function parse(text: string): Fields {
  if (text.trim() === '') throw new Error('it wrote no answer');
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    throw new Error('its answer is not JSON');
  }
  const fields = fieldsOf(answer, 'object');
  const error = isRecord(fields['error']) ? fields['error'] : {};
  const said = textOf(fields, 'message') || textOf(error, 'summary') || textOf(error, 'message');
  if (said !== '' || 'error' in fields) throw new Error(said || 'it answers with an error');
  return fields;
}

/** `GHSA-…` of the address of GitHub's advisory, else the registry's number. */
function idsOf(fields: Fields, number: unknown): string[] {
  const ghsa = textOf(fields, 'github_advisory_id') || /GHSA-[\w-]+/.exec(textOf(fields, 'url'))?.[0];
  const cves = Array.isArray(fields['cves']) ? fields['cves'].filter((each) => typeof each === 'string') : [];
  const ids = sortedIds([...cves, ghsa ?? '']);
  return ids.length > 0 ? ids : [`npm-${String(number)}`];
}

/**
 * The upper end of the part of a range such as `>=3.7.0 <4.17.19` that a version lies below: the first that is not affected any more. Null
 * for a range without one.
 */
function endOf(range: string, version: string | null): string | null {
  const ends = range.split('||').flatMap((part) => /<\s*(\d[^\s,]*)\s*$/.exec(part.trim())?.[1] ?? []);
  return (
    ends.toSorted(compareVersions).find((end) => version === null || compareVersions(end, version) > 0) ??
    null
  );
}

function countOf(metadata: Fields): number | null {
  const { dependencies, totalDependencies } = metadata;
  if (typeof totalDependencies === 'number') return totalDependencies;
  const total = isRecord(dependencies) ? dependencies['total'] : undefined;
  return typeof total === 'number' ? total : null;
}

/** `npm audit --json` of npm 7 and later (auditReportVersion 2). */
function readNpm(text: string, lock: NodeLock, code: number | null): ReturnType<Read> {
  const report = parse(text);
  if (report['auditReportVersion'] !== 2)
    throw new Error('its answer is no report of version 2; npm 7 or later is needed');
  const vulnerable = fieldsOf(report['vulnerabilities'], 'vulnerabilities');
  const metadata = fieldsOf(report['metadata'], 'metadata');
  const advisories = Object.entries(vulnerable).flatMap(([name, entry]): Advisory[] => {
    const fields = fieldsOf(entry, `object about ${name}`);
    const { via, nodes, isDirect } = fields;
    if (!Array.isArray(via) || !Array.isArray(nodes)) throw new Error(`its answer about ${name} is cut`);
    const folder = typeof nodes[0] === 'string' ? nodes[0] : undefined;
    const version = folder === undefined ? null : lock.versionIn(folder);
    // What is vulnerable only because of another package says its name, and is no vulnerability of its own.
    return via.filter(isRecord).map((advisory) => ({
      ecosystem: 'npm',
      ids: idsOf(advisory, advisory['source']),
      title: textOf(advisory, 'title') || `Vulnerability in ${name}`,
      severity: severityOf(textOf(advisory, 'severity')),
      link: textOf(advisory, 'url') || null,
      package: name,
      version,
      ...fixOfNpm(name, fields['fixAvailable'], endOf(textOf(advisory, 'range'), version)),
      direct: typeof isDirect === 'boolean' ? isDirect : null,
      line: lock.lineOf(name, version, folder),
    }));
  });
  complete(Object.keys(vulnerable).length > 0, advisories, metadata, code);
  return { advisories, packages: countOf(metadata) };
}

/**
 * What npm would update. It says `false` also where a version is fixed and the ranges of whatever brings the package in keep it out: that
 * one can be fixed, though not by an update alone.
 */
function fixOfNpm(
  name: string,
  fix: unknown,
  fixedVersion: string | null,
): Pick<Advisory, 'fix' | 'fixable' | 'fixedVersion'> {
  if (isRecord(fix)) {
    const major = fix['isSemVerMajor'] === true ? ', which is a new major version' : '';
    const through = fix['name'] === name ? '' : ', which brings it in,';
    return {
      fixedVersion,
      fix: `A fix updates ${textOf(fix, 'name')}${through} to ${textOf(fix, 'version')}${major}`,
      fixable: true,
    };
  }
  if (fix === true) {
    return { fixedVersion, fix: `A fix updates ${name} within the ranges that are asked for`, fixable: true };
  }
  return fixedVersion === null
    ? { fixedVersion, fix: null, fixable: false }
    : {
        fixedVersion,
        fix: `Fixed in ${fixedVersion}, which the ranges of what brings it in do not allow unless \`overrides\` in package.json ask for it`,
        fixable: true,
      };
}

/** What is counted has to be listed, and an exit code other than 0 has to have a reason. */
function complete(
  listed: boolean,
  advisories: readonly Advisory[],
  metadata: Fields,
  code: number | null,
): void {
  const counts = fieldsOf(metadata['vulnerabilities'], 'counts');
  const total = Object.entries(counts)
    .filter(([key]) => key !== 'total')
    .reduce((sum, [, count]) => sum + (typeof count === 'number' ? count : Number.NaN), 0);
  if (Number.isNaN(total)) throw new Error('its counts are no numbers');
  if (total > 0 !== advisories.length > 0 || total > 0 !== listed)
    throw new Error(`it counts ${total} vulnerabilities and lists ${advisories.length}`);
  if (code !== 0 && total === 0) throw new Error(`it ended with ${code ?? 'a signal'} and lists nothing`);
}

/** `pnpm audit --json`, and `yarn npm audit --json` of yarn 2 and 3. */
function readAdvisories(text: string, lock: NodeLock, code: number | null): ReturnType<Read> {
  const report = parse(text);
  const listed = Object.values(fieldsOf(report['advisories'], 'advisories'));
  const metadata = fieldsOf(report['metadata'], 'metadata');
  const advisories = listed.flatMap((each) => advisoriesOf(fieldsOf(each, 'advisory'), lock));
  complete(listed.length > 0, advisories, metadata, code);
  return { advisories, packages: countOf(metadata) };
}

/** An advisory as registries answered before npm 7, one for each version that is installed. */
function advisoriesOf(advisory: Fields, lock: NodeLock): Advisory[] {
  const name = textOf(advisory, 'module_name');
  const found = Array.isArray(advisory['findings']) ? advisory['findings'].filter(isRecord) : [];
  if (name === '' || found.length === 0) throw new Error('an advisory of its answer says no package');
  const patched = textOf(advisory, 'patched_versions');
  // `<0.0.0` is how the registry says that there is none.
  const none = patched === '' || patched === '<0.0.0';
  const fixedVersion = none ? null : (/>=?\s*(\d[^\s,]*)/.exec(patched)?.[1] ?? null);
  return found.map((one) => {
    const version = textOf(one, 'version') || null;
    const paths = Array.isArray(one['paths']) ? one['paths'].map(String) : [];
    return {
      ecosystem: 'npm',
      ids: idsOf(advisory, advisory['id']),
      title: textOf(advisory, 'title') || `Vulnerability in ${name}`,
      severity: severityOf(textOf(advisory, 'severity')),
      link: textOf(advisory, 'url') || null,
      package: name,
      version,
      fixedVersion,
      fixable: !none,
      direct: lock.isDirect(name) ?? (paths.length === 0 ? null : paths.some((path) => isTop(path))),
      fix: none ? null : `A fix updates ${name} to ${patched}${waysOf(paths)}`,
      line: lock.lineOf(name, version),
    };
  });
}

const stepsOf = (path: string) => path.split('>').filter((step) => step !== '.' && step !== '');
const isTop = (path: string) => stepsOf(path).length === 1;

/** `; it comes with mkdirp`: who brings it in. */
function waysOf(paths: readonly string[]): string {
  const through = [...new Set(paths.filter((path) => !isTop(path)).map((path) => stepsOf(path)[0] ?? ''))];
  return through.length === 0 ? '' : `; it comes with ${through.slice(0, 5).join(', ')}`;
}

/** Lines of JSON, each an object. */
function linesOf(text: string): Fields[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      try {
        return fieldsOf(JSON.parse(line), 'object in a line');
      } catch {
        throw new Error(`it wrote ${JSON.stringify(line.slice(0, 200))}`);
      }
    });
}

/** `yarn audit --json` of yarn 1: a line an advisory and way to it, and a summary at the end. */
function readYarnClassic(text: string, lock: NodeLock, code: number | null): ReturnType<Read> {
  const lines = linesOf(text);
  const summary = lines.find(({ type }) => type === 'auditSummary');
  const error = lines.find(({ type }) => type === 'error');
  if (error !== undefined)
    throw new Error(textOf(error, 'data').split('\n')[0] || 'it answers with an error');
  if (summary === undefined) throw new Error('it wrote no summary, so it did not come to its end');
  const byId = new Map<unknown, Fields>();
  for (const { type, data } of lines) {
    if (type !== 'auditAdvisory') continue;
    const advisory = fieldsOf(fieldsOf(data, 'data')['advisory'], 'advisory');
    byId.set(advisory['id'], advisory);
  }
  const advisories = [...byId.values()].flatMap((each) => advisoriesOf(each, lock));
  const metadata = fieldsOf(summary['data'], 'data');
  complete(byId.size > 0, advisories, metadata, code);
  return { advisories, packages: countOf(metadata) };
}

/** `yarn npm audit --json` of yarn 4: a line an advisory, and none at all when there is nothing. */
function readYarn(text: string, lock: NodeLock, code: number | null): ReturnType<Read> {
  // Yarn 2 and 3 answer with one object, over one line or many.
  if (/^\s*\{\s*"(?:actions|advisories)"/.test(text)) return readAdvisories(text, lock, code);
  const lines = linesOf(text).filter(({ type }) => type !== 'info');
  const advisories = lines.flatMap((line): Advisory[] => {
    const name = textOf(line, 'value');
    const fields = fieldsOf(line['children'], 'children');
    // A package that its makers gave up is listed too, which is no vulnerability.
    if (textOf(fields, 'ID').endsWith('(deprecation)')) return [];
    const versions = Array.isArray(fields['Tree Versions']) ? fields['Tree Versions'].map(String) : [];
    const through = Array.isArray(fields['Dependents']) ? fields['Dependents'].map(String) : [];
    if (name === '' || versions.length === 0) throw new Error('an advisory of its answer says no package');
    const fixedVersion = endOf(textOf(fields, 'Vulnerable Versions'), versions[0] ?? null);
    const direct = through.some((each) => each.includes('@workspace:'));
    const ways = direct ? '' : `; it comes with ${through.slice(0, 5).join(', ')}`;
    return versions.map((version) => ({
      ecosystem: 'npm',
      ids: idsOf({ url: fields['URL'] }, fields['ID']),
      title: textOf(fields, 'Issue') || `Vulnerability in ${name}`,
      severity: severityOf(textOf(fields, 'Severity')),
      link: textOf(fields, 'URL') || null,
      package: name,
      version,
      fixedVersion,
      fixable: fixedVersion !== null,
      direct,
      fix: fixedVersion === null ? null : `A fix updates ${name} to ${fixedVersion} or later${ways}`,
      line: lock.lineOf(name, version),
    }));
  });
  // It ends with 1 for a package that was given up, too.
  if (code !== 0 && lines.length === 0)
    throw new Error(`it ended with ${code ?? 'a signal'} and lists nothing`);
  return { advisories, packages: null };
}

/** The program that audits a lock file, for the message when it is missing. */
export function missingTool(thrown: unknown, file: LockFile): unknown {
  if (!(thrown instanceof DeployError) || thrown.reasonCode !== 'not_found') return thrown;
  return new DeployError('not_found', `${file.path} cannot be audited: ${thrown.message}`, {
    remedy: 'Install the tool that the lock file belongs to in a step before, for instance with corepack.',
    cause: thrown,
  });
}
