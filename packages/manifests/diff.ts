import { canonicalJson, isRecord, secretsOf } from '@deploy-actions/core';

/** A field that becomes another. Values are text to show, never secrets. */
export interface FieldChange {
  /** `spec.template.spec.containers[web].image` */
  field: string;
  /** Null where there is none. */
  from: string | null;
  to: string | null;
}

/** What the API server writes itself, and a copy of the object, with a Secret's values, that kubectl keeps. */
const notCompared = new Set([
  'metadata.managedFields',
  'metadata.resourceVersion',
  'metadata.generation',
  'metadata.uid',
  'metadata.creationTimestamp',
  'metadata.selfLink',
  'metadata.annotations["kubectl.kubernetes.io/last-applied-configuration"]',
  'metadata.annotations["deployment.kubernetes.io/revision"]',
  'status',
]);

const longest = 120;
const notShown = '(not shown)';

/** Which fields of an object differ, in their order: the live one and what the API server would make of it. */
export function diffObjects(live: object | undefined, next: object): FieldChange[] {
  const changes: FieldChange[] = [];
  const isSecret = isRecord(next) && next['kind'] === 'Secret';
  compare(live ?? {}, next, '', isSecret, changes);
  return changes;
}

function compare(from: unknown, to: unknown, field: string, isSecret: boolean, changes: FieldChange[]): void {
  if (notCompared.has(field) || canonicalJson(from) === canonicalJson(to)) return;
  if (isRecord(from) && isRecord(to)) {
    for (const key of new Set([...Object.keys(from), ...Object.keys(to)])) {
      compare(from[key], to[key], join(field, key), isSecret, changes);
    }
    return;
  }
  if (Array.isArray(from) && Array.isArray(to)) {
    const [before, after] = [named(from), named(to)];
    if (before !== undefined && after !== undefined) {
      for (const name of new Set([...before.keys(), ...after.keys()])) {
        compare(before.get(name), after.get(name), `${field}[${name}]`, isSecret, changes);
      }
      return;
    }
  }
  // A part that is new, or goes, is said field by field as far as that is of use.
  if (isRecord(to) && from === undefined && Object.keys(to).length > 0) {
    for (const [key, value] of Object.entries(to))
      compare(undefined, value, join(field, key), isSecret, changes);
    return;
  }
  const isHidden = (isSecret && /^(?:data|stringData)\b/.test(field)) || namesSecret(field);
  changes.push({ field, from: shown(from, isHidden), to: shown(to, isHidden) });
}

function join(field: string, key: string): string {
  if (!/^[\w-]+$/.test(key)) return `${field}["${key}"]`;
  return field === '' ? key : `${field}.${key}`;
}

/** The items by their names, where each has one of its own. */
function named(items: unknown[]): Map<string, unknown> | undefined {
  const byName = new Map<string, unknown>();
  for (const item of items) {
    const name = isRecord(item) ? item['name'] : undefined;
    if (typeof name !== 'string' || byName.has(name)) return undefined;
    byName.set(name, item);
  }
  return byName;
}

/** Whether the name of a variable, or of a key of a ConfigMap, says that its value is not for everybody. */
function namesSecret(field: string): boolean {
  const name = /\.env\[([^\]]+)\]\.value$/.exec(field)?.[1] ?? /^data(?:\.|\[")([\w.-]+)/.exec(field)?.[1];
  return name !== undefined && secretsOf({ [name]: 'some-value' }).length > 0;
}

function shown(value: unknown, isHidden: boolean): string | null {
  if (value === undefined) return null;
  if (isHidden) return notShown;
  const text = typeof value === 'string' ? value : canonicalJson(withoutSecrets(value));
  const password = secretsOf({ value: text }).length > 0;
  if (password) return notShown;
  return text.length > longest ? `${text.slice(0, longest)}…` : text;
}

/** A whole part with the values of variables whose names say so left out. */
function withoutSecrets(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (!isRecord(value)) return value;
  const { name, value: text } = value;
  const isHidden =
    typeof name === 'string' && typeof text === 'string' && secretsOf({ [name]: text }).length > 0;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      isHidden && key === 'value' ? notShown : withoutSecrets(inner),
    ]),
  );
}

/** `spec.replicas: 2 → 3` */
export function describeChange({ field, from, to }: FieldChange): string {
  if (from === null) return `${field}: + ${to ?? ''}`;
  return to === null ? `${field}: − ${from}` : `${field}: ${from} → ${to}`;
}
