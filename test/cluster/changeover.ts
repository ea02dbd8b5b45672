// How long it takes until another version answers all new connections: by the built actions, by a bare `kubectl patch` of the
// Service's selector, and by `kubectl rollout undo`. Each is seen by the same client, which opens new connections all the time.

import { setTimeout as delay } from 'node:timers/promises';
import { createJob, type StepResult } from '../support/runner.ts';
import { observeNewConnections } from '../support/new-connections.ts';
import { watch } from './api.ts';
import { nodePortService, publishServer, serverDeployment } from './server-image.ts';
import { bothColours, openStage, type Stage } from './stage.ts';

/** Milliseconds. */
export interface Switched {
  /** From the idle colour's being ready to the first connection after the last one that the old version answered. */
  traffic: number;
  /** From the same moment until the action has verified the data plane, and written so in its journal. */
  verified: number;
}

/** Milliseconds from the start of the process. */
export interface RolledBack {
  traffic: number;
  /** Until the process ended. */
  step: number;
}

/** Blue serves the one version that it has; green has the one that was released last. */
export interface Changeovers {
  /** `blue-green-switch` of a new version to green. */
  release(): Promise<Switched>;
  /** `rollback` to blue, as the first step of a job: nothing of it is compiled yet. */
  rollBack(): Promise<RolledBack>;
  /** `kubectl patch` of the selector, from the start of kubectl. */
  patch(colour: 'blue' | 'green'): Promise<number>;
  /** `kubectl rollout undo` of a Deployment of the same pods, from the start of kubectl. */
  undo(): Promise<number>;
  end(): Promise<void>;
}

interface Pod {
  metadata: { name: string; deletionTimestamp?: string };
  spec: { containers: { image: string }[] };
  status?: { conditions?: { type: string; status: string }[] };
}

interface ConfigMap {
  metadata: { name: string };
  data?: Record<string, string>;
}

type Ends = (() => unknown)[];

const app = 'timed';
const rolling = 'rolled';
const replicas = 2;
const image = (version: string): string => `acme/${app}:${version}`;
/** Of these green gets the one that it does not have: a version that is there already would be ready from the begin. */
const others = ['2', '3'] as const;
const inBlue = '1';
const versions = [inBlue, ...others];

/** A connection in one to two milliseconds; flat out, the client would have the machine to itself. */
const pace = { loops: 3, rest: 3 };
/** How long the old version must not have answered. A pod that is stopped may leave a connection hanging for longer. */
const [quiet, quietAfterUndo] = [500, 2_000];
const limit = 60_000;
/** kube-proxy writes its rules at most once a second: a change right after another one would wait for its turn. */
const rest = 1_500;

/** Notes when all pods of green came to be ready with an image, and none with another was left. */
async function watchGreen({ access, name }: Stage, problem: (cause: unknown) => void) {
  const pods = new Map<string, Pod>();
  let awaited = '';
  let at: number | undefined;
  const isReady = ({ status }: Pod): boolean =>
    (status?.conditions ?? []).some((one) => one.type === 'Ready' && one.status === 'True');
  const selector = encodeURIComponent(`app=${app},version=green`);
  const stop = await watch<Pod>(
    access,
    `/api/v1/namespaces/${name}/pods?labelSelector=${selector}`,
    ({ type, object }) => {
      if (type === 'DELETED') pods.delete(object.metadata.name);
      else pods.set(object.metadata.name, object);
      const present = [...pods.values()].filter(({ metadata }) => metadata.deletionTimestamp === undefined);
      const good = present.filter((pod) => pod.spec.containers[0]?.image === awaited && isReady(pod));
      if (good.length === replicas && present.length === replicas) at ??= performance.now();
    },
    problem,
  );
  return {
    stop,
    expect: (wanted: string) => ([awaited, at] = [wanted, undefined]),
    at: () => at,
  };
}

/** Notes when the journal says that the data plane follows: a weight is watched once that is verified. */
async function watchJournal({ access, name }: Stage, problem: (cause: unknown) => void) {
  const journal = `deploy-actions.service.${app}.journal`;
  let at: number | undefined;
  let isExpected = false;
  const selector = encodeURIComponent(`metadata.name=${journal}`);
  const stop = await watch<ConfigMap>(
    access,
    `/api/v1/namespaces/${name}/configmaps?fieldSelector=${selector}`,
    ({ object }) => {
      const phase = /"phase":"(\w+)"/.exec(object.data?.['document'] ?? '')?.[1];
      if (isExpected && phase === 'holding') at ??= performance.now();
    },
    problem,
  );
  return {
    stop,
    expect: () => ([isExpected, at] = [true, undefined]),
    at: () => at,
  };
}

