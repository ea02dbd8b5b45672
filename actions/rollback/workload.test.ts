import { DeployError } from '@deploy-actions/core';
import { type KubernetesRelease, kubernetesRevision, type PodRevision } from '@deploy-actions/platforms';
import type { HistoryEntry } from '@deploy-actions/release-engine';
import type { RollingRelease } from '@deploy-actions/targets';
import { describe, expect, it } from 'vitest';
import { chooseRevision } from './workload.ts';

const digest = `sha256:${'a'.repeat(64)}`;
const releaseOf = (version: string): KubernetesRelease => ({
  version,
  images: [version === 'pinned' ? `acme/app@${digest}` : `acme/app:${version}`],
  container: null,
  replicas: null,
});

function revision(number: number, version: string, isCurrent = false): PodRevision {
  return {
    name: `web-${number}`,
    number,
    template: { spec: { containers: [] } },
    release: releaseOf(version),
    madeAt: new Date(number * 1_000).toISOString(),
    isCurrent,
  };
}

function entry(
  second: number,
  version: string,
  more: Partial<HistoryEntry<RollingRelease>> = {},
): HistoryEntry<RollingRelease> {
  const release = { ...releaseOf(version), template: null };
  return {
    id: `${second}`,
    release,
    revision: kubernetesRevision(release),
    slot: '',
    strategy: 'rolling',
    result: 'serving',
    reason: null,
    reasonCode: null,
    fled: null,
    previous: null,
    startedAt: null,
    at: new Date(second * 1_000).toISOString(),
    run: { id: '', url: '', actor: '' },
    facts: {},
    verdicts: [],
    probe: null,
    ...more,
  };
}

const failed = { result: 'taken-back', reasonCode: 'start_failed', reason: 'it crashed' } as const;

function refusal(...given: Parameters<typeof chooseRevision>): DeployError {
  try {
    chooseRevision(...given);
  } catch (thrown) {
    if (thrown instanceof DeployError) return thrown;
  }
  throw new Error('not refused');
}

describe('the version that a workload goes back to', () => {
  it('is the one before, with the template that the cluster keeps, whoever deployed it', () => {
    const revisions = [revision(2, '2', true), revision(1, '1')];
    expect(chooseRevision([], revisions, 'previous')).toMatchObject({
      release: { version: '1' },
      template: { number: 1 },
    });
    // Somebody else deployed 3 and 4 after the ledger's last.
    const later = [revision(9, '4', true), revision(8, '3'), ...revisions];
    expect(chooseRevision([entry(2, '2')], later, 'previous').release.version).toBe('3');
  });

  it('is never one that the ledger says has failed, by whatever name', () => {
    const revisions = [revision(4, '1', true), revision(3, '2')];
    const history = [entry(1, '1'), entry(3, '2', failed)];
    for (const name of ['previous', '2', '3']) {
      expect(refusal(history, revisions, name).reasonCode).toBe('version_not_found');
    }
    expect(refusal(history, revisions, '3').message).toContain('it crashed');
  });

  it('is named by version, revision or digest', () => {
    const revisions = [revision(30, '3', true), revision(20, 'pinned'), revision(10, '1')];
    expect(chooseRevision([], revisions, '1').template?.number).toBe(10);
    expect(chooseRevision([], revisions, '10').template?.number).toBe(10);
    expect(chooseRevision([], revisions, digest).template?.number).toBe(20);
  });

  it('goes by its images where the cluster does not keep the template any more', () => {
    const history = [entry(1, '1'), entry(2, '2')];
    expect(chooseRevision(history, [revision(2, '2', true)], '1')).toMatchObject({
      release: { images: ['acme/app:1'] },
      template: null,
    });
  });

  it('is refused when there is none, with what is there', () => {
    const error = refusal([], [revision(1, '1', true)], 'previous');
    expect(error.reasonCode).toBe('version_not_found');
    expect(error.remedy).toContain('The cluster keeps revisions 1 (1, the present one).');
    expect(refusal([], [], '9').remedy).toContain('The cluster keeps none.');
  });
});
