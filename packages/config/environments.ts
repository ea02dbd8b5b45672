import type { YamlMapping } from '@deploy-actions/core';
import { meantBy, quoted } from './keys.ts';
import { isMapping, isNull } from './nodes.ts';
import type { Report } from './problems.ts';

/** What the file says below `environments`, by name; one that says nothing is an empty mapping. */
export type Environments = ReadonlyMap<string, YamlMapping>;

/** Reads `environments`, and says where it is none. */
export function environmentsIn(top: YamlMapping | undefined, report: Report): Environments {
  const found = new Map<string, YamlMapping>();
  const node = top?.entries.get('environments')?.node;
  if (node === undefined || isNull(node)) return found;
  if (!isMapping(node)) {
    const message = 'environments must be a mapping of environments by name.';
    report({ rule: 'wrong-shape', place: node.place, path: 'environments', message });
    return found;
  }
  for (const [name, { node: settings }] of node.entries) {
    if (isMapping(settings)) {
      found.set(name, settings);
      continue;
    }
    found.set(name, { kind: 'mapping', place: settings.place, entries: new Map() });
    if (!isNull(settings)) {
      const path = `environments.${name}`;
      const message = `${path} must be a mapping of settings.`;
      report({ rule: 'wrong-shape', place: settings.place, path, message });
    }
  }
  return found;
}

/** Which environment each extends; says which names nobody has. */
function parentsOf(environments: Environments, report: Report): Map<string, string> {
  const parents = new Map<string, string>();
  for (const [name, settings] of environments) {
    const node = settings.entries.get('extends')?.node;
    if (node === undefined || isNull(node)) continue;
    const path = `environments.${name}.extends`;
    const wrong = (message: string, remedy?: string) =>
      report({ rule: 'wrong-extends', place: node.place, path, message: `${path} ${message}`, remedy });
    if (node.kind !== 'scalar') wrong('must be the name of another environment.');
    else if (environments.has(node.text)) parents.set(name, node.text);
    else {
      const names = [...environments.keys()];
      wrong(
        `names ${JSON.stringify(node.text)}, which is no environment.`,
        `${meantBy(node.text, names)}There are ${quoted(names)}.`,
      );
    }
  }
  return parents;
}

/** How many environments a chain may have: more than anybody needs, and a file of thousands takes no time. */
const longest = 20;

/** By environment: itself and what it extends, the nearest first, each once. Says which go in a circle. */
export function chainsOf(environments: Environments, report: Report): Map<string, string[]> {
  const parents = parentsOf(environments, report);
  const chains = new Map<string, string[]>();
  for (const name of environments.keys()) {
    const chain: string[] = [];
    let next: string | undefined = name;
    while (next !== undefined && !chain.includes(next) && chain.length < longest) {
      chain.push(next);
      next = parents.get(next);
    }
    chains.set(name, chain);
    const place = environments.get(name)?.entries.get('extends')?.node.place;
    if (next === undefined || place === undefined) continue;
    const path = `environments.${name}.extends`;
    const remedy = 'What environments have in common can stand at the top of the file.';
    // Said once a circle: where the file has its first member.
    if (next === name && chain.every((member) => member === name || !chains.has(member))) {
      const message = `${path} makes a circle: ${[...chain, name].join(' → ')}.`;
      report({ rule: 'wrong-extends', place, path, message, remedy });
    } else if (!chain.includes(next)) {
      const message = `${path} goes on for more than ${longest} environments.`;
      report({ rule: 'wrong-extends', place, path, message, remedy });
    }
  }
  return chains;
}
