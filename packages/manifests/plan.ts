import { DeployError, isRecord } from '@deploy-actions/core';
import {
  ApiError,
  type Deployment,
  isOurs,
  type KubernetesClient,
  type KubernetesObject,
  type Resource,
  resources,
  type ServedKind,
} from '@deploy-actions/kubernetes';
import { diffObjects, type FieldChange } from './diff.ts';
import { discoverKinds } from './kinds.ts';
import { type KeptField, keepLiveFields, type LiveFacts } from './live-fields.ts';
import { inOrder } from './order.ts';
import { type Manifest, type ManifestObject, placeOfField, refuseDuplicates, titleOf } from './parse.ts';
import { type ManifestProblem, ManifestsRefused } from './problems.ts';

/** What is to be done with one object. */
export interface PlannedObject {
  /**
   * `adopt`: its fields are as they should be, and from then on this suite's. `later`: what the server says of it is known once
   * its namespace or its kind is there, which the manifests bring.
   */
  action: 'create' | 'change' | 'adopt' | 'unchanged' | 'later' | 'prune';
  kind: ServedKind;
  /** Empty for what is in none. */
  namespace: string;
  name: string;
  changes: FieldChange[];
  kept: KeptField[];
  /** Undefined for what is pruned. */
  manifest: Manifest | undefined;
  /** What is applied: the manifest without what is live; with the version that it rests on, where there is one. */
  object: ManifestObject;
  live: ManifestObject | undefined;
  /** By which fields were kept: whoever plans it anew looks with the same eyes. */
  facts: LiveFacts;
}

export interface PruneOptions {
  /** Labels that all have to be there. */
  labels: Record<string, string>;
  kinds: readonly string[];
}

export interface PlanOptions {
  client: KubernetesClient;
  /** For objects that name none. */
  namespace: string;
  /** Whether the namespace was asked for: then a manifest that names another is refused. */
  isNamespaceSaid: boolean;
  force: boolean;
  prune: PruneOptions | undefined;
}

/** `Deployment web in shop` */
export function describePlanned({ kind, name, namespace }: PlannedObject): string {
  return `${kind.kind} ${name}${namespace === '' ? '' : ` in ${namespace}`}`;
}

const autoscalers: Resource<KubernetesObject & { spec?: unknown }> = {
  group: 'autoscaling',
  version: 'v2',
  plural: 'horizontalpodautoscalers',
  kind: 'HorizontalPodAutoscaler',
};

/** Of what is not there yet, or goes. */
const noFacts: LiveFacts = { autoscaled: new Set(), deployments: [], force: false };

interface Placed {
  manifest: Manifest;
  kind: ServedKind;
  namespace: string;
}

/**
 * What applying the manifests would do, by the API server's own words: every object is applied as a dry run, so that it is
 * validated, admitted and completed with its defaults, and compared with what is there. Writes nothing.
 *
 * Throws ManifestsRefused with everything that the server refuses, each where its manifest says it.
 */
export async function planManifests(
  manifests: readonly Manifest[],
  options: PlanOptions,
): Promise<PlannedObject[]> {
  const kinds = await discoverKinds(options.client, manifests);
  const placed = place(manifests, kinds.of, options);
  const made = new Set(
    placed
      .filter(({ kind }) => kind.kind === 'Namespace')
      .map(({ manifest }) => manifest.object.metadata.name),
  );
  const facts = await liveFacts(placed, options);
  const problems: ManifestProblem[] = [];
  const planned = await Promise.all(
    inOrder(placed, ({ kind }) => kind.kind).map(async (one) => {
      if (!kinds.isServed(one.kind)) return later(one);
      try {
        return await planOne(one, options, await facts(one.namespace));
      } catch (thrown) {
        if (isMissingNamespace(thrown) && made.has(one.namespace)) return later(one);
        problems.push(...problemsOf(one.manifest, thrown));
        return undefined;
      }
    }),
  );
  if (problems.length > 0) throw refused(problems);
  const all = planned.filter((one) => one !== undefined);
  return [
    ...all,
    ...(options.prune === undefined ? [] : await planPrune(all, options.prune, options.client)),
  ];
}

