import { isRecord } from '@deploy-actions/core';

const good = new Set(['ok', 'pass', 'passing', 'up', 'healthy', 'working', 'warn', 'disabled', 'skipped']);

/**
 * Names of the failing checks of a JSON health body: entries of `checks`, `components`, `dependencies`, `details` or,
 * without these, of the body itself, whose status is none of the words that are commonly used for good.
 */
export function failingChecks(body: string): string[] {
  let document: unknown;
  try {
    document = JSON.parse(body);
  } catch {
    return [];
  }
  if (!isRecord(document)) return [];
  const { checks, components, dependencies, details } = document;
  const group = [checks, components, dependencies, details].find(
    (entry) => typeof entry === 'object' && entry !== null,
  );
  const entries: [string, unknown][] = Array.isArray(group)
    ? group.map((entry: unknown) => [isRecord(entry) ? String(entry['name']) : '', entry])
    : Object.entries(group ?? document).filter(([name]) => group !== undefined || name !== 'status');
  return entries
    .filter(([name, entry]) => name !== '' && statusOf(entry, group !== undefined) === false)
    .map(([name]) => name);
}

/** Undefined when the value does not look like the outcome of a check. */
function statusOf(entry: unknown, inGroup: boolean): boolean | undefined {
  // IETF draft health+json has a list of measurements under each name.
  if (Array.isArray(entry)) return entry.length > 0 && entry.every((one) => statusOf(one, inGroup) !== false);
  if (isRecord(entry)) {
    const status = entry['status'] ?? entry['healthy'] ?? entry['ok'];
    if (typeof status === 'boolean') return status;
    return typeof status === 'string' ? good.has(status.toLowerCase()) : undefined;
  }
  if (typeof entry === 'boolean') return entry;
  return inGroup && typeof entry === 'string' ? good.has(entry.toLowerCase()) : undefined;
}
