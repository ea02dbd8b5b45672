// The Roles of the examples, beside what the code does with the rights.

import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadAll } from 'js-yaml';
import { describe, expect, it } from 'vitest';

const examples = join(import.meta.dirname, '../../workflows-examples');

interface Rule {
  resources: string[];
  verbs: string[];
}

const files = globSync('*/*role.yml', { cwd: examples });

describe.each(files)('%s', (file) => {
  const documents = loadAll(readFileSync(join(examples, file), 'utf8')) as { kind: string; rules?: Rule[] }[];
  const rules = documents.flatMap(({ kind, rules: own }) => (kind.endsWith('Role') ? (own ?? []) : []));

  it('lets be read what may be written: after an answer that was lost the object is read back', () => {
    const verbs = new Map<string, Set<string>>();
    for (const rule of rules)
      for (const resource of rule.resources)
        verbs.set(resource, new Set([...(verbs.get(resource) ?? []), ...rule.verbs]));
    const mayGet = (resource: string) => verbs.get(resource.replace(/\/.*$/, ''))?.has('get') === true;
    const blind = [...verbs].filter(
      ([resource, may]) => (may.has('patch') || may.has('create')) && !mayGet(resource),
    );
    expect(blind.map(([resource]) => resource)).toEqual([]);
  });
});
