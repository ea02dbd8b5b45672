import { type KubernetesClient, type ServedKind } from '@deploy-actions/kubernetes';
import { nearest } from '@deploy-actions/core';
import { groupOf, type Manifest, placeOfField } from './parse.ts';
import { type ManifestProblem, ManifestsRefused } from './problems.ts';

/** The kinds that a CustomResourceDefinition among the manifests makes, one for each version that it serves. */
function kindsDefinedBy({ object }: Manifest): ServedKind[] {
  if (object.kind !== 'CustomResourceDefinition') return [];
  const spec = object['spec'] as {
    group?: string;
    scope?: string;
    names?: { kind?: string; plural?: string };
    versions?: { name?: string; served?: boolean }[];
  };
  return (spec.versions ?? [])
    .filter(({ served }) => served !== false)
    .map(({ name = '' }) => ({
      group: spec.group ?? '',
      version: name,
      plural: spec.names?.plural ?? '',
      kind: spec.names?.kind ?? '',
      isClusterWide: spec.scope === 'Cluster',
      verbs: [],
    }));
}

export interface Kinds {
  /** The kind of a manifest. */
  of(manifest: Manifest): ServedKind;
  /** Whether the API serves it already, not only once the manifests are applied. */
  isServed(kind: ServedKind): boolean;
}

const versionOf = ({ group, version }: ServedKind) => (group === '' ? version : `${group}/${version}`);

/** Whether the API tells by now of every kind that this definition makes; it does so a moment after the definition is established. */
export async function servesKindsOf(client: KubernetesClient, definition: Manifest): Promise<boolean> {
  for (const kind of kindsDefinedBy(definition)) {
    const served = (await client.served(versionOf(kind))) ?? [];
    if (!served.some((one) => one.kind === kind.kind)) return false;
  }
  return true;
}

/** Asks the API which kinds of the manifests it has. Throws ManifestsRefused for what neither it nor a manifest defines. */
export async function discoverKinds(
  client: KubernetesClient,
  manifests: readonly Manifest[],
): Promise<Kinds> {
  const versions = [...new Set(manifests.map(({ object }) => object.apiVersion))];
  const served = new Map(
    await Promise.all(versions.map(async (version) => [version, await client.served(version)] as const)),
  );
  const defined = manifests.flatMap(kindsDefinedBy);
  const found = new Map<Manifest, ServedKind>();
  const problems: ManifestProblem[] = [];
  for (const manifest of manifests) {
    const { apiVersion, kind } = manifest.object;
    const kinds = served.get(apiVersion);
    const known =
      kinds?.find((one) => one.kind === kind) ??
      defined.find((one) => one.kind === kind && versionOf(one) === apiVersion);
    if (known !== undefined) found.set(manifest, known);
    else {
      problems.push({
        source: manifest.source,
        place: placeOfField(manifest, kinds === undefined ? 'apiVersion' : 'kind'),
        reasonCode: 'unsupported',
        message: `${client.connection.server} has no ${kind} in ${apiVersion}: ${await whatThereIs(client, apiVersion, kind, kinds)}`,
      });
    }
  }
  if (problems.length > 0) {
    throw new ManifestsRefused(
      problems,
      'Correct `apiVersion` and `kind`, or install what defines the kind (its CustomResourceDefinition may be among the manifests).',
    );
  }
  const isServed = (kind: ServedKind) =>
    served.get(versionOf(kind))?.some((one) => one.kind === kind.kind) === true;
  return {
    isServed,
    of(manifest) {
      const kind = found.get(manifest);
      if (kind === undefined) throw new Error('a manifest that was not asked for');
      return kind;
    },
  };
}

async function whatThereIs(
  client: KubernetesClient,
  apiVersion: string,
  kind: string,
  kinds: ServedKind[] | undefined,
): Promise<string> {
  if (kinds !== undefined) {
    const names = kinds.map((one) => one.kind);
    const near = nearest(kind, names);
    return near === undefined ? `it has ${names.join(', ')}.` : `did you mean ${near}?`;
  }
  const versions = await client.servedVersions();
  const ofGroup = versions.filter((version) => groupOf(version) === groupOf(apiVersion));
  if (ofGroup.length > 0) return `of that group it serves ${ofGroup.join(', ')}.`;
  // Groups of Kubernetes itself would fill the screen.
  const custom = versions.filter(
    (version) => /\./.test(groupOf(version)) && !groupOf(version).endsWith('.k8s.io'),
  );
  return `it serves nothing of the group ${groupOf(apiVersion)}${custom.length === 0 ? ', and no kinds of others at all.' : `; of others it has ${custom.join(', ')}.`}`;
}
