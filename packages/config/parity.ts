import { canonicalJson, isRecord, type Json, type Place } from '@deploy-actions/core';
import type { ConfigDocument, Found } from './document.ts';

/** A setting as an environment has it. */
export interface ParityValue {
  /** Of a mapping only its names: what it holds may be secret. */
  shown: string;
  place: Place;
  where: string;
}

export interface ParityRow {
  path: string;
  verdict: 'missing' | 'differs' | 'same';
  /** Why a difference is as it should be; null when it may be a mistake. */
  expected: string | null;
  /** By environment; null where it is missing. */
  values: Record<string, ParityValue | null>;
  /** Of mappings: the names of which the values differ, or that are not in all of them. */
  names: string[];
}

/** Settings beside each other. */
export interface Parity {
  environments: string[];
  /** What is likely a mistake first. */
  rows: ParityRow[];
}

/**
 * What is expected to differ between environments, by the last key of the path: where something is or listens, how many of it
 * run, and what the application is told. Either the whole key, or the last word of it.
 */
const expectedToDiffer: Record<string, string> = {
  url: 'an address',
  urls: 'addresses',
  host: 'an address',
  hosts: 'addresses',
  hostname: 'an address',
  domain: 'an address',
  domains: 'addresses',
  listen: 'an address',
  port: 'an address',
  'port-range': 'addresses',
  instances: 'a count',
  replicas: 'a count',
  count: 'a count',
  env: 'environment variables',
  'env-file': 'environment variables',
};

function expectationOf(path: string): string | null {
  const key = path.split('.').at(-1) ?? '';
  return [key, key.split('-').at(-1) ?? ''].map((name) => expectedToDiffer[name]).find(Boolean) ?? null;
}

/** Whether an environment is the one that people use: `production`, `prod`, `eu-prod`. */
function isProduction(environment: string): boolean {
  return /(?:^|[-_.])prod(?:uction)?(?:$|[-_.])/i.test(environment);
}

function shownOf(value: Json): string {
  if (isRecord(value)) return `{${Object.keys(value).join(', ')}}`;
  if (Array.isArray(value)) return `[${value.map((item) => shownOf(item)).join(', ')}]`;
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  // A password in a URL does not belong in the file, and still less in a summary.
  return text.replaceAll(/(\/\/)[^/@\s"]+@/g, '$1***@');
}

function differingNames(values: readonly unknown[]): string[] {
  const mappings = values.filter(isRecord);
  if (mappings.length < values.length) return [];
  const names = new Set(mappings.flatMap((mapping) => Object.keys(mapping)));
  return [...names].filter(
    (name) => new Set(mappings.map((mapping) => canonicalJson(mapping[name] ?? null))).size > 1,
  );
}

function rowOf(path: string, found: Record<string, Found>): ParityRow | undefined {
  const all = Object.entries(found);
  const set = all.flatMap(([, one]) => (one.state === 'set' ? [one.value] : []));
  if (set.length === 0) return undefined;
  const lacking = all.filter(([, { state }]) => state !== 'set');
  const values = Object.fromEntries(
    all.map(([environment, one]): [string, ParityValue | null] => [
      environment,
      one.state === 'set'
        ? { shown: shownOf(one.value), place: one.origin.place, where: one.origin.where }
        : null,
    ]),
  );
  const row = { path, values, names: differingNames(set) };
  if (lacking.length === 0) {
    const differs = new Set(set.map(canonicalJson)).size > 1;
    return { ...row, verdict: differs ? 'differs' : 'same', expected: differs ? expectationOf(path) : null };
  }
  const onPurpose = lacking.every(([, { state }]) => state === 'unset');
  const concernsProduction = lacking.some(([environment]) => isProduction(environment));
  return {
    ...row,
    verdict: 'missing',
    expected: onPurpose ? 'unset by `~`' : concernsProduction ? null : expectationOf(path),
  };
}

/** The lower, the likelier is a mistake. */
function rankOf({ verdict, expected, values }: ParityRow): number {
  if (verdict === 'same') return 5;
  if (expected !== null) return 4;
  if (verdict === 'differs') return 3;
  const lacking = Object.keys(values).filter((environment) => values[environment] === null);
  return lacking.some(isProduction) ? 0 : lacking.length === 1 ? 1 : 2;
}

/**
 * Compares environments after inheritance, path by path. First what production lacks, then what one environment alone lacks, what
 * several lack, what differs, what is expected to differ, and what is the same.
 */
export function parityOf(document: ConfigDocument, environments = document.environments): Parity {
  const rows = document.paths
    .map((path) =>
      rowOf(path, Object.fromEntries(environments.map((name) => [name, document.find(name, path)]))),
    )
    .filter((row) => row !== undefined)
    .toSorted((a, b) => rankOf(a) - rankOf(b) || (a.path < b.path ? -1 : 1));
  return { environments: [...environments], rows };
}