function place(
  manifests: readonly Manifest[],
  kindOf: (manifest: Manifest) => ServedKind,
  { namespace, isNamespaceSaid }: PlanOptions,
): Placed[] {
  const problems: ManifestProblem[] = [];
  const namespaceOf = (manifest: Manifest) =>
    kindOf(manifest).isClusterWide ? '' : (manifest.object.metadata.namespace ?? namespace);
  for (const manifest of manifests) {
    const own = manifest.object.metadata.namespace;
    if (!isNamespaceSaid || own === undefined || own === namespace || kindOf(manifest).isClusterWide)
      continue;
    problems.push({
      source: manifest.source,
      place: placeOfField(manifest, 'metadata.namespace'),
      message: `${titleOf(manifest.object)} is in namespace ${own}, and \`namespace\` is ${namespace}.`,
      reasonCode: 'invalid_input',
    });
  }
  if (problems.length > 0) {
    throw new ManifestsRefused(problems, 'Leave the namespace out of the manifests, or out of the inputs.');
  }
  refuseDuplicates(manifests, namespaceOf);
  return manifests.map((manifest) => ({
    manifest,
    kind: kindOf(manifest),
    namespace: namespaceOf(manifest),
  }));
}

function later({ manifest, kind, namespace }: Placed): PlannedObject {
  const { name } = manifest.object.metadata;
  return {
    action: 'later',
    kind,
    namespace,
    name,
    changes: [],
    kept: [],
    manifest,
    object: manifest.object,
    live: undefined,
    facts: noFacts,
  };
}

/** What the namespaces have that decides which fields are live; each namespace is asked once, and only for what matters. */
async function liveFacts(
  placed: readonly Placed[],
  { client, force }: PlanOptions,
): Promise<(namespace: string) => Promise<LiveFacts>> {
  const cache = new Map<string, Promise<LiveFacts>>();
  async function read(namespace: string): Promise<LiveFacts> {
    const here = placed.filter((one) => one.namespace === namespace);
    const has = (...kinds: string[]) => here.some(({ kind }) => kinds.includes(kind.kind));
    const inside = client.within(namespace);
    const [scalers, deployments] = await Promise.all([
      has('Deployment', 'StatefulSet', 'ReplicaSet') ? inside.list(autoscalers) : { items: [] },
      has('Service') ? inside.list(resources.deployments) : { items: [] as Deployment[] },
    ]);
    const given = here
      .filter(({ kind }) => kind.kind === autoscalers.kind)
      .map(({ manifest }) => manifest.object);
    return {
      autoscaled: new Set([...scalers.items, ...given].flatMap(scaleTargetOf)),
      deployments: deployments.items,
      force,
    };
  }
  return (namespace) => {
    const known = cache.get(namespace) ?? read(namespace);
    cache.set(namespace, known);
    return known;
  };
}

function scaleTargetOf(scaler: object): string[] {
  const spec = 'spec' in scaler && isRecord(scaler.spec) ? scaler.spec : {};
  const target = spec['scaleTargetRef'];
  return isRecord(target) ? [`${String(target['kind'])} ${String(target['name'])}`] : [];
}

async function planOne(
  { manifest, kind, namespace }: Placed,
  { client, force }: PlanOptions,
  facts: LiveFacts,
): Promise<PlannedObject> {
  return {
    ...(await foresee(client.within(namespace), kind, manifest.object, force, facts)),
    namespace,
    manifest,
  };
}

/** What the server would make of an object. */
export async function foresee(
  client: KubernetesClient,
  kind: ServedKind,
  wanted: ManifestObject,
  force: boolean,
  facts: LiveFacts,
): Promise<Omit<PlannedObject, 'namespace' | 'manifest'>> {
  const { name } = wanted.metadata;
  const resource: Resource<ManifestObject> = kind;
  const live = await client.find(resource, name);
  const { object, kept } = keepLiveFields(wanted, live, facts);
  const next = await client.apply(resource, object, { dryRun: true, force });
  const changes = diffObjects(live, next);
  const isAdopted = live !== undefined && isOurs(next) && !isOurs(live);
  const action =
    live === undefined ? 'create' : changes.length > 0 ? 'change' : isAdopted ? 'adopt' : 'unchanged';
  return { action, kind, name, changes, kept, object, live, facts };
}

function isMissingNamespace(thrown: unknown): boolean {
  return thrown instanceof ApiError && thrown.status === 404;
}

