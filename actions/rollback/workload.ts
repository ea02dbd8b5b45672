import type { Context, Outcome } from '@deploy-actions/action-kit';
import { DeployError } from '@deploy-actions/core';
import { releaseFactsOf } from '@deploy-actions/ledger';
import { kubernetesRevision, type PodRevision } from '@deploy-actions/platforms';
import { type HistoryEntry, peekJournal, readHistory } from '@deploy-actions/release-engine';
import {
  type deliveryOutputs,
  loadRolling,
  type OpenWorkloadInputs,
  type RollingRelease,
  type RollingRequest,
  type RollingRequestInputs,
} from '@deploy-actions/targets';
import { cutOff, rollbackTarget, servedBefore } from './target.ts';

type Inputs = OpenWorkloadInputs & RollingRequestInputs & { version: string };

/** Seconds that pods without a preStop hook go on serving while they are taken out of their Service. */
const drain = 10;

/**
 * The history with what the cluster keeps and the ledger does not know: pod templates that came by other means. They
 * served, as far as anybody knows, and are put where they belong by their time.
 */
export function withRevisions(
  history: HistoryEntry<RollingRelease>[],
  revisions: PodRevision[],
): HistoryEntry<RollingRelease>[] {
  const known = new Set(history.map(({ revision }) => revision));
  const others = revisions
    .filter(({ release }) => !known.has(kubernetesRevision(release)))
    .map(({ name, release, madeAt }) =>
      servedBefore<RollingRelease>({
        id: name,
        release: { ...release, template: name },
        revision: kubernetesRevision(release),
        slot: '',
        strategy: 'rolling',
        at: madeAt,
        run: { id: '', url: '', actor: '' },
      }),
    );
  return [...history, ...others].toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at));
}

/** `12` as `kubectl rollout history` counts, or the digest of an image; undefined for what names neither. */
function revisionNamed(revisions: PodRevision[], version: string): PodRevision | undefined {
  if (/^sha256:[0-9a-f]{64}$/.test(version)) {
    return revisions.find(({ release }) => release.images.some((image) => image.endsWith(`@${version}`)));
  }
  return revisions.find(({ number }) => String(number) === version);
}

/** What is to be gone back to, and the template that the cluster keeps of it, if it does. */
export interface Choice {
  release: RollingRelease;
  template: PodRevision | null;
}

/**
 * A version of the ledger, a revision or digest that the cluster keeps, or the previous one. Throws `version_not_found`,
 * with what is there, for what is not, and for what the ledger says has failed.
 */
export function chooseRevision(
  history: HistoryEntry<RollingRelease>[],
  revisions: PodRevision[],
  version: string,
): Choice {
  const all = withRevisions(history, revisions);
  const current = revisions.find(({ isCurrent }) => isCurrent);
  const serving = current === undefined ? null : kubernetesRevision(current.release);
  const isVersion = version === 'previous' || all.some(({ release }) => release.version === version);
  const named = isVersion ? undefined : revisionNamed(revisions, version);
  try {
    if (named !== undefined) {
      // The ledger's last word counts, by whatever name it is asked for.
      rollbackTarget(
        all,
        null,
        all.find((entry) => entry.revision === kubernetesRevision(named.release))?.release.version ?? version,
      );
      return { release: { ...named.release, template: named.name }, template: named };
    }
    const { release, revision } = rollbackTarget(all, serving, version);
    const kept = revisions.find((one) => !one.isCurrent && kubernetesRevision(one.release) === revision);
    return { release, template: kept ?? null };
  } catch (thrown) {
    if (!(thrown instanceof DeployError) || thrown.reasonCode !== 'version_not_found') throw thrown;
    const kept = revisions.map(
      ({ number, release, isCurrent }) =>
        `${number} (${release.version}${isCurrent ? ', the present one' : ''})`,
    );
    const there =
      kept.length === 0 ? 'The cluster keeps none.' : `The cluster keeps revisions ${kept.join(', ')}.`;
    throw new DeployError('version_not_found', thrown.message, {
      remedy: `${thrown.remedy ?? ''} ${there}`.trim(),
      cause: thrown,
    });
  }
}

/** Goes back by the pod templates that a workload had. */
export async function rollBackWorkload(
  workload: string,
  inputs: Inputs,
  context: Context,
): Promise<Outcome<typeof deliveryOutputs>> {
  const { openWorkload, runRolling } = await loadRolling();
  const target = await openWorkload(workload, inputs, context);
  const now = await target.rollout.read();
  const [all, revisions, journal] = await Promise.all([
    readHistory<RollingRelease>(target.store),
    target.rollout.revisions(now),
    peekJournal<RollingRelease>(target.store),
  ]);
  // An environment may have several workloads.
  const history = all.filter(({ slot }) => slot === workload);
  const origin = inputs.version === 'previous' && journal?.to.slot === workload ? cutOff(journal, all) : null;
  const { release, template } =
    origin === null
      ? chooseRevision(history, revisions, inputs.version)
      : { release: origin, template: revisions.find(({ name }) => name === origin.template) ?? null };
  context.log.info(
    `Going back to ${release.version}${template === null ? ', by its images' : ` (revision ${template.number})`}.`,
  );
  const revision = kubernetesRevision(release);
  const entry = history.findLast((one) => one.revision === revision && one.strategy !== 'rollback');
  const request: RollingRequest = {
    target,
    inputs,
    strategy: 'rollback',
    release,
    template,
    drain,
    watch: 0,
    onFailure: 'rollback',
    known: entry === undefined ? { sha: '', images: {} } : releaseFactsOf(entry.facts),
  };
  return runRolling(context, request);
}

export async function settleWorkload(workload: string, inputs: Inputs, context: Context): Promise<void> {
  const { openWorkload, settleWorkloadAfter } = await loadRolling();
  await settleWorkloadAfter(context, await openWorkload(workload, inputs, context), inputs);
}
