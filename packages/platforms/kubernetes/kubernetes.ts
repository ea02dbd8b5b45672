import {
  asError,
  cancelled,
  canonicalJson,
  type Deadline,
  DeployError,
  digestOf,
  type Log,
  messageOf,
} from '@deploy-actions/core';
import {
  type Colours,
  type Deployment,
  findColours,
  findSharers,
  type KubernetesClient,
  type Pod,
  releaseAnnotation,
  type ReplicaSet,
  resources,
  type Right,
  selectorQuery,
  type ServicePort,
  substituteImages,
  type Substitution,
} from '@deploy-actions/kubernetes';
import type { Fence, Platform, Readiness, Slot } from '@deploy-actions/release-engine';
import { createBell } from './bell.ts';
import { checkPod, checkTargetOf } from './direct-check.ts';
import { evidenceOf, remedyFor } from './evidence.ts';
import { type Failure, type Judged, judge } from './readiness.ts';
import { checkRelease, type KubernetesRelease, releaseIn, revisionOf, type Scope } from './release.ts';

export interface KubernetesOptions {
  client: KubernetesClient;
  /** The Service whose selector says which colour gets the traffic. */
  service: string;
  /** The label that tells the colours apart, where the selector has several that could. */
  slotLabel?: string | undefined;
  /**
   * The slots share the Service's traffic by their numbers of pods: all of them match its selector. A version then starts
   * with one pod, and how many it has after that is the router's to say.
   */
  shared?: boolean;
  /** Which images count on a Deployment that this suite never deployed to; default: all of them. */
  scope?: Scope | undefined;
  /** Path that every pod has to answer with 2xx or 3xx; default: that of its readiness probe, else any answer to `/`. */
  checkPath?: string | undefined;
  /** Rights that the router and the store take, which are looked for together with the platform's own before anything is written. */
  rights?: readonly Right[];
  /** Milliseconds that a pod may be unschedulable before it is given up; default 20 s. */
  unschedulableFor?: number;
  log: Log;
}

interface Belongings {
  replicaSets: ReplicaSet[];
  pods: Pod[];
}

/** How often a write is tried again when the object's status moved under it. */
const conflictsAllowed = 12;
/** Milliseconds between two looks where no watch says anything. */
const longestLook = 1_000;
const checkPause = 200;
const checkTimeout = 3_000;

/** What it takes; events and logs, which only help to see why a version does not start, may be kept from it. */
const ownRights: readonly Right[] = [
  ...(['get', 'list', 'watch', 'patch'] as const).map((verb) => ({
    verb,
    group: 'apps',
    resource: 'deployments',
  })),
  ...(['list', 'watch'] as const).map((verb) => ({ verb, group: 'apps', resource: 'replicasets' })),
  ...(['list', 'watch'] as const).map((verb) => ({ verb, group: '', resource: 'pods' })),
  { verb: 'get', group: '', resource: 'pods/proxy' },
  { verb: 'get', group: '', resource: 'services' },
];

/**
 * Slots as Deployments behind one Service: blue and green, or whatever values the label has that tells them apart. A
 * slot that is scaled to 0 is empty. A deploy changes the images, in one write that rests on the resourceVersion, and
 * nothing else of the pod; replicas are raised to those of the slot that serves, never lowered, so that what an
 * autoscaler decided stays.
 */
