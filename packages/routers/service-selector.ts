import { cancelled, type Deadline, DeployError, type Log, messageOf, sleep } from '@deploy-actions/core';
import {
  type Colours,
  deposed,
  fenceMarks,
  fenceOf,
  hasLabels,
  isMarked,
  leaseAnnotation,
  type KubernetesClient,
  otherServicesOn,
  type Pod,
  readUnit,
  resources,
  type Right,
  selectorQuery,
  type Service,
  type Unit,
} from '@deploy-actions/kubernetes';
import type { Fence, Observed, Router, Target, Traffic } from '@deploy-actions/release-engine';
import { urlProblem } from './url-probe.ts';

export interface ServiceSelectorOptions {
  client: KubernetesClient;
  /** Several are switched as one. */
  service: string | readonly string[];
  /** The label that is switched, where the selector has several that could be. */
  slotLabel?: string | undefined;
  /** Asked from here to see that the data plane serves at all; which version answers is seen in the EndpointSlices. */
  url?: string | undefined;
  /** What the lease is called whose tokens are compared; default: there is one alone. */
  lease?: string | undefined;
  /** Milliseconds that nodes may take to follow an EndpointSlice; default 2 s, for kube-proxy writes its rules once a second. */
  margin?: number;
  log: Log;
}

/** What the router takes. */
export const serviceSelectorRights: readonly Right[] = [
  ...(['get', 'list', 'patch'] as const).map((verb) => ({ verb, group: '', resource: 'services' })),
  { verb: 'list', group: 'apps', resource: 'deployments' },
  { verb: 'list', group: '', resource: 'pods' },
  { verb: 'list', group: 'discovery.k8s.io', resource: 'endpointslices' },
];

const verifyPause = 50;
/** How often a Service that moved under its write is read anew, while others of the unit have moved already. */
const conflictsAllowed = 5;

/** One Service as it was read or written last. */
interface Switch {
  service: Service;
  label: string;
}

const nameOf = ({ service }: Pick<Switch, 'service'>): string => service.metadata.name;
const slotOf = ({ service, label }: Switch): string => service.spec.selector?.[label] ?? '';
const versionOf = (switches: readonly Switch[]): string =>
  switches.map(({ service }) => service.metadata.resourceVersion ?? '').join(' ');

/**
 * Traffic by the selectors of Services: all of it to one colour, in one write a Service that rests on the
 * resourceVersion that was read. The token of the newest lease holder is kept on the Service itself, so the API server
 * refuses whoever was deposed. kube-proxy sends new connections to the new pods; connections that are open stay where
 * they are.
 *
 * Several Services are written one after the other. Where one is refused, those before it go back; a run that is killed
 * in between leaves them apart, which `read` says.
 */
