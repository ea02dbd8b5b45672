import { DeployError, isRecord } from '@deploy-actions/core';
import { severityOf, type Location, type Subject, type Target } from '@deploy-actions/findings';
import type { FindingClass, Scan, Scanned } from '../model.ts';
import { spellingsOf } from './ids.ts';

/**
 * Reads a report of `trivy … --format json` (schema 2). `target` is what was scanned when it is one thing (an image, an SBOM); null for
 * folders, where each file is a target of its own. `prefix` is the scanned folder relative to the repository's root.
 *
 * `Results` that are absent, null or empty mean that nothing was found. Throws `scan_failed` for anything that is no report: the file of a
 * scan that failed must never read as a clean one.
 */
export function readTrivyReport(text: string, target: Target | null, prefix = ''): Scan {
  const report = parse(text);
  const { SchemaVersion: schema, ArtifactName: artifact, Results: results = null } = report;
  if (schema !== 2) throw noReport(`its SchemaVersion is ${JSON.stringify(schema)}, not 2`);
  if (typeof artifact !== 'string' || typeof report['ArtifactType'] !== 'string')
    throw noReport('it does not say what was scanned');
  if (results !== null && !Array.isArray(results)) throw noReport('its Results are no list');
  const trivy = isRecord(report['Trivy']) ? report['Trivy'] : {};
  const metadata = isRecord(report['Metadata']) ? report['Metadata'] : {};
  const system = isRecord(metadata['OS']) ? metadata['OS'] : {};
  let packages: number | null = null;
  const findings: Scanned[] = [];
  for (const result of (results ?? []) as unknown[]) {
    if (!isRecord(result)) throw noReport('one of its Results is no object');
    const listed = listOf(result, 'Packages');
    if (listed.length > 0) packages = (packages ?? 0) + listed.length;
    findings.push(...findingsOf(result, target, prefix));
  }
  return {
    scanner: { name: 'Trivy', version: textOf(trivy, 'Version') || null },
    artifact,
    at: textOf(report, 'CreatedAt') || null,
    findings,
    packages,
    endOfLife: system['EOSL'] === true,
  };
}

function noReport(why: string, cause?: unknown): DeployError {
  return new DeployError('scan_failed', `What Trivy wrote is no report of a scan: ${why}.`, {
    remedy: 'Look at the output of Trivy above; a scan that did not come to its end has no verdict.',
    cause,
  });
}

function parse(text: string): Record<string, unknown> {
  let report: unknown;
  try {
    report = JSON.parse(text);
  } catch (cause) {
    throw noReport(text.trim() === '' ? 'it is empty' : 'it is not JSON', cause);
  }
  if (!isRecord(report)) throw noReport('it is no object');
  return report;
}

type Fields = Record<string, unknown>;

function listOf(fields: Fields, name: string): Fields[] {
  const list = fields[name] ?? [];
  if (!Array.isArray(list) || !list.every(isRecord)) throw noReport(`its ${name} are no list of objects`);
  return list;
}

function textOf(fields: Fields, name: string): string {
  const value = fields[name];
  return typeof value === 'string' ? value : '';
}

function lineOf(fields: Fields, name: string): number | null {
  const value = fields[name];
  return typeof value === 'number' && value > 0 ? value : null;
}

function findingsOf(result: Fields, target: Target | null, prefix: string): Scanned[] {
  const place = placeOf(result, target, prefix);
  const lines = packageLines(result);
  return [
    ...listOf(result, 'Vulnerabilities').map((each) => vulnerability(each, place, lines)),
    // Checks that passed or were excepted are listed too when they are asked for.
    ...listOf(result, 'Misconfigurations')
      .filter((each) => ['', 'FAIL'].includes(textOf(each, 'Status')))
      .map((each) => misconfiguration(each, place)),
    ...listOf(result, 'Secrets').map((each) => secret(each, place)),
    ...listOf(result, 'Licenses').map((each) => licence(each, place)),
  ];
}

interface Place {
  target: Target;
  /** The file of the repository, or null where the target is no folder of it. */
  file: string | null;
  /** The path in the target, for what lies in an image. */
  path: string | null;
}

/** A class of result is about a file, except for operating system packages, which are about the whole image. */
function placeOf(result: Fields, target: Target | null, prefix: string): Place {
  const name = textOf(result, 'Target');
  const kind = textOf(result, 'Class');
  if (target !== null) return { target, file: null, path: kind === 'os-pkgs' ? null : name };
  const file = `${prefix}${prefix === '' || prefix.endsWith('/') ? '' : '/'}${name}`;
  return {
    target: { kind: kindOf(kind, textOf(result, 'Type')), name: file, version: null },
    file,
    path: null,
  };
}

function kindOf(resultClass: string, type: string): Target['kind'] {
  if (resultClass === 'lang-pkgs' || resultClass === 'os-pkgs') return 'lock-file';
  if (resultClass === 'config') return type === 'dockerfile' ? 'dockerfile' : 'manifest';
  return 'files';
}

function locationIn(file: string | null, startLine: number | null, endLine: number | null): Location | null {
  return file === null ? null : { file, startLine, endLine };
}

