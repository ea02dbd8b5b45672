import { cancelled, type Deadline, DeployError, isRecord, type Log, sleep } from '@deploy-actions/core';
import {
  deposed,
  fenceAnnotation,
  fenceOf,
  type Colours,
  type Deployment,
  findSharers,
  type KubernetesClient,
  type Pod,
  resources,
  selectorQuery,
  type Service,
} from '@deploy-actions/kubernetes';
import type { Drained, Fence, Observed, Router, Target, Traffic } from '@deploy-actions/release-engine';
import {
  type Counts,
  countsFor,
  describeShare,
  isReachable,
  requireReachable,
  weightsOf,
} from './replica-shares.ts';
import { urlProblem } from './url-probe.ts';

export interface ReplicaWeightOptions {
  client: KubernetesClient;
  /** The Service whose selector matches the pods of all slots. */
  service: string;
  /** The label whose values are the slots, where several tell their pods apart. */
  slotLabel?: string | undefined;
  /** Asked from here to see that the data plane serves at all; which version answers is seen in the EndpointSlices. */
  url?: string | undefined;
  log: Log;
}

/** On the Service: the pods that all slots have together, and the weights that they are shared by. */
const weightsAnnotation = 'deploy-actions.dev/weights';

const verifyPause = 100;
const drainPause = 250;
/** How often a write is tried again when the object's status moved under it. */
const conflictsAllowed = 12;

/** What was asked for last. */
interface Intent {
  total: number;
  weights: Record<string, number>;
}

/** The slots as they were read together. */
interface Shared extends Colours {
  /** Pods that each slot is to have. */
  wanted: Counts;
  intent: Intent | undefined;
  /** Pods that all slots have together, but for those that a change of weight adds for a while. */
  total: number;
}

function intentOf({ metadata }: Service): Intent | undefined {
  let value: unknown;
  try {
    value = JSON.parse(metadata.annotations?.[weightsAnnotation] ?? '');
  } catch {
    return undefined;
  }
  if (!isRecord(value) || typeof value['total'] !== 'number' || !isRecord(value['weights'])) return undefined;
  const weights = Object.entries(value['weights']).filter(
    (entry): entry is [string, number] => typeof entry[1] === 'number',
  );
  return { total: value['total'], weights: Object.fromEntries(weights) };
}

/** Slots with pods; a single one has all traffic. */
function slotsWithPods(wanted: Counts): string[] {
  return Object.keys(wanted).filter((slot) => (wanted[slot] ?? 0) > 0);
}

/** While one slot has all pods, their number is its own, whoever set it; while they are shared, it is what was noted. */
function totalOf(wanted: Counts, intent: Intent | undefined): number {
  const sum = Object.values(wanted).reduce((all, count) => all + count, 0);
  return slotsWithPods(wanted).length > 1 ? (intent?.total ?? sum) : sum;
}

function sameCounts(a: Counts, b: Counts): boolean {
  return Object.keys({ ...a, ...b }).every((slot) => (a[slot] ?? 0) === (b[slot] ?? 0));
}

function sharesIn(weights: Record<string, number>): { slot: string; weight: number }[] {
  return Object.entries(weights).map(([slot, weight]) => ({ slot, weight }));
}

const isReady = ({ metadata, status }: Pod) =>
  metadata.deletionTimestamp === undefined &&
  (status?.conditions ?? []).some(({ type, status: value }) => type === 'Ready' && value === 'True');

/**
 * Traffic by numbers of pods: the Deployments of all slots match the selector of one Service, which sends a new connection
 * to any ready pod, so that a slot's share is its share of the pods. Nothing but Deployments and Services is needed; a
 * weight that the number of pods cannot make is refused. Their number stays what it was: pods of one slot are added, and
 * ready, before any of the other are taken away.
 *
 * The token of the newest lease holder, and what was asked for last, are kept on the Service, the token on the Deployments,
 * too: every write rests on the resourceVersion that was read, so the API server refuses whoever was deposed.
 */