export function createServiceSelector(options: ServiceSelectorOptions): Router {
  const { client, lease, log } = options;
  const names = [options.service].flat();
  const all = `${names.length === 1 ? 'Service' : 'Services'} ${names.join(', ')}`;
  /** The Services as they were read or written last: a write that expects their version needs no other look. */
  let last: { switches: Switch[]; slots: string[] } | undefined;

  async function unit(): Promise<Unit> {
    const found = await readUnit(client, names, options.slotLabel);
    last = { switches: found.parts.map(({ service, label }) => ({ service, label })), slots: found.slots };
    return found;
  }

  function trafficOf(switches: readonly Switch[]): Traffic {
    const version = versionOf(switches);
    const counts = new Map<string, number>();
    for (const one of switches) counts.set(slotOf(one), (counts.get(slotOf(one)) ?? 0) + 1);
    const [first = ['', 1] as const, ...others] = [...counts].toSorted(([, a], [, b]) => b - a);
    const targets = others.map(([slot, count]): Target => {
      return { slot, weight: Math.floor((100 * count) / switches.length), addresses: [] };
    });
    const rest = 100 - targets.reduce((sum, { weight }) => sum + weight, 0);
    const apart = others.length === 0 ? undefined : apartOf(switches);
    return {
      targets: [{ slot: first[0], weight: rest, addresses: [] }, ...targets],
      version,
      bySlot: true,
      ...(apart === undefined ? {} : { apart }),
    };
  }

  /** The one slot that gets everything. */
  function onlySlot(targets: Target[], known: string[]): string {
    const shares = targets.filter(({ weight }) => weight > 0);
    const [only] = shares;
    if (targets.reduce((sum, { weight }) => sum + weight, 0) !== 100 || only === undefined) {
      throw new DeployError('router_rejected', 'The weights do not sum to 100.', {
        remedy: 'Give one slot all of the traffic.',
      });
    }
    if (shares.length > 1) {
      throw new DeployError(
        'unsupported',
        'Router service-selector gives all traffic to one slot; it cannot split it.',
        { remedy: 'Use a router that has weights for a canary.' },
      );
    }
    if (!known.includes(only.slot)) {
      throw new DeployError('router_rejected', `No Deployment behind ${all} is "${only.slot}".`, {
        remedy: `Slots are ${known.join(', ')}.`,
      });
    }
    return only.slot;
  }

  async function write({ service, label }: Switch, slot: string, fence: Fence): Promise<Switch> {
    const written = await client.change(resources.services, {
      patch: {
        metadata: { annotations: fenceMarks(fence, lease) },
        spec: { selector: { [label]: slot } },
      },
      from: service,
      isMade: (current) => isMarked(current, fence, lease) && current.spec.selector?.[label] === slot,
    });
    return { service: written, label };
  }

  /** Moves one of several. While others have moved already, one that only its labels or its status moved is written anew. */
  async function move(one: Switch, slot: string, fence: Fence, isBegun: boolean): Promise<Switch> {
    let current = one;
    for (let conflicts = 0; ; conflicts += 1) {
      try {
        return await write(current, slot, fence);
      } catch (thrown) {
        const isConflict = thrown instanceof DeployError && thrown.reasonCode === 'state_conflict';
        if (!isBegun || !isConflict || conflicts >= conflictsAllowed)
          throw await explained(thrown, one, fence);
        const now = { service: await client.get(resources.services, nameOf(one)), label: one.label };
        if (slotOf(now) !== slotOf(one) || fenceOf(now.service, lease) > fence.token) {
          throw await explained(thrown, one, fence);
        }
        current = now;
        await fence.check();
      }
    }
  }

  /** Puts back those that moved before another was refused. What cannot be is left to the caller, who reads it. */
  async function goBack(moved: readonly { now: Switch; from: string }[], fence: Fence): Promise<void> {
    for (const { now, from } of moved.toReversed()) {
      try {
        await fence.check();
        await write(now, from, fence);
        log.info(`Service ${nameOf(now)} is back at ${from}.`);
      } catch (thrown) {
        log.warning(`Service ${nameOf(now)} could not be put back to ${from} yet: ${messageOf(thrown)}`);
      }
    }
  }

  return {
    name: 'service-selector',
    capabilities: { weights: false, keepAlive: 'closes-idle', fencing: 'atomic', drain: false },

    async read() {
      return trafficOf((await unit()).parts);
    },

    async claim(fence) {
      for (;;) {
        const [found, services] = await Promise.all([unit(), client.list(resources.services)]);
        refuseOtherServices(found, services.items);
        const newer = found.parts.find(({ service }) => fenceOf(service, lease) > fence.token);
        if (newer !== undefined) throw deposed(newer.service, `Service ${nameOf(newer)}`, fence);
        for (const { service } of found.parts) warnOfOtherLease(service);
        const older = found.parts.filter(({ service }) => !isMarked(service, fence, lease));
        try {
          for (const part of older) {
            await fence.check();
            await write(part, part.serving, fence);
          }
        } catch (thrown) {
          if (!(thrown instanceof DeployError) || thrown.reasonCode !== 'state_conflict') throw thrown;
          log.debug(`${all} moved while claimed; reading anew.`);
          continue;
        }
        return;
      }
    },

    async apply(targets, expected, fence) {
      if (last === undefined || versionOf(last.switches) !== expected) await unit();
      if (last === undefined) throw new DeployError('internal', `${all} were not read.`);
      const { switches, slots } = last;
      if (versionOf(switches) !== expected) {
        throw new DeployError(
          'state_conflict',
          `${all} ${names.length === 1 ? 'was' : 'were'} changed since ${names.length === 1 ? 'it was' : 'they were'} read.`,
          { remedy: 'Run this again: it will read anew.' },
        );
      }
      const slot = onlySlot(targets, slots);
      const newer = switches.find(({ service }) => fenceOf(service, lease) > fence.token);
      if (newer !== undefined) throw deposed(newer.service, `Service ${nameOf(newer)}`, fence);
      await fence.check();
      const began = performance.now();
      const moved: { now: Switch; from: string }[] = [];
      const result: Switch[] = [];
      for (const one of switches) {
        if (slotOf(one) === slot && isMarked(one.service, fence, lease)) {
          result.push(one);
          continue;
        }
        try {
          if (moved.length > 0) await fence.check();
          const now = await move(one, slot, fence, moved.length > 0);
          moved.push({ now, from: slotOf(one) });
          result.push(now);
        } catch (thrown) {
          last = undefined;
          const isDeposed = thrown instanceof DeployError && thrown.reasonCode === 'lock_lost';
          if (!isDeposed) await goBack(moved, fence);
          throw thrown;
        }
      }
      if (moved.length > 1) {
        log.info(`${moved.length} Services moved within ${Math.round(performance.now() - began)} ms.`);
      }
      last = { switches: result, slots };
      return trafficOf(result);
    },

    verify,

    async drain(_slot, deadline, signal) {
      // Nodes follow within milliseconds; how many connections stay where they were, nobody knows.
      const margin = Math.min(options.margin ?? 2_000, deadline.remaining());
      await sleep(margin, signal, `giving the nodes time to follow ${all}`);
      return { complete: true, inFlight: null, elapsed: deadline.elapsed() };
    },
  };

  function warnOfOtherLease({ metadata }: Service): void {
    const other = metadata.annotations?.[leaseAnnotation];
    if (lease === undefined || other === undefined || other === lease) return;
    log.warning(
      `Service ${metadata.name} was released under another lease so far (${other}), and is under ${lease} from now on. Do not release it in both ways: they do not wait for each other.`,
    );
  }

  /** A conflict is a takeover when a newer holder has left its token. */
  async function explained(thrown: unknown, one: Switch, fence: Fence): Promise<unknown> {
    if (!(thrown instanceof DeployError)) return thrown;
    if (thrown.reasonCode === 'invalid_input') {
      return new DeployError('router_rejected', thrown.message, {
        remedy: thrown.remedy,
        details: thrown.details,
        cause: thrown,
      });
    }
    if (thrown.reasonCode !== 'state_conflict') return thrown;
    const now = await client.find(resources.services, nameOf(one));
    return now !== undefined && fenceOf(now, lease) > fence.token
      ? deposed(now, `Service ${nameOf(one)}`, fence)
      : thrown;
  }

  /** Another Service on the same pods would stay behind, and half of the clients with it. */
  function refuseOtherServices({ parts }: Unit, services: Service[]): void {
    for (const part of parts) {
      const behind = otherServicesOn(part, services).filter(({ metadata, spec }) => {
        if (names.includes(metadata.name)) return false;
        // One that each colour has its own of is meant to stay.
        const others = [...part.deployments.keys()].filter((slot) => slot !== part.serving);
        return !others.some((slot) =>
          services.some((service) =>
            hasLabels(service.spec.selector, { ...spec.selector, [part.label]: slot }),
          ),
        );
      });
      if (behind.length === 0) continue;
      const left = behind.map(({ metadata }) => metadata.name).join(', ');
      throw new DeployError(
        'invalid_input',
        `Service ${left} sends to ${part.label}=${part.serving}, too, and would stay there when Service ${nameOf(part)} is switched.`,
        {
          remedy: `Release them as one (\`service: ${[...names, ...behind.map(({ metadata }) => metadata.name)].join(',')}\`), take ${part.label} out of its selector, or give each colour a Service of its own beside it.`,
        },
      );
    }
  }

  /** Whether the EndpointSlices name exactly the ready pods of the slot; what is wrong otherwise. */
  async function endpointsProblem(
    { service, label, base, serving: now }: Colours,
    slot: string,
  ): Promise<{ problem?: string; pods: string[] }> {
    const { name } = service.metadata;
    if (now !== slot) return { problem: `Service ${name} sends to ${now}`, pods: [] };
    const [slices, listed] = await Promise.all([
      client.list(resources.endpointSlices, { labelSelector: `kubernetes.io/service-name=${name}` }),
      client.list(resources.pods, { labelSelector: selectorQuery({ ...base, [label]: slot }) }),
    ]);
    const pods = new Map(listed.items.map((pod): [string, Pod] => [pod.metadata.name, pod]));
    const serving = new Set<string>();
    const strangers = new Set<string>();
    for (const { endpoints } of slices.items) {
      for (const { conditions, targetRef } of endpoints ?? []) {
        // Unknown counts as ready (discovery/v1).
        if (conditions?.ready === false) continue;
        const pod = targetRef?.name ?? '';
        (pods.has(pod) ? serving : strangers).add(pod);
      }
    }
    const missing = listed.items.filter(
      (pod) =>
        pod.metadata.deletionTimestamp === undefined &&
        (pod.status?.conditions ?? []).some(({ type, status }) => type === 'Ready' && status === 'True') &&
        !serving.has(pod.metadata.name),
    );
    const of = names.length === 1 ? '' : ` of Service ${name}`;
    if (strangers.size > 0) {
      return {
        problem: `the EndpointSlices${of} still name ${[...strangers].join(', ')}`,
        pods: [...serving],
      };
    }
    if (missing.length > 0) {
      const left = missing.map(({ metadata }) => metadata.name).join(', ');
      return { problem: `the EndpointSlices${of} do not name ${left} yet`, pods: [...serving] };
    }
    if (serving.size === 0) return { problem: `no pod of ${slot} is ready${of}`, pods: [] };
    return { pods: [...serving] };
  }

  async function verify(traffic: Traffic, deadline: Deadline, signal: AbortSignal): Promise<Observed> {
    const shares = traffic.targets.filter(({ weight }) => weight > 0);
    const [target] = shares;
    if (target === undefined) return { matches: false, answers: {}, detail: 'no traffic is configured' };
    if (shares.length > 1) {
      return { matches: false, answers: {}, detail: `the Services are apart: ${traffic.apart?.words ?? ''}` };
    }
    let detail: string | undefined;
    while (!deadline.passed()) {
      if (signal.aborted) throw cancelled('verifying the traffic');
      const { parts } = await unit();
      const seen = await Promise.all(parts.map((part) => endpointsProblem(part, target.slot)));
      const problem = seen.find((one) => one.problem !== undefined)?.problem;
      const unanswered = problem === undefined ? await urlProblem(options.url, deadline, signal) : undefined;
      if (problem === undefined && unanswered === undefined) {
        const asked = options.url === undefined ? '' : `; ${options.url} answers`;
        const pods = new Set(seen.flatMap((one) => one.pods)).size;
        return {
          matches: true,
          answers: { [target.slot]: pods },
          detail: `the EndpointSlices of ${all} name the ${pods} ready pods of ${target.slot} and no others${asked}`,
        };
      }
      // A look that the deadline cut says less than the one before it, if there was one.
      if (detail === undefined || !deadline.passed()) detail = problem ?? unanswered ?? '';
      log.progress({
        what: 'the traffic to follow',
        elapsed: deadline.elapsed(),
        remaining: deadline.remaining(),
        detail,
      });
      await sleep(Math.min(verifyPause, deadline.remaining()), signal, 'verifying the traffic');
    }
    return { matches: false, answers: {}, detail: detail ?? 'there was no time to look' };
  }
}

/** Which Service is where, and how they come together again. */
function apartOf(switches: readonly Switch[]): NonNullable<Traffic['apart']> {
  const commands = switches.map(
    (one) =>
      `\`kubectl patch service ${nameOf(one)} --type merge -p '{"spec":{"selector":{"${one.label}":"COLOUR"}}}'\``,
  );
  return {
    words: switches.map((one) => `${nameOf(one)} ${slotOf(one)}`).join(', '),
    remedy: `No unfinished release says which of them is right. Decide which colour is to serve, and send all of them to it, with its name for COLOUR: ${commands.join(', ')}. Then run this again.`,
  };
}
