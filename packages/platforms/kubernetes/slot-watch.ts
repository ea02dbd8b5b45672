import { asError, cancelled, type Deadline, DeployError, type Log, messageOf } from '@deploy-actions/core';
import {
  type Deployment,
  type KubernetesClient,
  type Pod,
  type ReplicaSet,
  resources,
} from '@deploy-actions/kubernetes';
import type { Readiness } from '@deploy-actions/release-engine';
import { createBell } from './bell.ts';
import { checkPod, checkTargetOf } from './direct-check.ts';
import { evidenceOf, remedyFor } from './evidence.ts';
import { deploymentIn, type Member } from './members.ts';
import type { Failure, Judged } from './readiness.ts';

export interface SlotWatchOptions {
  client: KubernetesClient;
  log: Log;
  /** Asked of the pods of the Service that is named first. */
  checkPath: string | undefined;
  judged(member: Member, objects: { deployment: Deployment; replicaSets: ReplicaSet[]; pods: Pod[] }): Judged;
}

/** Milliseconds between two looks where no watch says anything. */
const longestLook = 1_000;
const checkPause = 200;
const checkTimeout = 3_000;

/** Yields what is seen of one member of a slot, by watches, until all its pods are ready and have answered. Throws as `ready`. */
export type SlotWatch = (
  member: Member,
  slot: string,
  deadline: Deadline,
  signal: AbortSignal,
) => AsyncGenerator<Readiness>;