export async function openChangeovers(): Promise<Changeovers> {
  const stage = await openStage();
  const ends: Ends = [() => stage.end()];
  const end = async (): Promise<void> => {
    for (const one of ends.toReversed()) await one();
  };
  try {
    return { ...(await changeoversOn(stage, ends)), end };
  } catch (error) {
    await end();
    throw error;
  }
}

/** `ends` gets what has to be ended, in the order in which it was begun. */
async function changeoversOn(stage: Stage, ends: Ends): Promise<Omit<Changeovers, 'end'>> {
  const env = { KUBECONFIG: stage.releaser.kubeconfig };
  const job = await createJob({ env });
  ends.push(() => job.end());
  const problems: unknown[] = [];
  const problem = (cause: unknown): void => void problems.push(cause);
  const inputs = { platform: 'kubernetes', service: app };

  for (const version of versions) await publishServer(image(version), { VERSION: version });
  await stage.apply(
    ...bothColours(app, { image: image(inBlue), replicas }),
    serverDeployment({ name: rolling, image: image(inBlue), replicas }),
    nodePortService(rolling, { app: rolling }),
  );
  for (const name of [`${app}-blue`, rolling]) await stage.rolledOut(name);
  const portOf = async (service: string) => Number(new URL(await stage.urlOf(service)).port);
  const [port, rollingPort] = [await portOf(app), await portOf(rolling)];
  const green = await watchGreen(stage, problem);
  ends.push(green.stop);
  const journal = await watchJournal(stage, problem);
  ends.push(journal.stop);
  let inGreen = '';
  let isUndone = false;

  /** When all new connections were answered by `to`, after `from` had them and `work` was begun. */
  async function seen<T>(
    change: { port: number; from: string; to: string; quiet: number },
    work: () => Promise<T>,
  ): Promise<{ settled: number; result: T }> {
    const observer = observeNewConnections({ port: change.port, ...pace });
    try {
      await Promise.all([observer.answered(change.from), delay(rest)]);
      const [result, settled] = await Promise.all([work(), observer.allTo(change.to, { ...change, limit })]);
      if (problems.length > 0) throw new Error('a watch of the test broke', { cause: problems[0] });
      return { settled, result };
    } finally {
      await observer.stop();
    }
  }

  function requireSucceeded({ outputs, log }: StepResult): void {
    if (outputs['result'] !== 'succeeded') throw new Error(`the step did not succeed:\n${log}`);
  }

  async function release(): Promise<Switched> {
    const version = inGreen === others[0] ? others[1] : others[0];
    green.expect(image(version));
    journal.expect();
    const { settled, result } = await seen({ port, from: inBlue, to: version, quiet }, () =>
      job.step('blue-green-switch', { ...inputs, image: image(version), watch: '0' }),
    );
    requireSucceeded(result);
    inGreen = version;
    const [ready, verified] = [green.at(), journal.at()];
    if (ready === undefined || verified === undefined)
      throw new Error(`nobody saw the switch:\n${result.log}`);
    return { traffic: settled - ready, verified: verified - ready };
  }

  /** From when kubectl is started. */
  async function byKubectl(change: Parameters<typeof seen>[0], ...args: string[]): Promise<number> {
    const { settled, result } = await seen(change, async () => {
      const started = performance.now();
      await stage.kubectl(...args);
      return started;
    });
    return settled - result;
  }

  await release();
  await stage.kubectl('set', 'image', `deployment/${rolling}`, `server=${image(others[0])}`);
  await stage.rolledOut(rolling);
  return {
    release,
    async rollBack() {
      const fresh = await createJob({ env });
      try {
        const { settled, result } = await seen({ port, from: inGreen, to: inBlue, quiet }, async () => {
          const running = await fresh.start('rollback', inputs);
          return { started: running.started, step: await running.done };
        });
        requireSucceeded(result.step);
        return { traffic: settled - result.started, step: result.step.seconds * 1_000 };
      } finally {
        await fresh.end();
      }
    },
    patch(colour) {
      const [from, to] = colour === 'green' ? [inBlue, inGreen] : [inGreen, inBlue];
      const selector = JSON.stringify({ spec: { selector: { version: colour } } });
      return byKubectl({ port, from, to, quiet }, 'patch', 'service', app, '-p', selector);
    },
    async undo() {
      const [from, to] = isUndone ? [inBlue, others[0]] : [others[0], inBlue];
      const change = { port: rollingPort, from, to, quiet: quietAfterUndo };
      const took = await byKubectl(change, 'rollout', 'undo', `deployment/${rolling}`);
      isUndone = !isUndone;
      await stage.rolledOut(rolling);
      return took;
    },
  };
}
