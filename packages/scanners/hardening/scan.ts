import { readFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { DeployError } from '@deploy-actions/core';
import { readDockerfile } from '@deploy-actions/dockerfile';
import type { Scanned } from '../model.ts';
import { filesAt } from '../walk.ts';
import { checkCompose } from './compose.ts';
import { checkDockerfile } from './dockerfile.ts';
import { type Document, isMapping, nodeOf, readDocuments } from './documents.ts';
import { checkWorkload, type Manifest, manifestsOf, workloadOf } from './kubernetes.ts';
import { checkPolicies, checkReach } from './network-policies.ts';
import { type Hit, hardeningFinding } from './rules.ts';
import { type ConfigurationScan, scanByTrivy } from './trivy.ts';
import { withTrivyFindings } from './trivy-rules.ts';

/** What was looked at, and what not. */
export interface Hardening {
  findings: Scanned[];
  /** Files that were looked at, and what for. */
  scanned: { path: string; what: 'Dockerfile' | 'Compose' | 'Kubernetes' }[];
  /** Files that look like something to scan and cannot be. */
  passed: { path: string; why: string }[];
}

export interface HardeningOptions {
  /** No error where there is nothing to scan. */
  mayBeNothing?: boolean;
  /** A folder that is no part of what is scanned, the checkout of the base branch. */
  without?: string | undefined;
  /** Asks Trivy about Dockerfiles and manifests, too. */
  trivy?: ConfigurationScan | undefined;
}

/** `Dockerfile.prod` and `backend.dockerfile`, but neither code nor text about them. */
const isDockerfile = (name: string) =>
  /^(?:Docker|Container|docker|container)file$|^(?:Docker|Container)file\.[\w.-]+$|\.(?:[Dd]ocker|[Cc]ontainer)file$/.test(
    name,
  ) && !/\.(?:[cm]?[jt]s|py|md|txt|dockerignore|j2|tmpl|tpl)$/.test(name);
const isComposeName = (name: string) => /^(?:docker-)?compose(?:[.-][\w.-]+)?\.ya?ml$/.test(name);
const isYaml = (name: string) => /\.ya?ml$/.test(name);

/**
 * Looks at the Dockerfiles, Compose files and manifests at `paths`, relative to `root`. NetworkPolicies and ServiceAccounts are taken from
 * all of them together. Templates are not read, and said. Throws `scan_failed` for a file of these kinds that cannot be read, `not_found` when
 * there is none, unless that may be so.
 */
export async function scanHardening(
  root: string,
  paths: readonly string[],
  { mayBeNothing = false, without, trivy }: HardeningOptions = {},
): Promise<Hardening> {
  const files = await filesAt(root, paths, { mayBeMissing: mayBeNothing, without });
  const charts = files
    .filter(({ path }) => posix.basename(path) === 'Chart.yaml')
    .map(({ path }) => posix.join(posix.dirname(path), 'templates/'));
  const found: Hardening = { findings: [], scanned: [], passed: [] };
  const manifests: Manifest[] = [];
  for (const { path, named } of files) {
    const name = posix.basename(path);
    if (!isDockerfile(name) && !isYaml(name)) {
      if (named) found.passed.push({ path, why: 'it is neither a Dockerfile nor YAML by its name' });
      continue;
    }
    if (charts.some((folder) => path.startsWith(folder))) {
      found.passed.push({ path, why: 'it is a template of a Helm chart; scan what `helm template` writes' });
      continue;
    }
    const text = await readFile(join(root, path), 'utf8');
    if (isDockerfile(name)) {
      const instructions = readDockerfile(text);
      if (instructions === undefined) throw unreadable(path, 'it has no FROM');
      add(found, path, 'Dockerfile', checkDockerfile(instructions));
    } else await scanYaml(path, name, text, found, manifests);
  }
  scanManifests(manifests, found);
  if (found.scanned.length === 0 && !mayBeNothing) {
    throw new DeployError('not_found', `There is nothing to scan in ${paths.join(', ')}.`, {
      remedy: 'Name folders with Dockerfiles, Compose files or manifests of Kubernetes in `paths`.',
      details: found.passed.map(({ path, why }) => `${path}: ${why}`),
    });
  }
  if (trivy !== undefined) {
    // Trivy has no checks of Compose files.
    const own = found.scanned.filter(({ what }) => what !== 'Compose').map(({ path }) => path);
    found.findings = withTrivyFindings(found.findings, await scanByTrivy(root, own, trivy));
  }
  return found;
}

function unreadable(path: string, why: string): DeployError {
  return new DeployError('scan_failed', `${path} cannot be read: ${why}.`, {
    remedy: 'Correct it, or leave it out by naming others in `paths`. What cannot be read has no verdict.',
  });
}

function add(found: Hardening, path: string, what: 'Dockerfile' | 'Compose', hits: readonly Hit[]): void {
  found.scanned.push({ path, what });
  const kind = what === 'Dockerfile' ? 'dockerfile' : 'manifest';
  found.findings.push(...hits.map((hit) => hardeningFinding(hit, path, kind)));
}

async function scanYaml(
  path: string,
  name: string,
  text: string,
  found: Hardening,
  manifests: Manifest[],
): Promise<void> {
  const compose = isComposeName(name);
  const looksLikeManifest = /^\s*(?:- )?apiVersion:/m.test(text) && /^\s*(?:- )?kind:/m.test(text);
  const documents = await readDocuments(text);
  const problem = documents.flatMap(({ problems }) => problems).find(({ message }) => !isHarmless(message));
  if (problem !== undefined) {
    if (!compose && !looksLikeManifest) return;
    // Braces that are no YAML are a template's: whoever fills it in has the file to scan.
    if (/\{\{|\{%/.test(text)) {
      found.passed.push({ path, why: 'it is a template; scan what is made of it' });
      return;
    }
    throw unreadable(path, `line ${problem.place.line}: ${problem.message}`);
  }
  if (compose || documents.some(isCompose)) {
    add(found, path, 'Compose', documents.flatMap(hitsOfCompose));
    return;
  }
  const own = documents.flatMap(({ root, offset }) => (root === null ? [] : manifestsOf(root, path, offset)));
  if (own.length === 0) return;
  found.scanned.push({ path, what: 'Kubernetes' });
  manifests.push(...own);
}

/** Tags of others than YAML itself, such as Compose's `!reset`: what they stand on is read all the same. */
const isHarmless = (message: string) => /^the tag `.*` is not known here$/.test(message);

function isCompose({ root }: Document): boolean {
  const services = nodeOf(root, 'services');
  return (
    isMapping(services) &&
    nodeOf(root, 'apiVersion') === undefined &&
    [...services.entries.values()].some(
      ({ node }) => nodeOf(node, 'image') !== undefined || nodeOf(node, 'build') !== undefined,
    )
  );
}

function hitsOfCompose({ root, offset }: Document): Hit[] {
  return root === null ? [] : checkCompose(root).map((hit) => ({ ...hit, line: hit.line + offset }));
}

function scanManifests(manifests: readonly Manifest[], found: Hardening): void {
  const policies = manifests.filter(({ kind }) => kind === 'NetworkPolicy');
  const workloads = manifests.flatMap((manifest) => workloadOf(manifest) ?? []);
  const hits = [
    ...workloads.flatMap((workload) => [
      ...checkWorkload(workload, manifests).map((hit) => ({ ...hit, file: workload.file })),
      ...checkReach(workload, policies),
    ]),
    ...checkPolicies(policies),
  ];
  found.findings.push(...hits.map(({ file, ...hit }) => hardeningFinding(hit, file, 'manifest')));
}