function common(
  found: Fields,
  findingClass: FindingClass,
  id: string,
  help: string,
): Pick<Scanned, 'class' | 'rule' | 'severity'> {
  const link = textOf(found, 'PrimaryURL');
  return {
    class: findingClass,
    rule: {
      id,
      title: textOf(found, 'Title') || id,
      help,
      link: link === '' ? null : link,
      tags: ['security', findingClass],
    },
    severity: severityOf(textOf(found, 'Severity')),
  };
}

function vulnerability(
  found: Fields,
  { target, file, path }: Place,
  lines: ReadonlyMap<string, number>,
): Scanned {
  const name = textOf(found, 'PkgName');
  const version = textOf(found, 'InstalledVersion');
  const fixedVersion = textOf(found, 'FixedVersion') || null;
  const id = textOf(found, 'VulnerabilityID');
  if (id === '' || name === '') throw noReport('a vulnerability has no id or no package');
  const identifier = isRecord(found['PkgIdentifier']) ? found['PkgIdentifier'] : {};
  const inPackage = textOf(found, 'PkgPath');
  const subject: Subject = { name, version: version || null, fixedVersion, path: inPackage || path };
  const then = fixedVersion === null ? 'There is no fixed version yet.' : `Fixed in ${fixedVersion}.`;
  const rest = common(found, 'vulnerability', id, textOf(found, 'Description'));
  return {
    ...rest,
    message: `${name} ${version}: ${rest.rule.title}. ${then}`.replace('..', '.'),
    target,
    subject,
    location: locationIn(file, lines.get(textOf(identifier, 'UID')) ?? null, null),
    context: null,
    purl: textOf(identifier, 'PURL') || null,
    fixable: fixedVersion !== null,
  };
}

/** The lines of a lock file on which packages stand, by Trivy's id of the package; for some formats it knows none. */
function packageLines(result: Fields): Map<string, number> {
  const lines = new Map<string, number>();
  for (const each of listOf(result, 'Packages')) {
    const identifier = isRecord(each['Identifier']) ? textOf(each['Identifier'], 'UID') : '';
    const [first] = listOf(each, 'Locations');
    const line = first === undefined ? null : lineOf(first, 'StartLine');
    if (identifier !== '' && line !== null) lines.set(identifier, line);
  }
  return lines;
}

function misconfiguration(found: Fields, { target, file, path }: Place): Scanned {
  const id = textOf(found, 'ID') || textOf(found, 'AVDID');
  if (id === '') throw noReport('a misconfiguration has no id');
  const cause = isRecord(found['CauseMetadata']) ? found['CauseMetadata'] : {};
  const resource = textOf(cause, 'Resource');
  const help = [textOf(found, 'Description'), textOf(found, 'Resolution')].filter((text) => text !== '');
  const listed = Array.isArray(found['Aliases'])
    ? found['Aliases'].filter((each) => typeof each === 'string')
    : [];
  return {
    aliases: [...new Set([textOf(found, 'AVDID'), ...listed, ...spellingsOf(id)])].filter(
      (each) => each !== '' && each !== id,
    ),
    ...common(found, 'misconfiguration', id, help.join('\n')),
    message: textOf(found, 'Message') || textOf(found, 'Title') || id,
    target,
    subject:
      resource === '' && path === null ? null : { name: resource, version: null, fixedVersion: null, path },
    location: locationIn(file, lineOf(cause, 'StartLine'), lineOf(cause, 'EndLine')),
    context: textOf(found, 'Message') || null,
    purl: null,
    fixable: true,
  };
}

/** Nothing of the file's text: the lines around a secret, which the report has too, may hold others that nobody masked. */
function secret(found: Fields, { target, file, path }: Place): Scanned {
  const id = textOf(found, 'RuleID');
  if (id === '') throw noReport('a secret has no rule');
  const line = lineOf(found, 'StartLine');
  const where = file ?? path ?? target.name;
  return {
    ...common(
      found,
      'secret',
      id,
      'Revoke it, for whoever can read this can use it; then take it out of the file, and out of the history or the layer that has it.',
    ),
    message: `${textOf(found, 'Title') || id} in ${where}${line === null ? '' : `, line ${line}`}.`,
    target,
    subject:
      path === null ? null : { name: textOf(found, 'Category'), version: null, fixedVersion: null, path },
    location: locationIn(file, line, lineOf(found, 'EndLine')),
    context: null,
    purl: null,
    fixable: true,
  };
}

function licence(found: Fields, { target, file, path }: Place): Scanned {
  const name = textOf(found, 'Name');
  if (name === '') throw noReport('a licence has no name');
  const subject = textOf(found, 'PkgName');
  const rest = common(
    found,
    'licence',
    `licence-${name}`,
    'See whether its terms allow what you do with it.',
  );
  const link = textOf(found, 'Link');
  return {
    ...rest,
    // Trivy's own ignore files name it so.
    aliases: [name],
    rule: { ...rest.rule, title: `Licence ${name}`, link: link === '' ? null : link, tags: ['licence'] },
    message: `${subject || textOf(found, 'FilePath') || target.name} is under ${name} (${textOf(found, 'Category') || 'unknown'}).`,
    target,
    subject: { name: subject, version: null, fixedVersion: null, path: textOf(found, 'FilePath') || path },
    location: locationIn(file, null, null),
    context: null,
    purl: null,
    fixable: true,
  };
}
