import { canonicalJson, isRecord, parseImageReference, repositoryOf } from '@deploy-actions/core';
import {
  type Deployment,
  fenceAnnotation,
  fieldManager,
  findColours,
  isApplied,
  type KubernetesObject,
  type ManagedFields,
  type Service,
} from '@deploy-actions/kubernetes';
import { annotatedRelease } from '@deploy-actions/platforms';
import type { ManifestObject } from './parse.ts';

/** A field that stays as it is, whatever the manifest says. */
export interface KeptField {
  field: string;
  /** What the manifest says. */
  said: string;
  /** What is there and stays. */
  kept: string;
  why: string;
}

export interface LiveFacts {
  /** `Deployment web`: what autoscalers of the namespace, and of the manifests, look after. */
  autoscaled: ReadonlySet<string>;
  /** Of the object's namespace; for the colours of a Service. */
  deployments: readonly Deployment[];
  /** Whether fields of others are taken over. */
  force: boolean;
}

type Path = readonly string[];

/** Who owns a field, by the API server's record. The path is in its keys: `f:spec`, `f:replicas`. */
export function managersOf({ metadata }: KubernetesObject, path: Path): ManagedFields[] {
  return (metadata.managedFields ?? []).filter(({ fieldsV1 }) => {
    let at: unknown = fieldsV1;
    for (const key of path) at = isRecord(at) ? at[key] : undefined;
    return at !== undefined;
  });
}

const isRelease = ({ manager, operation }: ManagedFields) =>
  manager === fieldManager && operation === 'Update';

/**
 * The object with the fields as they are that belong to what runs: the colour that a Service sends to once this suite has
 * switched it, replicas that an autoscaler or another manager decides, and the images of a slot that this suite released.
 *
 * Such a field is left out of what is applied where somebody else owns it. Where this action alone does (it was applied
 * before, and the same value was written over it), leaving it out would take it away: there it is applied as it is.
 */
export function keepLiveFields(
  wanted: ManifestObject,
  live: ManifestObject | undefined,
  facts: LiveFacts,
): { object: ManifestObject; kept: KeptField[] } {
  if (live === undefined) return { object: wanted, kept: [] };
  const object = structuredClone(wanted);
  const kept: KeptField[] = [];
  if (object.kind === 'Service') keepColour(object, live, facts, kept);
  keepReplicas(object, live, facts, kept);
  keepImages(object, live, kept);
  return { object, kept };
}

function recordAt(object: object | undefined, ...path: string[]): Record<string, unknown> | undefined {
  let at: unknown = object;
  for (const key of path) at = isRecord(at) ? at[key] : undefined;
  return isRecord(at) ? at : undefined;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : canonicalJson(value);
}

/** Leaves out, or sets to what is there. */
function settle(part: Record<string, unknown>, key: string, value: unknown, owners: ManagedFields[]): void {
  if (owners.some((owner) => !isApplied(owner))) delete part[key];
  else part[key] = value;
}

function keepColour(
  object: ManifestObject,
  live: ManifestObject,
  { deployments }: LiveFacts,
  kept: KeptField[],
): void {
  const said = recordAt(object, 'spec', 'selector');
  const there = recordAt(live, 'spec', 'selector');
  if (said === undefined || there === undefined) return;
  const isSwitched = live.metadata.annotations?.[fenceAnnotation] !== undefined;
  const colour = isSwitched ? colourLabelOf(live, deployments) : undefined;
  for (const [label, value] of Object.entries(said)) {
    if (there[label] === undefined || there[label] === value) continue;
    const owners = managersOf(live, ['f:spec', 'f:selector', `f:${label}`]);
    // A Service that was switched, and whose Deployments do not tell which label it was, keeps all of them.
    const isColour = isSwitched && (colour === undefined || colour === label);
    if (!isColour && !owners.some(isRelease)) continue;
    kept.push({
      field: `spec.selector.${label}`,
      said: String(value),
      kept: textOf(there[label]),
      why: 'a release of this suite switched the Service to it',
    });
    settle(said, label, there[label], owners);
  }
}

function colourLabelOf(live: ManifestObject, deployments: readonly Deployment[]): string | undefined {
  try {
    return findColours(live as unknown as Service, [...deployments]).label;
  } catch {
    return undefined;
  }
}

const scaled = ['Deployment', 'StatefulSet', 'ReplicaSet'];

function keepReplicas(
  object: ManifestObject,
  live: ManifestObject,
  { autoscaled, force }: LiveFacts,
  kept: KeptField[],
): void {
  if (!scaled.includes(object.kind)) return;
  const said = recordAt(object, 'spec');
  const there = recordAt(live, 'spec')?.['replicas'];
  if (said?.['replicas'] === undefined || there === undefined || said['replicas'] === there) return;
  const owners = managersOf(live, ['f:spec', 'f:replicas']);
  const others = owners.filter((owner) => !isApplied(owner));
  let why: string;
  if (autoscaled.has(`${object.kind} ${object.metadata.name}`)) why = 'a HorizontalPodAutoscaler decides it';
  else if (others.some(isRelease)) why = 'a release of this suite scaled it';
  else if (others.length > 0 && !force)
    why = `${others.map(({ manager = '?' }) => manager).join(', ')} set it`;
  else return;
  kept.push({ field: 'spec.replicas', said: textOf(said['replicas']), kept: textOf(there), why });
  settle(said, 'replicas', there, owners);
}

/** The containers of an object that has a pod template, as they lie in it. */
export function containersOf(
  object: object | undefined,
): { list: 'containers' | 'initContainers'; path: string; container: Record<string, unknown> }[] {
  const paths = [['spec'], ['spec', 'template', 'spec'], ['spec', 'jobTemplate', 'spec', 'template', 'spec']];
  return paths.flatMap((path) => {
    const pod = recordAt(object, ...path);
    return (['initContainers', 'containers'] as const).flatMap((list) => {
      const items = pod?.[list];
      return (Array.isArray(items) ? items : [])
        .filter(isRecord)
        .map((container) => ({ list, path: [...path, list].join('.'), container }));
    });
  });
}

function keepImages(object: ManifestObject, live: ManifestObject, kept: KeptField[]): void {
  const released = annotatedRelease(live);
  if (released === undefined) return;
  const repositories = new Set(released.images.map(repositoryIn));
  const there = containersOf(live);
  for (const { list, path, container } of containersOf(object)) {
    const { name, image } = container;
    const running = there.find((one) => one.list === list && one.container['name'] === name)?.container;
    const current = running?.['image'];
    if (typeof image !== 'string' || typeof current !== 'string' || image === current) continue;
    const isReleased =
      released.container === null
        ? repositories.has(repositoryIn(current)) && repositoryIn(image) === repositoryIn(current)
        : released.container === name;
    if (!isReleased) continue;
    kept.push({
      field: `${path}[${String(name)}].image`,
      said: image,
      kept: current,
      why: 'a release of this suite put it there',
    });
    const keys = path.split('.').map((key) => `f:${key}`);
    const owners = managersOf(live, [...keys, `k:${JSON.stringify({ name })}`, 'f:image']);
    settle(container, 'image', current, owners);
  }
}

function repositoryIn(image: string): string {
  const parsed = parseImageReference(image);
  return parsed === undefined ? image : repositoryOf(parsed);
}
