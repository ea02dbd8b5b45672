import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DeployError, isRecord, lastLines, messageOf, runProcess } from '@deploy-actions/core';
import { withProgress } from '../progress.ts';
import { type Advisory, compareVersions, sortedIds } from './advisory.ts';
import { type Audit, auditFailed, type AuditOptions } from './port.ts';
import { type LockedPackage, type LockFile, readToml } from './lock-files.ts';
import { pythonName, readPythonLock, readRequirements } from './python-locks.ts';

export interface PipAuditOptions extends AuditOptions {
  /** The program with its first arguments. */
  program: readonly string[];
  service: 'pypi' | 'osv';
  /** Address of the OSV interface, `https://api.osv.dev/v1`. */
  osv: string;
}

interface Answer {
  name: string;
  version: string;
  vulnerabilities: { id: string; aliases: string[]; fixed: string[]; title: string }[];
}

/**
 * Audits one lock file of Python. What is locked completely is asked about as it stands, without pip; of a requirements file that leaves
 * anything open, and of a pyproject.toml, pip resolves what would be installed. Throws `scan_failed` for a service that does not answer,
 * a file that cannot be read, and an answer that leaves packages out.
 */
export async function auditPython(file: LockFile, options: PipAuditOptions): Promise<Audit> {
  const work = await mkdtemp(join(options.temp, 'pip-audit-'));
  try {
    switch (file.kind) {
      case 'requirements':
        return await auditRequirements(file, work, options);
      case 'pyproject':
        return await auditProject(file, work, options);
      default:
        return await auditLocked(file, await readPythonLock(options.root, file), work, options);
    }
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function auditRequirements(file: LockFile, work: string, options: PipAuditOptions): Promise<Audit> {
  const { packages, complete } = readRequirements(await readFile(join(options.root, file.path), 'utf8'));
  const locked = packages.flatMap(({ name, version, line }): LockedPackage[] =>
    version === null ? [] : [{ name, version, line, direct: null, from: 'index' }],
  );
  if (complete) return auditLocked(file, locked, work, options);
  const answers = await ask(file, ['-r', join(options.root, file.path)], work, options);
  const wanted = packages.map(({ name, line }) => ({ name, line }));
  return auditOf(answers, wanted, options);
}

async function auditProject(file: LockFile, work: string, options: PipAuditOptions): Promise<Audit> {
  const path = join(options.root, file.path);
  const { project } = await readToml(path, file.path);
  const asked = isRecord(project) && Array.isArray(project['dependencies']) ? project['dependencies'] : [];
  const written = join(work, 'requirements.txt');
  await writeFile(written, `${asked.join('\n')}\n`);
  const answers = await ask(file, ['-r', written], work, options);
  const lines = (await readFile(path, 'utf8')).split('\n');
  const wanted = asked.map((requirement: unknown) => {
    const name = /^[\w.-]+/.exec(String(requirement))?.[0] ?? '';
    const line = lines.findIndex((each) => each.includes(JSON.stringify(requirement).slice(1, -1)));
    return { name: pythonName(name), line: line < 0 ? null : line + 1 };
  });
  return auditOf(answers, wanted, options);
}

/** What pip resolved: what the file names is direct, the rest came with it. */
function auditOf(
  answers: readonly Answer[],
  wanted: readonly { name: string; line: number | null }[],
  { unaudited }: PipAuditOptions,
): Audit {
  const places = new Map(wanted.map(({ name, line }) => [name, line]));
  return {
    advisories: answers.flatMap((answer) =>
      advisoriesOf(answer, places.get(answer.name) ?? null, places.has(answer.name)),
    ),
    packages: answers.length,
    unaudited: [...unaudited],
  };
}

/** A lock may have a package in several versions, by markers; a file of requirements may name each once. */
function rounds(packages: readonly LockedPackage[]): LockedPackage[][] {
  const all: Map<string, LockedPackage>[] = [];
  for (const each of packages) {
    const round = all.find((one) => !one.has(each.name));
    if (round === undefined) all.push(new Map([[each.name, each]]));
    else round.set(each.name, each);
  }
  return all.map((round) => [...round.values()]);
}

async function auditLocked(
  file: LockFile,
  packages: readonly LockedPackage[],
  work: string,
  options: PipAuditOptions,
): Promise<Audit> {
  const unaudited = new Set(options.unaudited.map(pythonName));
  const foreign = packages.filter(({ from, name }) => from === 'other' && !unaudited.has(name));
  if (foreign.length > 0) {
    throw auditFailed(
      file.path,
      `${foreign.map(({ name }) => name).join(', ')} come from repositories or archives, of which no service knows advisories. Name in \`unaudited\` what you look after yourself.`,
    );
  }
  const asked = packages.filter(({ from, name }) => from === 'index' && !unaudited.has(name));
  const advisories: Advisory[] = [];
  for (const [index, round] of rounds(asked).entries()) {
    const written = join(work, `requirements-${index}.txt`);
    await writeFile(written, round.map(({ name, version }) => `${name}==${version}\n`).join(''));
    const answers = await ask(file, ['-r', written, '--no-deps', '--disable-pip'], work, options);
    for (const each of round) {
      const answer = answers.find(({ name }) => name === each.name);
      if (answer === undefined) throw auditFailed(file.path, `pip-audit did not answer about ${each.name}.`);
      advisories.push(...advisoriesOf({ ...answer, version: each.version }, each.line, each.direct));
    }
  }
  return {
    advisories,
    packages: asked.length,
    unaudited: packages.filter(({ name }) => unaudited.has(name)).map(({ name }) => name),
  };
}

async function ask(
  file: LockFile,
  what: readonly string[],
  work: string,
  options: PipAuditOptions,
): Promise<Answer[]> {
  const service =
    options.service === 'osv'
      ? ['-s', 'osv', '--osv-url', `${options.osv.replace(/\/$/, '')}/query`]
      : ['-s', 'pypi'];
  const output = ['-f', 'json', '--aliases', 'on', '--desc', 'on', '--progress-spinner', 'off'];
  const { code, stdout, stderr } = await withProgress(
    options.log,
    `auditing ${file.path}`,
    options.timeout,
    () =>
      runProcess({
        command: [...options.program, ...output, ...service, '--cache-dir', join(work, 'cache'), ...what],
        cwd: dirname(join(options.root, file.path)),
        env: options.environment,
        signal: options.signal,
        timeout: options.timeout,
        keep: 64 * 1024 ** 2,
      }),
  );
  try {
    const { answers, skipped } = readPipAudit(stdout);
    const left = skipped.filter(({ name }) => !options.unaudited.some((each) => pythonName(each) === name));
    if (left.length > 0) {
      throw auditFailed(
        file.path,
        `the advisory service had no answer about ${left.map(({ name, why }) => `${name} (${why})`).join(', ')}. Name in \`unaudited\` what it cannot know.`,
      );
    }
    // 1 stands for findings and for failures alike: findings are there to be seen.
    const found = answers.some(({ vulnerabilities }) => vulnerabilities.length > 0);
    if (code !== (found ? 1 : 0)) throw new Error(`it ended with ${code ?? 'a signal'}`);
    return answers;
  } catch (thrown) {
    if (thrown instanceof DeployError) throw thrown;
    const [last = ''] = lastLines(stderr, 1);
    throw auditFailed(
      file.path,
      `pip-audit: ${last === '' || code === 0 ? messageOf(thrown) : last}`,
      lastLines(stderr, 10),
      thrown,
    );
  }
}

/** Reads what `pip-audit -f json` writes. Throws for anything else: nothing written must never read as nothing found. */
export function readPipAudit(text: string): { answers: Answer[]; skipped: { name: string; why: string }[] } {
  const report: unknown = JSON.parse(text);
  const listed = isRecord(report) ? report['dependencies'] : undefined;
  if (!Array.isArray(listed)) throw new Error('what it wrote has no list of dependencies');
  const answers: Answer[] = [];
  const skipped: { name: string; why: string }[] = [];
  for (const each of listed as unknown[]) {
    if (!isRecord(each) || typeof each['name'] !== 'string') throw new Error('a dependency has no name');
    const name = pythonName(each['name']);
    const { skip_reason: why, version, vulns } = each;
    if (typeof why === 'string') skipped.push({ name, why });
    else if (typeof version !== 'string' || !Array.isArray(vulns))
      throw new Error(`it says nothing about ${name}`);
    else answers.push({ name, version, vulnerabilities: vulns.map(vulnerabilityOf) });
  }
  return { answers, skipped };
}

function vulnerabilityOf(found: unknown): Answer['vulnerabilities'][number] {
  if (!isRecord(found) || typeof found['id'] !== 'string') throw new Error('a vulnerability has no id');
  const texts = (value: unknown) =>
    Array.isArray(value) ? value.filter((each): each is string => typeof each === 'string') : [];
  return {
    id: found['id'],
    aliases: texts(found['aliases']),
    fixed: texts(found['fix_versions']),
    title: firstSentence(typeof found['description'] === 'string' ? found['description'] : ''),
  };
}

/** Descriptions are whole advisories where the database has no summary. */
function firstSentence(text: string): string {
  const line = text.replace(/[#*`]/g, '').replace(/\s+/g, ' ').trim();
  const sentence = /^.{10,160}?[.!?](?=\s|$)/.exec(line)?.[0] ?? line;
  return sentence.length > 160 ? `${sentence.slice(0, 159)}…` : sentence;
}

function advisoriesOf(
  { name, version, vulnerabilities }: Answer,
  line: number | null,
  direct: boolean | null,
): Advisory[] {
  return vulnerabilities.map(({ id, aliases, fixed, title }) => {
    const ids = sortedIds([id, ...aliases]);
    const fixedVersion =
      fixed.toSorted(compareVersions).find((each) => compareVersions(each, version) > 0) ?? null;
    return {
      ecosystem: 'pypi',
      ids,
      title: title === '' ? `${ids[0] ?? id} in ${name}` : title,
      severity: 'unknown',
      link: linkOf(ids),
      package: name,
      version,
      fixedVersion,
      fixable: fixedVersion !== null,
      direct,
      fix: fixedVersion === null ? null : `A fix updates ${name} to ${fixedVersion} or later`,
      line,
    };
  });
}

function linkOf(ids: readonly string[]): string | null {
  const id = ids.find((each) => /^(?:GHSA|PYSEC|CVE)-[\w-]+$/.test(each));
  return id === undefined ? null : `https://osv.dev/vulnerability/${id}`;
}