export function createReplicaWeight(options: ReplicaWeightOptions): Router {
  const { client, service: name, log } = options;

  async function shared(): Promise<Shared> {
    const [service, { items }] = await Promise.all([
      client.get(resources.services, name),
      client.list(resources.deployments),
    ]);
    const found = findSharers(service, items, options.slotLabel);
    const wanted = Object.fromEntries(
      [...found.deployments].map(([slot, { spec }]) => [slot, spec.replicas ?? 1]),
    );
    const intent = intentOf(service);
    return { ...found, wanted, intent, total: totalOf(wanted, intent) };
  }

  async function podsBehind({ base }: Shared): Promise<Pod[]> {
    return (await client.list(resources.pods, { labelSelector: selectorQuery(base) })).items;
  }

  /** Scaling moves it, and so does every write to the Service; the status of Deployments does not. */
  function versionOf({ service, wanted }: Shared): string {
    const counts = Object.entries(wanted).map(([slot, count]) => `${slot}=${count}`);
    return [service.metadata.resourceVersion ?? '', ...counts].join('/');
  }

  /** Weights as they were asked for, where the pods are as they were asked for; else what the pods come to. */
  function trafficOf(found: Shared, counts: Counts = found.wanted): Traffic {
    const { intent, total } = found;
    const asAsked = intent !== undefined && sameCounts(counts, countsFor(sharesIn(intent.weights), total));
    const weights = asAsked ? intent.weights : weightsOf(counts);
    const targets = [...found.deployments.keys()].map((slot): Target => {
      return { slot, weight: weights[slot] ?? 0, addresses: [] };
    });
    return {
      targets: slotsWithPods(counts).length === 0 ? [] : targets,
      version: versionOf(found),
      bySlot: true,
    };
  }

  /**
   * The pods by slot, without those of a slot that has none ready while the others are all that there should be: a version
   * that is being started has no traffic yet.
   */
  async function effective(found: Shared): Promise<Counts> {
    const ready = new Set(
      (await podsBehind(found)).filter(isReady).map((pod) => pod.metadata.labels?.[found.label]),
    );
    const counts = { ...found.wanted };
    for (const slot of Object.keys(counts)) {
      const others = Object.entries(found.wanted).reduce(
        (sum, [other, count]) => (other === slot ? sum : sum + count),
        0,
      );
      if (!ready.has(slot) && others > 0 && others >= found.total) counts[slot] = 0;
    }
    return counts;
  }

  /** The pods that the targets come to. Throws `router_rejected`. */
  function countsOf(targets: Target[], { deployments, total }: Shared): Counts {
    const rejected = (message: string, remedy: string) =>
      new DeployError('router_rejected', message, { remedy });
    const unknown = targets.find(({ slot, weight }) => weight > 0 && !deployments.has(slot));
    if (unknown !== undefined) {
      throw rejected(
        `No Deployment behind Service ${name} is "${unknown.slot}".`,
        `Slots are ${[...deployments.keys()].join(', ')}.`,
      );
    }
    const isShare = targets.every(({ weight }) => Number.isInteger(weight) && weight >= 0);
    if (!isShare || targets.reduce((sum, { weight }) => sum + weight, 0) !== 100) {
      throw rejected('The weights do not sum to 100.', 'Give each slot its share in whole percents.');
    }
    const beyond = targets.find(({ weight }) => !isReachable(weight, total));
    if (beyond !== undefined) {
      throw rejected(
        `${total} pods cannot give ${beyond.slot} ${beyond.weight} % of the traffic.`,
        'Ask for a weight that the number of pods can make, or scale the Deployment that serves.',
      );
    }
    const none = Object.fromEntries([...deployments.keys()].map((slot) => [slot, 0]));
    return {
      ...none,
      ...countsFor(
        targets.filter(({ weight }) => weight > 0),
        total,
      ),
    };
  }

  /** What was read under the lease, if it is what the caller read, too. */
  async function expectedToBe(expected: string, fence: Fence): Promise<Shared> {
    const found = await shared();
    if (fenceOf(found.service) > fence.token) throw deposed(found.service, `Service ${name}`, fence);
    if (versionOf(found) !== expected) {
      throw new DeployError(
        'state_conflict',
        `Service ${name} or the pods behind it were changed since they were read.`,
        {
          remedy: 'Run this again: it will read them anew.',
        },
      );
    }
    await fence.check();
    return found;
  }

  /** One write to a Deployment; its status may move it at any time, a newer holder ends it. */
  async function write(deployment: Deployment, fence: Fence, replicas: number | undefined): Promise<void> {
    const token = String(fence.token);
    const what = `Deployment ${deployment.metadata.name}`;
    let current = deployment;
    for (let conflicts = 0; ; conflicts += 1) {
      if (fenceOf(current) > fence.token) throw deposed(current, what, fence);
      const isMade = ({ metadata, spec }: Deployment) =>
        metadata.annotations?.[fenceAnnotation] === token &&
        (replicas === undefined || (spec.replicas ?? 1) === replicas);
      if (isMade(current)) return;
      await fence.check();
      try {
        await client.change(resources.deployments, {
          patch: {
            metadata: { annotations: { [fenceAnnotation]: token } },
            ...(replicas === undefined ? {} : { spec: { replicas } }),
          },
          from: current,
          isMade,
        });
        return;
      } catch (thrown) {
        const isConflict = thrown instanceof DeployError && thrown.reasonCode === 'state_conflict';
        if (!isConflict || conflicts >= conflictsAllowed) throw thrown;
        current = await client.get(resources.deployments, deployment.metadata.name);
        if (
          replicas !== undefined &&
          current.spec.replicas !== deployment.spec.replicas &&
          !isMade(current)
        ) {
          throw new DeployError('state_conflict', `${what} was scaled by somebody else at the same time.`, {
            remedy: 'See who scales it: an autoscaler, or a person. Then run this again.',
          });
        }
      }
    }
  }

  async function note(service: Service, intent: Intent, fence: Fence): Promise<Service> {
    const annotations = {
      [fenceAnnotation]: String(fence.token),
      [weightsAnnotation]: JSON.stringify(intent),
    };
    return client.change(resources.services, {
      patch: { metadata: { annotations } },
      from: service,
      isMade: ({ metadata }) =>
        Object.entries(annotations).every(([key, value]) => metadata.annotations?.[key] === value),
    });
  }

  async function scale(found: Shared, counts: Counts, fence: Fence): Promise<string[]> {
    const changed: string[] = [];
    for (const [slot, deployment] of found.deployments) {
      const count = counts[slot];
      if (count === undefined || count === found.wanted[slot]) continue;
      log.info(`${deployment.metadata.name}: ${found.wanted[slot]} → ${count} pods`);
      await write(deployment, fence, count);
      changed.push(slot);
    }
    return changed;
  }

  /** An autoscaler would undo every change, or be undone by it. */
  async function refuseAutoscalers({ deployments }: Shared): Promise<void> {
    const names = [...deployments.values()].map(({ metadata }) => metadata.name);
    const found = (await client.list(resources.autoscalers)).items.find(
      ({ spec }) => spec.scaleTargetRef.kind === 'Deployment' && names.includes(spec.scaleTargetRef.name),
    );
    if (found === undefined) return;
    throw new DeployError(
      'unsupported',
      `HorizontalPodAutoscaler ${found.metadata.name} scales Deployment ${found.spec.scaleTargetRef.name}, whose number of pods is its share of the traffic here.`,
      {
        remedy:
          'Delete the autoscaler for the time of the release and make it again after it, or release with router service-selector, which leaves the number of pods to it.',
      },
    );
  }

  /** Nodes learn that a pod is going while it goes: without a pause before SIGTERM, some send to it still. */
  function warnOfSuddenEnds({ deployments }: Shared): void {
    for (const { metadata, spec } of deployments.values()) {
      const isPaused = spec.template.spec.containers.some(
        ({ lifecycle }) => lifecycle?.preStop !== undefined,
      );
      if (isPaused) continue;
      log.warning(
        `The pods of Deployment ${metadata.name} have no preStop: where the application stops accepting at SIGTERM, requests are lost whenever a weight takes pods away. Add \`lifecycle: {preStop: {sleep: {seconds: 5}}}\` (Kubernetes 1.30) to its container.`,
      );
    }
  }

  async function endpointsProblem(
    targets: Target[],
  ): Promise<{ problem?: string; answers: Counts; detail: string }> {
    const found = await shared();
    const [slices, pods] = await Promise.all([
      client.list(resources.endpointSlices, { labelSelector: `kubernetes.io/service-name=${name}` }),
      podsBehind(found),
    ]);
    const slotOfPod = new Map(pods.map((pod) => [pod.metadata.name, pod.metadata.labels?.[found.label]]));
    const serving = new Map<string, Set<string>>();
    const strangers = new Set<string>();
    for (const { conditions, targetRef } of slices.items.flatMap(({ endpoints }) => endpoints ?? [])) {
      // Unknown counts as ready (discovery/v1).
      if (conditions?.ready === false) continue;
      const pod = targetRef?.name ?? '';
      const slot = slotOfPod.get(pod);
      if (slot === undefined || !found.deployments.has(slot)) strangers.add(pod);
      else serving.set(slot, (serving.get(slot) ?? new Set()).add(pod));
    }
    const answers = Object.fromEntries(
      [...found.deployments.keys()].map((slot) => [slot, serving.get(slot)?.size ?? 0]),
    );
    const seen = Object.entries(answers)
      .map(([slot, count]) => `${slot} ${count}`)
      .join(', ');
    const detail = `the EndpointSlices of Service ${name} name ready pods: ${seen}`;
    const expected = targets.every(({ weight }) => isReachable(weight, found.total))
      ? countsFor(targets, found.total)
      : {};
    if (targets.length === 0) return { problem: 'no traffic is configured', answers, detail };
    if (strangers.size > 0) {
      return { problem: `the EndpointSlices name ${[...strangers].join(', ')}, too`, answers, detail };
    }
    if (!sameCounts(answers, expected)) {
      const asked = Object.entries(expected)
        .map(([slot, count]) => `${slot} ${count}`)
        .join(', ');
      return { problem: `${detail}; asked for are ${asked}`, answers, detail };
    }
    return { answers, detail };
  }

  async function verify(traffic: Traffic, deadline: Deadline, signal: AbortSignal): Promise<Observed> {
    let last: Observed = { matches: false, answers: {}, detail: 'there was no time to look' };
    while (!deadline.passed()) {
      if (signal.aborted) throw cancelled('verifying the traffic');
      const { problem, answers, detail } = await endpointsProblem(traffic.targets);
      const unanswered = problem === undefined ? await urlProblem(options.url, deadline, signal) : undefined;
      last = { matches: false, answers, detail: problem ?? unanswered ?? detail };
      if (problem === undefined && unanswered === undefined) {
        return {
          matches: true,
          answers,
          detail: options.url === undefined ? detail : `${detail}; ${options.url} answers`,
        };
      }
      log.progress({
        what: 'the traffic to follow',
        elapsed: deadline.elapsed(),
        remaining: deadline.remaining(),
        detail: last.detail,
      });
      await sleep(Math.min(verifyPause, deadline.remaining()), signal, 'verifying the traffic');
    }
    if (signal.aborted) throw cancelled('verifying the traffic');
    return last;
  }

  async function drain(slot: string, deadline: Deadline, signal: AbortSignal): Promise<Drained> {
    for (;;) {
      if (signal.aborted) throw cancelled(`draining ${slot}`);
      const found = await shared();
      const pods = (await podsBehind(found)).filter(
        ({ metadata }) => metadata.labels?.[found.label] === slot,
      );
      const wanted = found.deployments.get(slot)?.spec.replicas ?? 1;
      const staying = pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
      // What was taken away is not told to end before the cluster has seen that it was.
      const leaving = pods.length - Math.min(staying.length, wanted);
      const complete = leaving === 0;
      if (complete || deadline.passed()) return { complete, inFlight: null, elapsed: deadline.elapsed() };
      log.progress({
        what: `waiting until pods of ${slot} have ended`,
        elapsed: deadline.elapsed(),
        remaining: deadline.remaining(),
        detail: `${leaving} still there`,
      });
      await sleep(Math.min(drainPause, deadline.remaining()), signal, `draining ${slot}`);
    }
  }

  return {
    name: 'replica-weight',
    capabilities: { weights: true, keepAlive: 'closes-idle', fencing: 'atomic', drain: false },

    async read() {
      const found = await shared();
      return trafficOf(found, await effective(found));
    },

    async check(weights) {
      const found = await shared();
      await refuseAutoscalers(found);
      const { total } = found;
      if (total === 0) return;
      requireReachable(weights, total, `What is behind Service ${name}`);
      const steps = weights.map((weight) => describeShare(weight, total));
      log.info(`Shares of the traffic are shares of the pods: ${steps.join(', ')}.`);
      warnOfSuddenEnds(found);
    },

    async claim(fence) {
      for (;;) {
        const found = await shared();
        const { service, intent, total } = found;
        if (fenceOf(service) > fence.token) throw deposed(service, `Service ${name}`, fence);
        if (fenceOf(service) < fence.token) {
          await fence.check();
          const weights = intent?.total === total ? intent.weights : weightsOf(found.wanted);
          try {
            await note(service, { total, weights }, fence);
          } catch (thrown) {
            if (!(thrown instanceof DeployError) || thrown.reasonCode !== 'state_conflict') throw thrown;
            log.debug(`Service ${name} moved while it was claimed; reading it anew.`);
            continue;
          }
        }
        for (const deployment of found.deployments.values()) await write(deployment, fence, undefined);
        return;
      }
    },

    async grow(targets, expected, fence) {
      const found = await expectedToBe(expected, fence);
      const counts = countsOf(targets, found);
      return scale(found, growing(counts, found.wanted), fence);
    },

    async apply(targets, expected, fence) {
      const found = await expectedToBe(expected, fence);
      const counts = countsOf(targets, found);
      const weights = Object.fromEntries(
        [...found.deployments.keys()].map((slot) => [
          slot,
          targets.find((target) => target.slot === slot)?.weight ?? 0,
        ]),
      );
      const { total } = found;
      const isNoted =
        found.intent?.total === total &&
        fenceOf(found.service) === fence.token &&
        sameCounts(found.intent.weights, weights);
      const service = isNoted ? found.service : await noted(found.service, { total, weights }, fence);
      await scale(found, growing(counts, found.wanted), fence);
      await scale(found, shrinking(counts, found.wanted), fence);
      return trafficOf({ ...found, service, intent: { total, weights }, wanted: counts });
    },

    verify,
    drain,
  };

  /** A conflict is a takeover when a newer holder has left its token. */
  async function noted(service: Service, intent: Intent, fence: Fence): Promise<Service> {
    try {
      return await note(service, intent, fence);
    } catch (thrown) {
      if (!(thrown instanceof DeployError) || thrown.reasonCode !== 'state_conflict') throw thrown;
      const now = await client.find(resources.services, name);
      throw now !== undefined && fenceOf(now) > fence.token ? deposed(now, `Service ${name}`, fence) : thrown;
    }
  }
}

function growing(counts: Counts, now: Counts): Counts {
  return Object.fromEntries(Object.entries(counts).filter(([slot, count]) => count > (now[slot] ?? 0)));
}

function shrinking(counts: Counts, now: Counts): Counts {
  return Object.fromEntries(Object.entries(counts).filter(([slot, count]) => count < (now[slot] ?? 0)));
}
