import { releaseAnnotation, type Workload } from '@deploy-actions/kubernetes';
import { describe, expect, it } from 'vitest';
import {
  drained,
  isAbrupt,
  knowsSleep,
  lossOfRunningPods,
  parseWorkload,
  requireRolling,
  withImages,
  withTemplate,
  type WorkloadName,
} from './rolling-change.ts';

const web: WorkloadName = { kind: 'deployment', name: 'web' };
const release = { version: '2', images: ['acme/app:2'], container: null, replicas: null };

function workload(change: (spec: Workload['spec']) => void = () => {}): Workload {
  const spec: Workload['spec'] = {
    replicas: 2,
    selector: { matchLabels: { app: 'web' } },
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '25%', maxSurge: '25%' } },
    template: {
      metadata: { labels: { app: 'web' } },
      spec: {
        containers: [
          { name: 'app', image: 'acme/app:1', readinessProbe: { tcpSocket: { port: 80 } } },
          { name: 'side', image: 'acme/side:1' },
        ],
      },
    },
  };
  change(spec);
  return { metadata: { name: 'web' }, spec };
}

const drain = { seconds: 10, nativeSleep: true };
const [first, second] = [0, 1];

describe('images', () => {
  it('go to the containers of their repository, with the note of the release, and to no others', () => {
    const before = workload();
    const after = withImages(before, web, release);
    expect(after.spec.template.spec.containers.map(({ image }) => image)).toEqual([
      'acme/app:2',
      'acme/side:1',
    ]);
    expect(after.metadata.annotations?.[releaseAnnotation]).toContain('"version":"2"');
    expect(before.spec.template.spec.containers[0]?.image).toBe('acme/app:1');
  });
});

describe('pods that leave', () => {
  it('sleep before they are told to stop, with a grace period that is longer by as much', () => {
    const { workload: after, notes } = drained(workload(), web, drain);
    const pod = after.spec.template.spec;
    expect(pod.containers.map(({ lifecycle }) => lifecycle?.preStop)).toEqual([
      { sleep: { seconds: 10 } },
      { sleep: { seconds: 10 } },
    ]);
    expect(pod.terminationGracePeriodSeconds).toBe(40);
    expect(notes[0]).toBe(
      'Deployment web has no preStop hook (app, side): it gets one of 10 s (sleep), and a grace period that is longer by as much.',
    );
    expect(isAbrupt(workload().spec.template)).toBe(true);
    expect(isAbrupt(after.spec.template)).toBe(false);
  });

  it('are changed once: a second update finds them so', () => {
    const { workload: after } = drained(workload(), web, drain);
    expect(drained(after, web, drain)).toEqual({ workload: after, notes: [] });
  });

  it('sleep by a program where the cluster does not know how', () => {
    const { workload: after } = drained(workload(), web, { ...drain, nativeSleep: false });
    expect(after.spec.template.spec.containers[first]?.lifecycle?.preStop).toEqual({
      exec: { command: ['sleep', '10'] },
    });
    expect(knowsSleep({ major: 1, minor: 29 })).toBe(false);
    expect(knowsSleep({ major: 1, minor: 30 })).toBe(true);
  });

  it('keep the hook that they have', () => {
    const own = { exec: { command: ['nginx', '-s', 'quit'] } };
    const before = workload(({ template }) => {
      Object.assign(template.spec.containers[first] ?? {}, { lifecycle: { preStop: own } });
    });
    const { workload: after } = drained(before, web, drain);
    expect(after.spec.template.spec.containers[first]?.lifecycle?.preStop).toEqual(own);
    expect(after.spec.template.spec.containers[second]?.lifecycle?.preStop).toEqual({
      sleep: { seconds: 10 },
    });
  });

  it('are left as they are with 0 seconds, and that is said', () => {
    const { workload: after, notes } = drained(workload(), web, { ...drain, seconds: 0 });
    expect(after).toEqual(workload());
    expect(notes[0]).toContain('loses the requests');
  });

  it('are told of when their hook takes longer than they have', () => {
    const before = workload(({ template }) => {
      for (const one of template.spec.containers) one.lifecycle = { preStop: { sleep: { seconds: 30 } } };
    });
    expect(drained(before, web, drain).notes[0]).toContain(
      'is killed before its preStop hook of 30 s is over',
    );
  });
});

describe('pods that run already without a preStop hook', () => {
  const set: WorkloadName = { kind: 'statefulset', name: 'web' };

  it('are handed over by a Deployment that is rolled, and lost requests of by every other workload, which is said', () => {
    expect(lossOfRunningPods(workload(), web)).toBeUndefined();
    expect(lossOfRunningPods(workload(), set)).toMatch(/^StatefulSet web: .* may lose requests/);
    expect(lossOfRunningPods(workload(), { ...set, kind: 'daemonset' })).toMatch(/^DaemonSet web: /);
    const recreated = workload((spec) => {
      spec.strategy = { type: 'Recreate' };
    });
    expect(lossOfRunningPods(recreated, web)).toMatch(/^Deployment web: /);
  });

  it('are no matter once they have the hook', () => {
    expect(lossOfRunningPods(drained(workload(), set, drain).workload, set)).toBeUndefined();
  });
});

describe('the strategy', () => {
  it('of a Deployment gives up no pod before another is ready', () => {
    const { spec } = drained(workload(), web, drain).workload;
    expect(spec.strategy?.rollingUpdate).toEqual({ maxUnavailable: 0, maxSurge: '25%' });
    const none = workload((of) => {
      of.strategy = { rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } };
    });
    expect(drained(none, web, drain).workload.spec.strategy?.rollingUpdate).toEqual({
      maxUnavailable: 0,
      maxSurge: 1,
    });
  });

  it('Recreate is left, and its gap told of', () => {
    const { workload: after, notes } = drained(
      workload((spec) => {
        spec.strategy = { type: 'Recreate' };
      }),
      web,
      drain,
    );
    expect(after.spec.strategy).toEqual({ type: 'Recreate' });
    expect(notes.join('\n')).toContain('nobody answers in between');
  });

  it('that would not replace the pods is refused', () => {
    const refused = (change: (spec: Workload['spec']) => void) => () => requireRolling(workload(change), web);
    expect(refused((spec) => (spec.paused = true))).toThrow('is paused');
    expect(refused((spec) => (spec.updateStrategy = { type: 'OnDelete' }))).toThrow('OnDelete');
    const partition = { rollingUpdate: { partition: 1 } };
    expect(refused((spec) => (spec.updateStrategy = partition))).toThrow('partition of 1');
    expect(refused(() => {})).not.toThrow();
  });
});

it('a template that was there before takes the place of the present one, without the label of the controller', () => {
  const old = { metadata: { labels: { app: 'web', 'pod-template-hash': 'x' } }, spec: { containers: [] } };
  const after = withTemplate(workload(), old, release);
  expect(after.spec.template).toEqual({ metadata: { labels: { app: 'web' } }, spec: { containers: [] } });
});

it('a workload is named by its kind and name', () => {
  expect(parseWorkload('deployment/web')).toEqual(web);
  for (const text of ['web', 'pod/web', 'deployment/', 'deployment/a/b']) {
    expect(parseWorkload(text)).toBeUndefined();
  }
});
