import { nearest, type YamlMapping } from '@deploy-actions/core';
import { isMapping, isNull } from './nodes.ts';
import type { Report } from './problems.ts';

/** The keys of deploy.yml as a tree: a section has a map of its keys, a setting has null. */
export type KeyTree = ReadonlyMap<string, KeyTree | null>;

type Growing = Map<string, Growing | null>;

/** The tree of dotted paths. */
export function keyTreeOf(paths: readonly string[]): KeyTree {
  const tree: Growing = new Map();
  for (const path of paths) {
    const keys = path.split('.');
    const last = keys.pop() ?? '';
    let section = tree;
    for (const key of keys) {
      const below: Growing = section.get(key) ?? new Map<string, Growing | null>();
      section.set(key, below);
      section = below;
    }
    section.set(last, null);
  }
  return tree;
}

/** `production`, `staging`, each as code. */
export function quoted(names: Iterable<string>): string {
  return Array.from(names, (name) => `\`${name}\``).join(', ');
}

/** `Did you mean … ?` where something is near, and a space to go on. */
export function meantBy(name: string, known: Iterable<string>): string {
  const meant = nearest(name, [...known]);
  return meant === undefined ? '' : `Did you mean \`${meant}\`? `;
}

function remedyFor(key: string, known: KeyTree, section: string, prefix: string): string {
  if (key === '<<') {
    return 'Merge keys are not supported. Use `extends` in an environment, or `*alias` for a whole value.';
  }
  if (key === 'extends' && section === '' && prefix === '') return '`extends` stands below an environment.';
  return `${meantBy(key, known.keys())}Known ${section === '' ? 'keys' : `keys below ${section}`} are ${quoted(known.keys())}.`;
}

/**
 * Names keys that nothing reads: a misspelt key that is silently ignored is the worst kind of setting. `prefix`: what the paths
 * of this mapping begin with in the file; `own`: the one key beside the settings, which is checked elsewhere.
 */
export function checkKeys(
  settings: YamlMapping,
  tree: KeyTree,
  { prefix, own, report }: { prefix: string; own: string; report: Report },
): void {
  const check = (mapping: YamlMapping, known: KeyTree, section: string) => {
    for (const [key, { place, node }] of mapping.entries) {
      if (section === '' && key === own) continue;
      const within = section === '' ? key : `${section}.${key}`;
      const path = `${prefix}${within}`;
      const below = known.get(key);
      if (below === undefined) {
        const remedy = remedyFor(key, known, section, prefix);
        report({ rule: 'unknown-key', place, path, message: `${path} is not a known key.`, remedy });
      } else if (below !== null && isMapping(node)) check(node, below, within);
      else if (below !== null && !isNull(node)) {
        report({
          rule: 'wrong-shape',
          place: node.place,
          path,
          message: `${path} must be a mapping of settings.`,
          remedy: `Known keys below it are ${quoted(below.keys())}.`,
        });
      }
    }
  };
  check(settings, tree, '');
}
