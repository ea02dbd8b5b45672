import {
  isRecord,
  type Json,
  type Place,
  readYamlDocuments,
  type YamlDocument,
  type YamlMapping,
  type YamlNode,
} from '@deploy-actions/core';
import type { KubernetesObject } from '@deploy-actions/kubernetes';
import { locationOf, type ManifestProblem, ManifestsRefused } from './problems.ts';
import type { Source } from './sources.ts';

/** An object as a manifest says it. */
export interface ManifestObject extends KubernetesObject {
  apiVersion: string;
  kind: string;
  [field: string]: unknown;
}

export interface Manifest {
  object: ManifestObject;
  source: string;
  node: YamlMapping;
}

/** `Deployment web` */
export function titleOf({ kind, metadata }: Pick<ManifestObject, 'kind' | 'metadata'>): string {
  return `${kind} ${metadata.name}`;
}

/** Empty for the core group. */
export function groupOf(apiVersion: string): string {
  return apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
}

/**
 * Reads every object of the sources, of Lists too. Secrets get their `stringData` into `data`, as the API server would do it.
 * Throws ManifestsRefused with all that is wrong.
 */
export async function parseManifests(sources: readonly Source[]): Promise<Manifest[]> {
  const problems: ManifestProblem[] = [];
  const manifests: Manifest[] = [];
  for (const source of sources) {
    const reader = createReader(source, problems);
    for (const document of await readYamlDocuments(source.text)) manifests.push(...reader(document));
  }
  if (problems.length === 0 && manifests.length === 0) {
    const [first] = sources;
    problems.push(problemAt(first?.name ?? 'manifests', null, 'has no object.'));
  }
  if (problems.length > 0) throw new ManifestsRefused(problems, 'Correct the manifests.');
  return manifests;
}

function problemAt(source: string, place: Place | null, message: string): ManifestProblem {
  return { source, place, message, reasonCode: 'invalid_input' };
}

/** Refuses two manifests of one object: which of them it would be is a matter of their order. */
export function refuseDuplicates(
  manifests: readonly Manifest[],
  namespaceOf: (one: Manifest) => string,
): void {
  const seen = new Map<string, Manifest>();
  const problems: ManifestProblem[] = [];
  for (const manifest of manifests) {
    const { apiVersion, kind, metadata } = manifest.object;
    const key = JSON.stringify([groupOf(apiVersion), kind, namespaceOf(manifest), metadata.name]);
    const first = seen.get(key);
    if (first === undefined) seen.set(key, manifest);
    else {
      const there = locationOf({ source: first.source, place: first.node.place });
      const message = `${titleOf(manifest.object)} is at ${there} already.`;
      problems.push(problemAt(manifest.source, manifest.node.place, message));
    }
  }
  if (problems.length > 0) throw new ManifestsRefused(problems, 'Keep one manifest of each object.');
}

/** Words that are booleans in YAML 1.1, which kubectl reads, and text in YAML 1.2. */
const oldBooleans = /^(?:yes|no|on|off)$/i;

function createReader({ name, text }: Source, problems: ManifestProblem[]) {
  const lines = text.split(/\r\n?|\n/);
  const problem = (place: Place, message: string) => void problems.push(problemAt(name, place, message));

  /** A file that says `0644` means it as kubectl reads it. */
  function scalarOf(node: YamlNode & { kind: 'scalar' }): Json {
    if (typeof node.value === 'number' && /^[-+]?0[0-7]+$/.test(node.text))
      return Number.parseInt(node.text, 8);
    if (typeof node.value === 'string' && oldBooleans.test(node.text)) {
      const isPlain = Array.from(lines[node.place.line - 1] ?? '')[node.place.column - 1] === node.text[0];
      if (isPlain) {
        problem(
          node.place,
          `\`${node.text}\` is a boolean to some tools and text to others: write "${node.text}", true or false.`,
        );
      }
    }
    return node.value;
  }

  function valueOf(node: YamlNode): Json {
    if (node.kind === 'scalar') return scalarOf(node);
    if (node.kind === 'list') return node.items.map(valueOf);
    const own: [string, Json][] = [];
    let merged: [string, Json][] = [];
    for (const [key, { node: value, place }] of node.entries) {
      if (key !== '<<') own.push([key, valueOf(value)]);
      else {
        const parts = value.kind === 'list' ? value.items : [value];
        if (parts.some(({ kind }) => kind !== 'mapping'))
          problem(place, '`<<` takes a mapping, or a list of them.');
        // The first of several wins.
        merged = parts.toReversed().flatMap((part): [string, Json][] => {
          const said = valueOf(part);
          return isRecord(said) ? Object.entries<Json>(said) : [];
        });
      }
    }
    return Object.fromEntries([...merged, ...own]);
  }

  return function objectsOf({ root, problems: found }: YamlDocument): Manifest[] {
    for (const { place, message } of found) problem(place, `${message}.`);
    if (root === null || found.length > 0) return [];
    if (root.kind === 'scalar' && root.text === '') return [];
    return objectsIn(root);
  };

  function objectsIn(node: YamlNode): Manifest[] {
    if (node.kind !== 'mapping') {
      problem(node.place, 'this is no object: it has no `apiVersion`, `kind` and `metadata`.');
      return [];
    }
    const kind = textAt(node, 'kind');
    const items = node.entries.get('items')?.node;
    if (kind?.endsWith('List') === true && items?.kind === 'list') return items.items.flatMap(objectsIn);
    const metadata = node.entries.get('metadata')?.node;
    const missing = [
      ...(textAt(node, 'apiVersion') === undefined ? ['`apiVersion`'] : []),
      ...(kind === undefined ? ['`kind`'] : []),
      ...(textAt(metadata, 'name') === undefined ? ['`metadata.name`'] : []),
    ];
    if (missing.length > 0) {
      problem(node.place, `${kind ?? 'this object'} has no ${missing.join(', no ')}.`);
      return [];
    }
    // The four fields were seen to be there; what else is in it the API server judges.
    const object = valueOf(node) as unknown as ManifestObject;
    if (object.kind === 'Secret' && groupOf(object.apiVersion) === '') checkSecret(node);
    return [{ object: object.kind === 'Secret' ? withoutStringData(object) : object, source: name, node }];
  }

  function checkSecret(node: YamlMapping): void {
    const data = node.entries.get('data')?.node;
    if (data?.kind !== 'mapping') return;
    for (const [key, { node: value, place }] of data.entries) {
      // Not one word of the value: it may be the secret itself.
      if (value.kind !== 'scalar' || isBase64(value.text)) continue;
      problem(place, `data.${key} of the Secret is not base64: encode it, or put it under \`stringData\`.`);
    }
  }
}

