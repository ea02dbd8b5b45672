import { canonicalJson, cancelled, DeployError, type Log, messageOf, sleep } from '@deploy-actions/core';
import { ApiError, type KubernetesClient, type Resource, statusOf } from '@deploy-actions/kubernetes';
import type { Fence } from '@deploy-actions/release-engine';
import type { FieldChange } from './diff.ts';
import { servesKindsOf } from './kinds.ts';
import type { ManifestObject } from './parse.ts';
import { describePlanned, foresee, type PlannedObject, refusedAt } from './plan.ts';

export interface ApplyPlanOptions {
  client: KubernetesClient;
  force: boolean;
  fence: Fence;
  signal: AbortSignal;
  log: Log;
  /** Told after each write. */
  onWritten(planned: PlannedObject): void;
}

/** How often an object whose status moved under the write is looked at anew. */
const attempts = 12;

/**
 * Writes what was planned, one object after the other in the order of the plan: it is not atomic, and does not claim to be.
 * Every write rests on the version that was planned with; where the object has moved since, it is planned anew, and written
 * if that comes to the same. Applied again after any interruption, it comes to the same end.
 */
export async function applyPlan(plan: readonly PlannedObject[], options: ApplyPlanOptions): Promise<void> {
  for (const planned of plan) {
    if (planned.action === 'unchanged') continue;
    if (options.signal.aborted) throw cancelled('applying the manifests');
    await options.fence.check();
    try {
      await (planned.action === 'prune' ? remove(planned, options) : write(planned, options));
    } catch (thrown) {
      throw planned.manifest === undefined ? thrown : refusedAt(planned.manifest, thrown);
    }
    options.onWritten(planned);
    options.log.info(`${pastOf(planned)} ${describePlanned(planned)}`);
    if (planned.kind.kind === 'CustomResourceDefinition') await established(planned, options);
  }
}

function pastOf({ action }: PlannedObject): string {
  const words = { create: 'Created', prune: 'Pruned', adopt: 'Took over', later: 'Applied' } as const;
  return action in words ? words[action as keyof typeof words] : 'Changed';
}

async function remove(
  { kind, namespace, name, live }: PlannedObject,
  { client }: ApplyPlanOptions,
): Promise<void> {
  const resource: Resource<ManifestObject> = kind;
  await client.within(namespace).remove(resource, name, { uid: live?.metadata.uid });
}

/** What of a field is the same whenever it is written: the values that are there change by themselves. */
const aims = (changes: readonly FieldChange[]) =>
  canonicalJson(Object.fromEntries(changes.map(({ field, to }) => [field, to])));

async function write(planned: PlannedObject, { client, force, log }: ApplyPlanOptions): Promise<void> {
  const { kind, namespace, facts, manifest } = planned;
  const resource: Resource<ManifestObject> = kind;
  const inside = client.within(namespace);
  let { object, live } = planned;
  for (let attempt = 1; ; attempt += 1) {
    const resourceVersion = live?.metadata.resourceVersion;
    const metadata = { ...object.metadata, ...(resourceVersion === undefined ? {} : { resourceVersion }) };
    try {
      await inside.apply(resource, { ...object, metadata }, { force });
      return;
    } catch (thrown) {
      const hasMoved =
        statusOf(thrown) === 409 && thrown instanceof ApiError && thrown.conflicts.length === 0;
      if (!hasMoved || manifest === undefined || attempt >= attempts) throw thrown;
      const seen = await foresee(inside, kind, manifest.object, force, facts);
      if (seen.action === 'unchanged') return;
      if (aims(seen.changes) !== aims(planned.changes)) {
        throw new DeployError(
          'state_conflict',
          `${describePlanned(planned)} was changed by somebody else since it was planned.`,
          { remedy: 'Run this again: it will plan anew.', cause: thrown },
        );
      }
      log.debug(`${describePlanned(planned)} moved under the write: ${messageOf(thrown)}`);
      ({ object, live } = seen);
    }
  }
}

const longestDefinition = 30_000;

/** A kind is there a moment after its definition, and can be asked for a moment after that. */
async function established(
  { kind, name, manifest }: PlannedObject,
  { client, signal }: ApplyPlanOptions,
): Promise<void> {
  const resource: Resource<ManifestObject> = kind;
  const since = performance.now();
  for (;;) {
    const { status } = (await client.get(resource, name)) as ManifestObject & {
      status?: { conditions?: { type: string; status: string }[] };
    };
    const isEstablished =
      status?.conditions?.some(({ type, status: value }) => type === 'Established' && value === 'True') ??
      false;
    if (isEstablished && (manifest === undefined || (await servesKindsOf(client, manifest)))) return;
    if (performance.now() - since > longestDefinition) {
      throw new DeployError(
        'timeout',
        isEstablished
          ? `CustomResourceDefinition ${name} is established, but the API server did not serve its kind within 30 s.`
          : `CustomResourceDefinition ${name} was not established within 30 s.`,
      );
    }
    await sleep(250, signal, `waiting for the kind of ${name}`);
  }
}
