import { type Json, jsonOf, type Place, readYaml, type YamlMapping } from '@deploy-actions/core';
import { chainsOf, environmentsIn } from './environments.ts';
import { checkKeys, keyTreeOf, meantBy, quoted } from './keys.ts';
import { knownPaths } from './known-paths.ts';
import { isMapping, isNull, nodeAt } from './nodes.ts';
import { type ConfigProblem, describePlace } from './problems.ts';

/** Where something is said. */
export interface Origin {
  place: Place;
  /** The environment below which it stands, not the one that inherits it; null at the top. */
  environment: string | null;
  /** `.github/deploy.yml:14:7 environments.staging.health.timeout`. */
  where: string;
}

/** What a deploy.yml says at a path for an environment. `unset`: a `~` there keeps away what would be inherited. */
export type Found =
  { state: 'set'; value: Json; origin: Origin } | { state: 'unset'; origin: Origin } | { state: 'absent' };

/** A deploy.yml, read as far as it can be. */
export interface ConfigDocument {
  file: string;
  /** All mistakes of the file, in its order. With one, it must not be acted on. */
  problems: ConfigProblem[];
  /** By name, in the order of the file. */
  environments: string[];
  /** Of an environment's name; of `environments` for one that is not there, or of the file's begin. */
  placeOf(environment: string): Place;
  /** All paths that it may have. */
  paths: readonly string[];
  /** `environment`: '' for what stands at the top alone. */
  find(environment: string, path: string): Found;
}

/** A mapping that settings are looked up in. */
interface Layer {
  environment: string | null;
  /** What its paths begin with in the file. */
  prefix: string;
  settings: YamlMapping;
}

/**
 * Reads a deploy.yml. Never throws: what is wrong is in `problems`, all of it. Precedence: what an environment says itself, then
 * what the environments that it extends say, the nearest first, then the top of the file. A value is taken as a whole, a mapping
 * of environment variables too.
 */
export async function readConfig(
  text: string,
  { file, paths = knownPaths }: { file: string; paths?: readonly string[] },
): Promise<ConfigDocument> {
  const { root, problems: inYaml } = await readYaml(text);
  const problems: ConfigProblem[] = inYaml.map(({ place, message }) => {
    return { rule: 'not-yaml', place, path: '', message: `This is not valid YAML: ${message}.` };
  });
  const report = (problem: ConfigProblem) => void problems.push(problem);
  if (root !== null && !isMapping(root) && !isNull(root)) {
    const message = 'The file must be a mapping of settings.';
    report({ rule: 'wrong-shape', place: root.place, path: '', message });
  }

  const top = isMapping(root) ? root : undefined;
  const tree = keyTreeOf(paths);
  if (top !== undefined) checkKeys(top, tree, { prefix: '', own: 'environments', report });
  const environments = environmentsIn(top, report);
  for (const [name, settings] of environments) {
    checkKeys(settings, tree, { prefix: `environments.${name}.`, own: 'extends', report });
  }
  const chains = chainsOf(environments, report);

  const shared: Layer[] = top === undefined ? [] : [{ environment: null, prefix: '', settings: top }];
  const layers = new Map<string, Layer[]>();
  for (const [name, chain] of chains) {
    const own = chain.flatMap((environment) => {
      const settings = environments.get(environment);
      return settings === undefined
        ? []
        : [{ environment, prefix: `environments.${environment}.`, settings }];
    });
    layers.set(name, [...own, ...shared]);
  }

  problems.sort((a, b) => a.place.line - b.place.line || a.place.column - b.place.column);
  return {
    file,
    problems,
    environments: [...environments.keys()],
    placeOf(environment) {
      const all = top?.entries.get('environments');
      const own = isMapping(all?.node) ? all.node.entries.get(environment) : undefined;
      return own?.place ?? all?.place ?? { line: 1, column: 1 };
    },
    paths,
    find(environment, path) {
      for (const layer of layers.get(environment) ?? shared) {
        const node = nodeAt(layer.settings, path);
        if (node === undefined) continue;
        const where = `${describePlace(file, node.place)} ${layer.prefix}${path}`;
        const origin = { place: node.place, environment: layer.environment, where };
        if (!isNull(node)) return { state: 'set', value: jsonOf(node), origin };
        return layer.environment === null ? { state: 'absent' } : { state: 'unset', origin };
      }
      return { state: 'absent' };
    },
  };
}

/** That a step asks for an environment which the file does not name. A file that names none does not mind. */
export function unknownEnvironment(document: ConfigDocument, environment: string): ConfigProblem | undefined {
  const { environments } = document;
  if (environment === '' || environments.length === 0 || environments.includes(environment)) return undefined;
  return {
    rule: 'unknown-environment',
    place: document.placeOf(environment),
    path: 'environments',
    message: `There is no environment ${JSON.stringify(environment)}.`,
    remedy: `${meantBy(environment, environments)}There are ${quoted(environments)}. Use one of these, or add it.`,
  };
}