function textAt(node: YamlNode | undefined, key: string): string | undefined {
  const value = node?.kind === 'mapping' ? node.entries.get(key)?.node : undefined;
  return value?.kind === 'scalar' && typeof value.value === 'string' && value.value !== ''
    ? value.value
    : undefined;
}

function isBase64(text: string): boolean {
  const plain = text.replace(/[\r\n]/g, '');
  return plain.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(plain);
}

/** What is applied as `stringData` stays in `data` when it is taken out of the manifest: nobody would own it. */
function withoutStringData(secret: ManifestObject): ManifestObject {
  const { stringData, ...rest } = secret;
  if (stringData === null || typeof stringData !== 'object') return secret;
  const encoded = Object.entries(stringData).map(([key, value]) => [
    key,
    Buffer.from(String(value)).toString('base64'),
  ]);
  const data = typeof rest['data'] === 'object' ? rest['data'] : {};
  return { ...rest, data: { ...data, ...Object.fromEntries(encoded) } };
}

/** The values of a Secret, encoded and not: what must not be seen. */
export function secretsIn({ object }: Manifest): string[] {
  const { data } = object;
  if (object.kind !== 'Secret' || data === null || typeof data !== 'object') return [];
  return Object.values(data)
    .filter((value): value is string => typeof value === 'string')
    .flatMap((value) => [value, Buffer.from(value, 'base64').toString('utf8')])
    .filter((value) => value.trim().length >= 4);
}

/**
 * Where a field stands: `spec.ports[0].port`, `.spec.containers[name="web"].image`, `data[KEY]`. The nearest that is there, for
 * the API also names fields that are missing.
 */
export function placeOfField({ node }: Pick<Manifest, 'node'>, field: string): Place {
  let { place }: { place: Place } = node;
  let at: YamlNode = node;
  for (const [, key, inBrackets] of field.matchAll(/\.?([^.[\]]+)|\[([^\]]*)\]/g)) {
    const step: { node: YamlNode; place: Place } | undefined = within(at, key, inBrackets);
    if (step === undefined) break;
    ({ place, node: at } = step);
  }
  return place;
}

function within(
  node: YamlNode,
  key: string | undefined,
  inBrackets: string | undefined,
): { node: YamlNode; place: Place } | undefined {
  if (node.kind === 'mapping') return node.entries.get(key ?? inBrackets ?? '');
  if (node.kind !== 'list' || inBrackets === undefined) return undefined;
  const item = /^\d+$/.test(inBrackets)
    ? node.items[Number(inBrackets)]
    : node.items.find((one) => hasKeys(one, inBrackets));
  return item === undefined ? undefined : { node: item, place: item.place };
}

/** Whether an item of a list has the keys that server-side apply names it by: `name="web"`, `containerPort=80,protocol="TCP"`. */
function hasKeys(item: YamlNode, keys: string): boolean {
  if (item.kind !== 'mapping') return item.kind === 'scalar' && `="${item.text}"` === keys;
  return [...keys.matchAll(/(\w+)=("[^"]*"|[^,]+)/g)].every(([, key = '', value = '']) => {
    const there = item.entries.get(key)?.node;
    // Part of a key may be a default that the manifest does not say.
    return there === undefined
      ? key === 'protocol'
      : there.kind === 'scalar' && there.text === value.replaceAll('"', '');
  });
}