export function createKubernetes(options: KubernetesOptions): Platform<KubernetesRelease> {
  const { client, service, log } = options;
  /** What the pods of all slots were found by at the last look. */
  let lastLabels: string | undefined;

  async function colours(): Promise<Colours> {
    const [found, { items }] = await Promise.all([
      client.get(resources.services, service),
      client.list(resources.deployments),
    ]);
    return (options.shared === true ? findSharers : findColours)(found, items, options.slotLabel);
  }

  function deploymentOf(found: Colours, slot: string): Deployment {
    const deployment = found.deployments.get(slot);
    if (deployment !== undefined) return deployment;
    throw new DeployError('invalid_input', `There is no slot "${slot}" behind Service ${service}.`, {
      remedy: `Slots are the values of label ${found.label}: ${[...found.deployments.keys()].join(', ')}.`,
    });
  }

  function judged(
    found: Pick<Colours, 'service'>,
    objects: { deployment: Deployment; replicaSets: ReplicaSet[]; pods: Pod[] },
  ): Judged {
    return judge(objects, {
      port: found.service.spec.ports?.[0],
      now: client.now() ?? Date.now(),
      unschedulableFor: options.unschedulableFor ?? 20_000,
    });
  }

  /** Everything that the Service could send to, by one question each. */
  function belongings(found: Colours): Promise<Belongings> {
    return belongingsOf(selectorQuery(found.base));
  }

  async function belongingsOf(labelSelector: string): Promise<Belongings> {
    const query = { labelSelector };
    const [replicaSets, pods] = await Promise.all([
      client.list(resources.replicaSets, query),
      client.list(resources.pods, query),
    ]);
    return { replicaSets: replicaSets.items, pods: pods.items };
  }

  /**
   * One write to a slot's Deployment. Its status, and an autoscaler, may move it at any time: then it is read and
   * looked at anew, and written while its pod template is still what it was.
   */
  async function writeTo(
    slot: string,
    fence: Fence,
    decide: (deployment: Deployment, found: Colours) => Promise<Record<string, unknown> | undefined>,
    isMade: (deployment: Deployment) => boolean,
  ): Promise<void> {
    let template: string | undefined;
    for (let conflicts = 0; ; conflicts += 1) {
      const found = await colours();
      const deployment = deploymentOf(found, slot);
      const now = digestOf(deployment.spec.template);
      if (template !== undefined && template !== now) {
        throw new DeployError(
          'state_conflict',
          `Deployment ${deployment.metadata.name} is being changed by somebody else.`,
          {
            remedy: 'See who (`kubectl get deployment -o yaml --show-managed-fields`), then run this again.',
          },
        );
      }
      template = now;
      const patch = await decide(deployment, found);
      if (patch === undefined) return;
      await fence.check();
      try {
        await client.change(resources.deployments, { patch, from: deployment, type: 'strategic', isMade });
        return;
      } catch (thrown) {
        const isConflict = thrown instanceof DeployError && thrown.reasonCode === 'state_conflict';
        if (!isConflict || conflicts >= conflictsAllowed) throw thrown;
        log.debug(`${deployment.metadata.name} moved under the write; reading it anew.`);
      }
    }
  }

  function substitutionsIn(deployment: Deployment, { images, container }: KubernetesRelease): Substitution[] {
    return substituteImages(deployment.spec.template.spec, images, {
      where: `Deployment ${deployment.metadata.name}`,
      container: container ?? undefined,
    });
  }

  function hasImages({ spec }: Deployment, substitutions: Substitution[]): boolean {
    return substitutions.every(({ list, container, to }) =>
      (spec.template.spec[list] ?? []).some(({ name, image }) => name === container && image === to),
    );
  }

  return {
    name: 'kubernetes',
    revisionOf,

    async observe() {
      // The labels that all slots share stay what they are, but for a hand that changes them.
      const guess = lastLabels;
      const guessed = guess === undefined ? undefined : belongingsOf(guess);
      guessed?.catch(() => {}); // told below, where it is waited for
      const found = await colours();
      lastLabels = selectorQuery(found.base);
      const { replicaSets, pods } = await (lastLabels === guess && guessed !== undefined
        ? guessed
        : belongings(found));
      return [...found.deployments].map(([name, deployment]): Slot<KubernetesRelease> => {
        const { wanted, ready, instances } = judged(found, { deployment, replicaSets, pods });
        const release = wanted === 0 ? null : releaseIn(deployment, options.scope);
        const revision = release === null ? null : revisionOf(release);
        return { name, release, revision, wanted, ready, instances };
      });
    },

    async check(slot, release) {
      checkRelease(release);
      const rights = client.requireRights([...ownRights, ...(options.rights ?? [])]);
      rights.catch(() => {}); // told below, after what is wrong with the release itself
      substitutionsIn(deploymentOf(await colours(), slot), release);
      await rights;
    },

    async deploy(slot, release, fence) {
      checkRelease(release);
      const annotation = canonicalJson(release);
      let substitutions: Substitution[] = [];
      const decide = async (deployment: Deployment, found: Colours) => {
        substitutions = substitutionsIn(deployment, release);
        const there = deployment.spec.replicas ?? 1;
        const serving =
          slot === found.serving ? 0 : (found.deployments.get(found.serving)?.spec.replicas ?? 1);
        const others = [...found.deployments].filter(([other]) => other !== slot);
        const isShare = options.shared === true && others.some(([, { spec }]) => (spec.replicas ?? 1) > 0);
        const replicas = isShare ? Math.max(1, there) : (release.replicas ?? Math.max(1, there, serving));
        const changed = substitutions.filter(({ from, to }) => from !== to);
        const isAnnotated = deployment.metadata.annotations?.[releaseAnnotation] === annotation;
        if (changed.length === 0 && isAnnotated && replicas === there) {
          return (await isAiling(found, deployment)) ? restarted(client.now()) : undefined;
        }
        for (const { container, from, to } of changed) {
          log.info(`${deployment.metadata.name}: ${container} ${from} → ${to}`);
        }
        return {
          metadata: { annotations: { [releaseAnnotation]: annotation } },
          spec: {
            ...(replicas === there ? {} : { replicas }),
            ...(changed.length === 0 ? {} : { template: { spec: imagesPatch(changed) } }),
          },
        };
      };
      await writeTo(
        slot,
        fence,
        decide,
        (current) =>
          current.metadata.annotations?.[releaseAnnotation] === annotation &&
          hasImages(current, substitutions),
      );
    },

    ready,

    async scale(slot, replicas, fence) {
      if (!Number.isInteger(replicas) || replicas < 0) {
        throw new DeployError('invalid_input', `${replicas} is no number of replicas.`);
      }
      await scaleTo(slot, replicas, fence);
    },

    retire: (slot, fence) => scaleTo(slot, 0, fence),
  };

  function scaleTo(slot: string, replicas: number, fence: Fence): Promise<void> {
    return writeTo(
      slot,
      fence,
      (deployment) =>
        Promise.resolve((deployment.spec.replicas ?? 1) === replicas ? undefined : { spec: { replicas } }),
      (current) => (current.spec.replicas ?? 1) === replicas,
    );
  }

  /** Whether what runs there is known not to come up: asked for again, it is started anew. */
  async function isAiling(found: Colours, deployment: Deployment): Promise<boolean> {
    return judged(found, { deployment, ...(await belongings(found)) }).failure !== null;
  }

  async function* ready(slot: string, deadline: Deadline, signal: AbortSignal): AsyncGenerator<Readiness> {
    const found = await colours();
    const { name } = deploymentOf(found, slot).metadata;
    const port = found.service.spec.ports?.[0];
    const stop = new AbortController();
    const watching = AbortSignal.any([signal, stop.signal]);
    const seen: { deployments?: Deployment[]; replicaSets?: ReplicaSet[]; pods?: Pod[] } = {};
    const bell = createBell();
    const query = { labelSelector: selectorQuery({ ...found.base, [found.label]: slot }) };
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
    const checked = new Map<string, string>();
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
          judgement = judged(found, { deployment, replicaSets, pods });
          ({ message } = judgement);
          if (judgement.failure !== null) throw await startFailed(slot, judgement.failure);
          if (judgement.wanted === 0)
            throw new DeployError('start_failed', `Deployment ${name} is scaled to 0.`);
          if (judgement.ready >= judgement.wanted) {
            const problem = await firstProblem(judgement.pods, port, checked, deadline, signal);
            if (problem === undefined) {
              yield { ready: true, message: `${judgement.message}, each of them answers` };
              return;
            }
            message = `${judgement.message}; ${problem}`;
            pause = checkPause;
          }
        }
        if (deadline.passed()) throw await notReady(slot, deadline, message, judgement);
        yield { ready: false, message };
        await bell.wait(Math.min(pause, deadline.remaining()), signal);
      }
    } finally {
      stop.abort();
      await follows.catch(() => {});
    }
  }

  /** Asks every pod that was not heard yet through the API server; what is wrong with the first that is not well. */
  async function firstProblem(
    pods: Pod[],
    port: ServicePort | undefined,
    checked: Map<string, string>,
    deadline: Deadline,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    if (port === undefined || port.protocol === 'UDP' || port.protocol === 'SCTP') return undefined;
    const timeout = Math.max(50, Math.min(checkTimeout, deadline.remaining()));
    const problems = await Promise.all(
      pods.map(async (pod) => {
        const { name, uid = '' } = pod.metadata;
        if (checked.has(uid)) return undefined;
        const target = checkTargetOf(pod, port, options.checkPath);
        if (target === undefined) {
          return `no container of ${name} has a port named ${String(port.targetPort)}`;
        }
        const { good, summary } = await checkPod(client, pod, target, timeout, signal);
        if (!good) return `${name} ${summary}`;
        checked.set(uid, summary);
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
    const asked = ailing === undefined || said === '' ? '' : await answerOf(ailing);
    return new DeployError(
      'not_ready',
      `${slot} did not become ready within ${Math.round(deadline.total / 1_000)} s: ${message}${said}${asked}`,
      { details },
    );
  }

  /** What a pod whose probe fails says itself: a health page often names what is missing. */
  async function answerOf(pod: Pod): Promise<string> {
    const port = (await client.get(resources.services, service)).spec.ports?.[0];
    const target = port === undefined ? undefined : checkTargetOf(pod, port, options.checkPath);
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

/** A part of a pod template with other images; containers are merged by name. */
function imagesPatch(changed: Substitution[]): Record<string, { name: string; image: string }[]> {
  const patch: Record<string, { name: string; image: string }[]> = {};
  for (const { list, container, to } of changed) (patch[list] ??= []).push({ name: container, image: to });
  return patch;
}

/** A change of the template that does nothing but make new pods. */
function restarted(now: number | undefined): Record<string, unknown> {
  const at = new Date(now ?? Date.now()).toISOString();
  return { spec: { template: { metadata: { annotations: { 'deploy-actions.dev/restarted-at': at } } } } };
}