export function createSlotWatch(options: SlotWatchOptions): SlotWatch {
  const { client, log, judged } = options;

  return async function* watch(member, slot, deadline, signal) {
    const { name } = deploymentIn(member, slot).metadata;
    const stop = new AbortController();
    const watching = AbortSignal.any([signal, stop.signal]);
    const seen: { deployments?: Deployment[]; replicaSets?: ReplicaSet[]; pods?: Pod[] } = {};
    const bell = createBell();
    const query = { labelSelector: member.queryOf(slot) };
    const follow = async <T extends 'deployments' | 'replicaSets' | 'pods'>(
      what: T,
      items: AsyncGenerator<NonNullable<(typeof seen)[T]>>,
    ) => {
      for await (const list of items) {
        seen[what] = list;
        bell.ring();
      }
    };
    const follows = Promise.all([
      follow(
        'deployments',
        client.follow(resources.deployments, { fieldSelector: `metadata.name=${name}` }, watching),
      ),
      follow('replicaSets', client.follow(resources.replicaSets, query, watching)),
      follow('pods', client.follow(resources.pods, query, watching)),
    ]);
    let broken: Error | undefined;
    follows.catch((thrown: unknown) => {
      broken = thrown instanceof Error ? thrown : new Error(messageOf(thrown));
      bell.ring();
    });
    let message = `looking at Deployment ${name}`;
    let judgement: Judged | undefined;
    const checked = new Set<string>();
    try {
      for (;;) {
        if (signal.aborted) throw cancelled(`waiting until ${slot} is ready`);
        if (broken !== undefined) throw asError(broken);
        const { deployments, replicaSets, pods } = seen;
        const deployment = deployments?.[0];
        let pause = longestLook;
        if (deployments !== undefined && deployment === undefined) {
          throw new DeployError('start_failed', `Deployment ${name} is gone.`);
        }
        if (deployment !== undefined && replicaSets !== undefined && pods !== undefined) {
          judgement = judged(member, { deployment, replicaSets, pods });
          ({ message } = judgement);
          if (judgement.failure !== null) throw await startFailed(slot, judgement.failure);
          if (judgement.wanted === 0)
            throw new DeployError('start_failed', `Deployment ${name} is scaled to 0.`);
          if (judgement.ready >= judgement.wanted) {
            const problem = await firstProblem(judgement.pods, member, checked, deadline, signal);
            if (problem === undefined) {
              const answers = member.checks.length === 0 ? '' : ', each of them answers';
              yield { ready: true, message: `${judgement.message}${answers}` };
              return;
            }
            message = `${judgement.message}; ${problem}`;
            pause = checkPause;
          }
        }
        if (deadline.passed()) throw await notReady(member, slot, deadline, message, judgement);
        yield { ready: false, message };
        await bell.wait(Math.min(pause, deadline.remaining()), signal);
      }
    } finally {
      stop.abort();
      await follows.catch(() => {});
    }
  };

  /** Asks every pod that was not heard yet through the API server; what is wrong with the first that is not well. */
  async function firstProblem(
    pods: Pod[],
    { checks }: Member,
    checked: Set<string>,
    deadline: Deadline,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const timeout = Math.max(50, Math.min(checkTimeout, deadline.remaining()));
    const questions = checks
      .filter(({ port }) => port.protocol !== 'UDP' && port.protocol !== 'SCTP')
      .flatMap((check) => pods.map((pod) => ({ check, pod })));
    const problems = await Promise.all(
      questions.map(async ({ check: { port, isFirst }, pod }) => {
        const { name, uid = '' } = pod.metadata;
        const key = `${uid} ${port.targetPort ?? port.port}`;
        if (checked.has(key)) return undefined;
        const target = checkTargetOf(pod, port, isFirst ? options.checkPath : undefined);
        if (target === undefined) {
          return `no container of ${name} has a port named ${String(port.targetPort)}`;
        }
        const { good, summary } = await checkPod(client, pod, target, timeout, signal);
        if (!good) return `${name} ${summary}`;
        checked.add(key);
        return undefined;
      }),
    );
    return problems.find((problem) => problem !== undefined);
  }

  async function startFailed(slot: string, failure: Failure): Promise<DeployError> {
    return new DeployError('start_failed', `${slot} cannot start: ${failure.message}`, {
      remedy: remedyFor(failure.reason),
      details: await evidenceOf(client, log, failure.pod, failure.container),
    });
  }

  async function notReady(
    member: Member,
    slot: string,
    deadline: Deadline,
    message: string,
    judgement: Judged | undefined,
  ): Promise<DeployError> {
    const ailing = judgement?.pods.find(
      ({ status }) => !(status?.containerStatuses ?? []).every(({ ready: isReady }) => isReady),
    );
    const pod = ailing ?? judgement?.pods[0];
    const container = pod?.status?.containerStatuses?.find(({ ready: isReady }) => !isReady)?.name;
    const details = await evidenceOf(
      client,
      log,
      pod?.metadata.name ?? null,
      container ?? pod?.spec.containers[0]?.name ?? null,
    );
    const probes = details.findLast((line) => /event Warning Unhealthy/.test(line));
    const said = probes === undefined ? '' : ` (${probes.replace(/^event Warning Unhealthy: /, '')})`;
    const asked = ailing === undefined || said === '' ? '' : await answerOf(ailing, member);
    return new DeployError(
      'not_ready',
      `${slot} did not become ready within ${Math.round(deadline.total / 1_000)} s: ${message}${said}${asked}`,
      { details },
    );
  }

  /** What a pod whose probe fails says itself: a health page often names what is missing. */
  async function answerOf(pod: Pod, { checks: [check] }: Member): Promise<string> {
    if (check === undefined) return '';
    const target = checkTargetOf(pod, check.port, check.isFirst ? options.checkPath : undefined);
    if (target === undefined) return '';
    try {
      const signal = AbortSignal.timeout(checkTimeout);
      return `; ${pod.metadata.name} ${(await checkPod(client, pod, target, checkTimeout, signal)).summary}`;
    } catch (thrown) {
      log.debug(`${pod.metadata.name} could not be asked: ${messageOf(thrown)}`);
      return '';
    }
  }
}

/**
 * Watches several at once. Yields what they say whenever one of them says something new, and ends with `ready: true` when all
 * are; the first that throws ends all of them.
 */
export async function* allReady(
  watches: readonly { name: string; watch(signal: AbortSignal): AsyncGenerator<Readiness> }[],
  signal: AbortSignal,
): AsyncGenerator<Readiness> {
  const [only, ...others] = watches;
  if (only !== undefined && others.length === 0) {
    yield* only.watch(signal);
    return;
  }
  const stop = new AbortController();
  const within = AbortSignal.any([signal, stop.signal]);
  const bell = createBell();
  const seen = new Map<string, Readiness>();
  let broken: Error | undefined;
  const works = watches.map(async ({ name, watch }) => {
    try {
      for await (const readiness of watch(within)) {
        seen.set(name, readiness);
        bell.ring();
      }
    } catch (thrown) {
      broken ??= asError(thrown);
      bell.ring();
    }
  });
  try {
    for (;;) {
      if (broken !== undefined) throw broken;
      const ready = watches.every(({ name }) => seen.get(name)?.ready === true);
      const message = [...seen].map(([name, said]) => `${name}: ${said.message}`).join('; ');
      yield { ready, message };
      if (ready) return;
      await bell.wait(longestLook, signal);
    }
  } finally {
    stop.abort();
    await Promise.all(works);
  }
}
