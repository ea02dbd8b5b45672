import { canonicalJson, isRecord } from '@deploy-actions/core';

/**
 * The JSON merge patch (RFC 7386) that makes `to` of `from`: only what differs, null for what goes; lists are given
 * whole. Safe for lists only with the resourceVersion at which `from` was read. Undefined when nothing differs.
 */
export function mergePatchBetween(from: unknown, to: unknown): unknown {
  if (canonicalJson(from) === canonicalJson(to)) return undefined;
  if (!isRecord(from) || !isRecord(to)) return to;
  const patch: Record<string, unknown> = {};
  for (const key of new Set([...Object.keys(from), ...Object.keys(to)])) {
    if (to[key] === undefined) {
      if (from[key] !== undefined) patch[key] = null;
      continue;
    }
    const inner = from[key] === undefined ? to[key] : mergePatchBetween(from[key], to[key]);
    if (inner !== undefined) patch[key] = inner;
  }
  return patch;
}

/** Whether an object is as a merge patch makes it. What the API server fills in beside it does not count. */
export function isPatched(current: unknown, patch: unknown): boolean {
  if (patch === null) return current === undefined || current === null;
  if (Array.isArray(patch)) {
    return (
      Array.isArray(current) &&
      current.length === patch.length &&
      patch.every((item, index) => isPatched(current[index], item))
    );
  }
  if (isRecord(patch)) {
    return isRecord(current) && Object.entries(patch).every(([key, value]) => isPatched(current[key], value));
  }
  return current === patch;
}

/** One field that is, or would be, another. Undefined where it is not there. */
export interface FieldChange {
  /** `spec.template.spec.containers[server].image`; items of lists are named where they have names. */
  path: string;
  from: unknown;
  to: unknown;
}

/** What differs, field by field. */
export function fieldChanges(from: unknown, to: unknown, path = ''): FieldChange[] {
  if (canonicalJson(from) === canonicalJson(to)) return [];
  const inner = (key: string) => (path === '' ? key : `${path}.${key}`);
  if (isRecord(from) && isRecord(to)) {
    return [...new Set([...Object.keys(from), ...Object.keys(to)])].flatMap((key) =>
      fieldChanges(from[key], to[key], inner(key)),
    );
  }
  const [before, after] = [byName(from), byName(to)];
  if (before !== undefined && after !== undefined) {
    return [...new Set([...before.keys(), ...after.keys()])].flatMap((name) =>
      fieldChanges(before.get(name), after.get(name), `${path}[${name}]`),
    );
  }
  return [{ path, from, to }];
}

/** The items of a list by their names; undefined for what is no such list. */
function byName(value: unknown): Map<string, unknown> | undefined {
  if (!Array.isArray(value) || value.length === 0) return undefined;
  const items = new Map<string, unknown>();
  for (const item of value) {
    if (!isRecord(item) || typeof item['name'] !== 'string') return undefined;
    items.set(item['name'], item);
  }
  return items.size === value.length ? items : undefined;
}

/** `spec.replicas: 2 → 3`, on one line. */
export function describeChange({ path, from, to }: FieldChange): string {
  const text = (value: unknown) =>
    value === undefined ? '(none)' : typeof value === 'string' ? value : canonicalJson(value);
  return `${path}: ${text(from)} → ${text(to)}`;
}