/** Says where it is in the manifest; throws on what no manifest is to blame for. */
function problemsOf(manifest: Manifest, thrown: unknown): ManifestProblem[] {
  if (!(thrown instanceof ApiError) || ['unreachable', 'cancelled'].includes(thrown.reasonCode)) throw thrown;
  const { source, object, node } = manifest;
  const title = titleOf(object);
  if (thrown.conflicts.length > 0) {
    return thrown.conflicts.map(({ field, manager }) => ({
      source,
      place: placeOfField(manifest, field),
      message: `${field.replace(/^\./, '')} of ${title} is set by ${manager} to another value.`,
      reasonCode: 'state_conflict',
    }));
  }
  if (thrown.causes.length > 0) {
    return thrown.causes.map(({ field, message }) => ({
      source,
      place: placeOfField(manifest, field),
      // What the server says of a Secret may have its values in it.
      message: `${field.replace(/^\./, '')} of ${title}: ${object.kind === 'Secret' ? 'is not allowed' : message}.`,
      reasonCode: thrown.reasonCode,
    }));
  }
  const remedy = thrown.reasonCode === 'permission_denied' ? ` ${thrown.remedy ?? ''}` : '';
  return [
    { source, place: node.place, message: `${thrown.message}${remedy}`, reasonCode: thrown.reasonCode },
  ];
}

/** What the server refuses of this manifest's fields, where they are; anything else as it was thrown. */
export function refusedAt(manifest: Manifest, thrown: unknown): unknown {
  const isOfFields = thrown instanceof ApiError && thrown.causes.length + thrown.conflicts.length > 0;
  return isOfFields ? refused(problemsOf(manifest, thrown)) : thrown;
}

function refused(problems: ManifestProblem[]): DeployError {
  const inConflict = problems.every(({ reasonCode }) => reasonCode === 'state_conflict');
  const remedy = inConflict
    ? 'Leave these fields out of the manifests, have the other manager give them up, or take them over: `force-conflicts: true`.'
    : 'Correct what is named.';
  return new ManifestsRefused(problems, remedy);
}

/**
 * What this suite applied once, has all of the labels, and is in the manifests no more. Only in the namespaces that the manifests
 * are in.
 */
async function planPrune(
  planned: readonly PlannedObject[],
  { labels, kinds }: PruneOptions,
  client: KubernetesClient,
): Promise<PlannedObject[]> {
  const namespaces = new Set(
    planned.map(({ namespace }) => namespace).filter((namespace) => namespace !== ''),
  );
  const known = await prunableKinds(client, kinds);
  const keyOf = (kind: ServedKind, namespace: string, name: string) =>
    JSON.stringify([kind.group, kind.kind, namespace, name]);
  const wanted = new Set(planned.map(({ kind, namespace, name }) => keyOf(kind, namespace, name)));
  const labelSelector = Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
  const found: PlannedObject[] = [];
  for (const namespace of namespaces) {
    for (const kind of known) {
      const resource: Resource<ManifestObject> = kind;
      const { items } = await client.within(namespace).list(resource, { labelSelector });
      for (const live of items) {
        const { name, ownerReferences = [], deletionTimestamp } = live.metadata;
        if (!isOurs(live) || ownerReferences.length > 0 || deletionTimestamp !== undefined) continue;
        if (wanted.has(keyOf(kind, namespace, name))) continue;
        found.push({
          action: 'prune',
          kind,
          namespace,
          name,
          changes: [],
          kept: [],
          manifest: undefined,
          object: live,
          live,
          facts: noFacts,
        });
      }
    }
  }
  return inOrder(found, ({ kind }) => kind.kind).toReversed();
}

/** Where the kinds are that may be pruned without naming their group. */
const pruneVersions = ['v1', 'apps/v1', 'batch/v1', 'networking.k8s.io/v1', 'autoscaling/v2', 'policy/v1'];

async function prunableKinds(client: KubernetesClient, kinds: readonly string[]): Promise<ServedKind[]> {
  const served = (await Promise.all(pruneVersions.map((version) => client.served(version)))).flatMap(
    (list) => list ?? [],
  );
  const namespaced = served.filter(({ isClusterWide, verbs }) => !isClusterWide && verbs.includes('delete'));
  return kinds.map((name) => {
    const kind = namespaced.find((one) => one.kind === name);
    if (kind !== undefined) return kind;
    throw new DeployError('invalid_input', `prune-kinds: there is no kind ${name} that can be pruned.`, {
      remedy: `Allowed are ${[...new Set(namespaced.map((one) => one.kind))].join(', ')}.`,
    });
  });
}
