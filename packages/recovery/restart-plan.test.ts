import type { DisruptionBudget } from '@deploy-actions/diagnosis';
import { describe, expect, it } from 'vitest';
import { beforeRestart, isWell, planRestart, type Restartable, type Way } from './restart-plan.ts';

const labels = { app: 'shop' };

function workload(
  own: Partial<Restartable['spec']> = {},
  status: Restartable['status'] = {},
  annotations = {},
): Restartable {
  return {
    metadata: { name: 'shop', generation: 2, annotations },
    spec: {
      replicas: 3,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'web' }] } },
      ...own,
    },
    status: {
      observedGeneration: 2,
      replicas: 3,
      updatedReplicas: 3,
      availableReplicas: 3,
      readyReplicas: 3,
      ...status,
    },
  };
}

const budget = (disruptionsAllowed: number): DisruptionBudget => ({
  metadata: { name: 'shop' },
  spec: { selector: { matchLabels: labels } },
  status: { disruptionsAllowed },
});

const planOf = (
  target: Restartable,
  way: Way = 'rollout',
  kind: 'deployment' | 'statefulset' | 'daemonset' = 'deployment',
  budgets: DisruptionBudget[] = [],
) => planRestart(kind, target, way, { pods: [], budgets, run: '7' });

describe('a plan', () => {
  it('has a new pod ready before an old one goes, whatever the strategy of a Deployment says', () => {
    const strategy = { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '50%', maxSurge: 0 } };
    const plan = planOf(workload({ strategy }));
    expect(plan.strategy).toEqual({
      type: 'RollingUpdate',
      rollingUpdate: { maxUnavailable: 0, maxSurge: 1 },
    });
    expect(plan.before).toEqual({ strategy, restartedAt: null, run: '7' });
    const surging = { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1, maxSurge: '25%' } };
    expect(planOf(workload({ strategy: surging })).strategy?.rollingUpdate).toEqual({
      maxUnavailable: 0,
      maxSurge: '25%',
    });
  });

  it('holds a StatefulSet at a partition that lets none go', () => {
    expect(planOf(workload(), 'rollout', 'statefulset').strategy?.rollingUpdate).toEqual({ partition: 3 });
  });

  it('gives a DaemonSet a pod more, but where two cannot have one port of the node', () => {
    const status = { desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 2 };
    expect(planOf(workload({}, status), 'rollout', 'daemonset').strategy?.rollingUpdate).toEqual({
      maxUnavailable: 0,
      maxSurge: 1,
    });
    const containers = [{ name: 'web', ports: [{ containerPort: 80, hostPort: 80 }] }];
    const template = { metadata: { labels }, spec: { containers } };
    expect(planOf(workload({ template }, status), 'rollout', 'daemonset').strategy?.rollingUpdate).toEqual({
      maxUnavailable: 1,
      maxSurge: 0,
    });
  });

  it('goes on with a restart that was cut short, and puts back what was before it', () => {
    const before = {
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%' } },
      restartedAt: 'then',
      run: '6',
    };
    const cut = workload({}, { updatedReplicas: 1 }, { [beforeRestart]: JSON.stringify(before) });
    expect(planOf(cut)).toMatchObject({ resumed: true, before });
  });
});

describe('is refused', () => {
  it.each([
    ['while a rollout is under way', workload({}, { updatedReplicas: 1 }), 'state_conflict'],
    ['while an old pod is left', workload({}, { replicas: 4 }), 'state_conflict'],
    [
      'before the controller has seen the newest template',
      workload({}, { observedGeneration: 1 }),
      'state_conflict',
    ],
    ['where it would stop all at once', workload({ strategy: { type: 'Recreate' } }), 'unsupported'],
    ['while it is paused', workload({ paused: true }), 'unsupported'],
    ['where nothing runs', workload({ replicas: 0 }), 'invalid_input'],
  ])('%s', (_when, target, reasonCode) => {
    expect(() => planOf(target)).toThrow(expect.objectContaining({ reasonCode }) as Error);
  });

  it('where a budget allows no pod to go; a rollout of a Deployment takes none away', () => {
    expect(() => planOf(workload(), 'evict', 'deployment', [budget(0)])).toThrow(/budget shop allows no pod/);
    expect(() => planOf(workload(), 'rollout', 'statefulset', [budget(0)])).toThrow(/budget shop/);
    expect(planOf(workload(), 'rollout', 'deployment', [budget(0)]).resumed).toBe(false);
    expect(planOf(workload(), 'evict', 'deployment', [budget(1)]).strategy).toBeNull();
  });
});

it('pods that are not ready are no reason to refuse: a restart is for them', () => {
  const ailing = workload({}, { availableReplicas: 0, readyReplicas: 0 });
  expect(planOf(ailing).resumed).toBe(false);
  expect(isWell('deployment', ailing)).toBe(false);
  expect(isWell('deployment', workload())).toBe(true);
});
