// What a workflow lets its token do. act knows no `permissions`: the token that it is given has to be of this kind.

import { isRecord, parseYaml } from '@deploy-actions/core';
import type { Permissions } from '../support/github/index.ts';

/** The jobs of a workflow by their ids. */
export async function jobsOf(workflow: string): Promise<Record<string, Record<string, unknown>>> {
  const document = await parseYaml(workflow);
  const jobs = isRecord(document) && isRecord(document['jobs']) ? document['jobs'] : {};
  return Object.fromEntries(Object.entries(jobs).filter(([, job]) => isRecord(job))) as Record<
    string,
    Record<string, unknown>
  >;
}

/** The path of the suite's reusable workflow that a job calls. */
export function calledBy(job: Record<string, unknown>): string | undefined {
  return typeof job['uses'] === 'string'
    ? /^org\/deploy-actions\/(\.github\/workflows\/\S+)@/.exec(job['uses'])?.[1]
    : undefined;
}

/** `one` and all that `other` allows beside it. */
function together(one: Permissions, other: Permissions): Permissions {
  const both = { ...one };
  for (const [name, level] of Object.entries(other) as [keyof Permissions, 'read' | 'write'][]) {
    if (level === 'write' || both[name] === undefined) both[name] = level;
  }
  return both;
}

/** What the jobs of a workflow ask for, all together; of a reusable workflow that one calls, what its jobs ask for. */
export async function permissionsOf(
  workflow: string,
  read: (path: string) => Promise<string>,
): Promise<Permissions> {
  let asked: Permissions = {};
  for (const job of Object.values(await jobsOf(workflow))) {
    const called = calledBy(job);
    asked = together(
      asked,
      called === undefined ? (job['permissions'] ?? {}) : await permissionsOf(await read(called), read),
    );
  }
  return asked;
}
