import { DeployError, type Log } from '@deploy-actions/core';
import {
  type ExecOptions,
  type ExecResult,
  hasLabels,
  type KubernetesClient,
  type KubernetesEvent,
  type KubernetesObject,
  type ReplicaSet,
  type Resource,
  resources,
  selectorQuery,
  type Service,
  statusOf,
} from '@deploy-actions/kubernetes';
import { askDatabase, type DatabaseFacts } from './database.ts';
import {
  type ContainerEnvironment,
  type ContainerLog,
  type EventGroup,
  type Facts,
  type Gap,
  isLeaving,
  isPodReady,
  type KindedWorkload,
  statusesOf,
  type Usage,
} from './facts.ts';
import {
  observed,
  parseQuantity,
  type RunContainer,
  type RunPod,
  workloadKinds,
  type WorkloadKind,
} from './objects.ts';
import { parseReach, reachCommands, type Reach } from './reachability.ts';
import { type Redactor, secretValuesOf, shownValue } from './redact.ts';
import { type RequestFigures, requestFigures } from './request-figures.ts';
import { selects } from './rules.ts';

/** What is diagnosed: exactly one of the three. */
export type Subject =
  { service: string } | { workload: { kind: WorkloadKind; name: string } } | { selector: string };

export interface CollectOptions {
  client: KubernetesClient;
  subject: Subject;
  /** Lines of each log. */
  lines: number;
  redactor: Redactor;
  /** Told every literal that must not be seen. */
  onSecret(value: string): void;
  /** Runs a command in a container; null: none is run, for this reason. */
  exec: ((options: ExecOptions) => Promise<ExecResult>) | string;
  /** Path of the application's own metrics. */
  metricsPath: string;
  /** Null: no database was named. */
  database: { url: string; environment: NodeJS.ProcessEnv } | null;
  log: Log;
  signal: AbortSignal;
}

/** Pods whose logs are read; those that are ailing first. */
const mostPods = 10;
/** Pods that are asked for metrics, and pods from which connections are tried. */
const mostAsked = 4;
const mostTried = 2;
const execTimeout = 30_000;
const askTimeout = 5_000;
const longestLine = 2_000;
const usageText = 'usage of CPU and memory';
/** What a kubelet answers instead of a log that it does not have any more. */
const noLog = /^unable to retrieve container logs for \S+$/;

function subjectText(subject: Subject): string {
  if ('service' in subject) return `Service ${subject.service}`;
  if ('workload' in subject) return `${workloadKinds[subject.workload.kind].kind} ${subject.workload.name}`;
  return `pods with ${subject.selector}`;
}

/** Strings of a value that others wrote, each without secrets. */
function redacted<T>(value: T, redactor: Redactor): T {
  return JSON.parse(JSON.stringify(value), (_key, inner: unknown) =>
    typeof inner === 'string' ? redactor.text(inner) : inner,
  ) as T;
}

/** A container without its environment, command and arguments. */
function bare({ name, image, ports, resources: own, readinessProbe }: RunContainer): RunContainer {
  return {
    name,
    ...(image === undefined ? {} : { image }),
    ...(ports === undefined ? {} : { ports }),
    ...(own === undefined ? {} : { resources: own }),
    ...(readinessProbe === undefined ? {} : { readinessProbe }),
  };
}

/** A pod as it is shown: annotations and environments stay out. */
function shownPod({ metadata, spec, status }: RunPod, redactor: Redactor): RunPod {
  const { name, namespace, uid, creationTimestamp, deletionTimestamp, labels, ownerReferences } = metadata;
  const given = { namespace, uid, creationTimestamp, deletionTimestamp, labels, ownerReferences };
  return {
    metadata: {
      name,
      ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    },
    spec: {
      containers: spec.containers.map(bare),
      ...(spec.initContainers === undefined ? {} : { initContainers: spec.initContainers.map(bare) }),
      ...(spec.nodeName === undefined ? {} : { nodeName: spec.nodeName }),
      volumes: (spec.volumes ?? []).flatMap(({ name: volume, persistentVolumeClaim }) =>
        persistentVolumeClaim === undefined ? [] : [{ name: volume, persistentVolumeClaim }],
      ),
    },
    ...(status === undefined ? {} : { status: redacted(status, redactor) }),
  };
}

function shownWorkload({ kind, metadata, spec, status }: KindedWorkload, redactor: Redactor): KindedWorkload {
  const { name, labels } = metadata;
  const { replicas, selector, template } = spec;
  return {
    kind,
    metadata: { name, ...(labels === undefined ? {} : { labels }) },
    spec: {
      ...(replicas === undefined ? {} : { replicas }),
      selector,
      template: {
        ...(template.metadata?.labels === undefined
          ? {}
          : { metadata: { labels: template.metadata.labels } }),
        spec: { containers: template.spec.containers.map(bare) },
      },
    },
    ...(status?.conditions === undefined
      ? {}
      : { status: { conditions: redacted(status.conditions, redactor) } }),
  };
}

function timeOf(event: KubernetesEvent & { series?: { lastObservedTime?: string } }): number {
  const text = event.series?.lastObservedTime ?? event.lastTimestamp ?? event.eventTime;
  const time = Date.parse(text ?? event.metadata.creationTimestamp ?? '');
  return Number.isNaN(time) ? 0 : time;
}

/** Events that say the same of objects of one kind as one, the newest first. Pure. */
export function groupEvents(events: readonly KubernetesEvent[]): EventGroup[] {
  const groups = new Map<string, EventGroup>();
  for (const event of events) {
    const { type = '', reason = '', message = '', involvedObject, count } = event;
    const { kind = '', name = '' } = involvedObject;
    // Names and UIDs of pods differ where what happened is the same.
    const same = message.replaceAll(name, '…').replace(/\([\da-f-]{36}\)|\b(?:\d{1,3}\.){3}\d{1,3}\b/g, '…');
    const key = [type, reason, kind, same].join('\n');
    const group = groups.get(key);
    const last = timeOf(event);
    const times = Math.max(1, count ?? 1);
    if (group === undefined) {
      groups.set(key, { type, reason, message, kind, objects: [name], count: times, last });
      continue;
    }
    group.count += times;
    if (!group.objects.includes(name)) group.objects.push(name);
    if (last > group.last) Object.assign(group, { last, message });
  }
  return [...groups.values()].toSorted((a, b) => b.last - a.last);
}

/**
 * Looks at all that there is about an application. What may not be read, or does not answer, is named in `gaps`, and the
 * rest goes on. Throws `not_found` for a Service or workload that is not there, and what nothing can be seen without: an
 * API server that cannot be reached, credentials that are refused.
 */
export async function collect(options: CollectOptions): Promise<Facts> {
  const { client, subject, redactor, log, signal } = options;
  const gaps: Gap[] = [];
  const text = (written: string): string => redactor.text(written);

  async function attempt<T>(what: string, otherwise: T, look: () => Promise<T>): Promise<T> {
    try {
      return await look();
    } catch (thrown) {
      // An API that no server stands behind is missing as a whole.
      const isUnserved = what === usageText && statusOf(thrown) === 404;
      if (isUnserved) {
        const remedy = 'Install metrics-server, or whatever serves metrics.k8s.io.';
        gaps.push({ what, why: 'the cluster serves none', remedy });
        return otherwise;
      }
      const isLast = signal.aborted || !(thrown instanceof DeployError) || statusOf(thrown) === 401;
      if (isLast) throw thrown;
      gaps.push({ what, why: text(thrown.message), remedy: thrown.remedy });
      log.debug(`${what}: ${text(thrown.message)}`);
      return otherwise;
    }
  }

  async function all<T extends KubernetesObject>(
    what: string,
    resource: Resource<T>,
    labelSelector?: string,
  ): Promise<T[] | null> {
    return attempt<T[] | null>(
      what,
      null,
      async () => (await client.list(resource, { labelSelector }, signal)).items,
    );
  }

  const named = await subjectOf();
  log.info(`Looking at ${subjectText(subject)} in namespace ${client.namespace}.`);
  const [
    pods,
    replicaSets,
    events,
    services,
    slices,
    autoscalers,
    budgets,
    claims,
    quotas,
    metrics,
    ...kinds
  ] = await Promise.all([
    all('pods', observed.pods, named.selector),
    all<ReplicaSet>('ReplicaSets', resources.replicaSets),
    all('events', resources.events),
    all('Services', resources.services),
    all('endpoints of the Services', resources.endpointSlices),
    all('autoscalers', observed.autoscalers),
    all('disruption budgets', observed.budgets),
    all('volume claims', observed.claims),
    all('quotas', observed.quotas),
    all(usageText, observed.metrics, named.selector),
    ...Object.values(workloadKinds).map(async (resource) =>
      (await all(`${resource.kind}s`, resource))?.map((found): KindedWorkload => ({
        ...found,
        kind: resource.kind,
      })),
    ),
  ]);

  async function subjectOf(): Promise<{ selector: string; service?: Service; workload?: KindedWorkload }> {
    if ('selector' in subject) return { selector: subject.selector };
    if ('service' in subject) {
      const service = await client.get(resources.services, subject.service, signal);
      const labels = service.spec.selector ?? {};
      if (Object.keys(labels).length === 0) {
        throw new DeployError('invalid_input', `Service ${subject.service} has no selector.`, {
          remedy: 'Name the workload or the labels of its pods: `workload`, `selector`.',
        });
      }
      return { selector: selectorQuery({ matchLabels: labels }), service };
    }
    const { kind, name } = subject.workload;
    const found = await client.get(workloadKinds[kind], name, signal);
    return {
      selector: selectorQuery(found.spec.selector),
      workload: { ...found, kind: workloadKinds[kind].kind },
    };
  }

  const everyWorkload = kinds.flatMap((found) => found ?? []);
  const ours = workloadsOf();
  const relevantServices = named.service === undefined ? servicesOf() : [named.service];

  function workloadsOf(): KindedWorkload[] {
    if (named.workload !== undefined) return [named.workload];
    const labels = named.service?.spec.selector;
    const owners = new Set(
      (pods ?? []).flatMap(({ metadata }) => (metadata.ownerReferences ?? []).map(({ uid }) => uid)),
    );
    const owned = (uid: string | undefined) => uid !== undefined && owners.has(uid);
    const found = everyWorkload.filter(({ metadata, spec }) => {
      if (labels !== undefined) return hasLabels(spec.template.metadata?.labels, labels);
      const sets = (replicaSets ?? []).filter((set) =>
        (set.metadata.ownerReferences ?? []).some(({ uid }) => uid === metadata.uid),
      );
      return (
        owned(metadata.uid) ||
        sets.some((set) => owned(set.metadata.uid)) ||
        isNamedBy(spec.template.metadata?.labels)
      );
    });
    if (found.length > 0 || labels === undefined) return found;
    // None has all of it: those that have a part of it are likely to be meant.
    const partly = everyWorkload.filter(({ spec }) =>
      Object.entries(labels).some(([key, value]) => spec.template.metadata?.labels?.[key] === value),
    );
    return partly.length > 0 ? partly : everyWorkload;
  }

  /** Whether labels meet a selector that was written out, where it has equalities alone. */
  function isNamedBy(labels: Record<string, string> | undefined): boolean {
    const parts = named.selector.split(',').map((part) => /^\s*([\w./-]+)\s*==?\s*([\w.-]*)\s*$/.exec(part));
    return parts.every((part) => part !== null && labels?.[part[1] ?? ''] === part[2]);
  }

  function servicesOf(): Service[] {
    const labels = [
      ...ours.map(({ spec }) => spec.template.metadata?.labels),
      ...(pods ?? []).map(({ metadata }) => metadata.labels),
    ];
    return (services ?? []).filter(({ spec }) => {
      const selector = spec.selector ?? {};
      return Object.keys(selector).length > 0 && labels.some((own) => hasLabels(own, selector));
    });
  }

  // Before any text is shown: what must not be seen in it.
  const specs = [...(pods ?? []).map(({ spec }) => spec), ...ours.map(({ spec }) => spec.template.spec)];
  for (const { containers, initContainers = [] } of specs) {
    for (const container of [...containers, ...initContainers]) {
      for (const secret of secretValuesOf(container.env ?? [])) {
        redactor.know(secret);
        options.onSecret(secret);
      }
    }
  }

  const found = (pods ?? []).toSorted(
    (a, b) => Number(isPodReady(a)) - Number(isPodReady(b)) || a.metadata.name.localeCompare(b.metadata.name),
  );
  const shown = found.slice(0, mostPods);
  if (found.length > shown.length) {
    gaps.push({
      what: 'logs',
      why: `read of ${shown.length} of ${found.length} pods, those that are not ready first`,
      remedy: undefined,
    });
  }
  const [logs, reaches, requests, database] = await Promise.all([
    readLogs(shown),
    tryConnections(found),
    readRequests(found),
    readDatabase(),
  ]);

  async function readLogs(from: readonly RunPod[]): Promise<ContainerLog[]> {
    const wanted = from.flatMap((pod) =>
      statusesOf(pod).flatMap(({ name, restartCount }) =>
        [false, ...(restartCount > 0 ? [true] : [])].map((previous) => ({
          pod: pod.metadata.name,
          container: name,
          previous,
        })),
      ),
    );
    if (wanted.length === 0) return [];
    return attempt('logs', [], () =>
      Promise.all(
        wanted.map(async (one) => {
          const lines = await client.logs(one.pod, one.container, {
            lines: options.lines,
            previous: one.previous,
          });
          if (lines.length === 1 && noLog.test(lines[0] ?? '')) return { ...one, lines: [] };
          // A key of several lines is seen only in the whole.
          const clean = text(lines.map((line) => line.slice(0, longestLine)).join('\n'));
          return { ...one, lines: clean === '' ? [] : clean.split('\n') };
        }),
      ),
    );
  }

  async function tryConnections(from: readonly RunPod[]): Promise<Reach[]> {
    const what = 'reachability of database and cache from inside a pod';
    const running = from
      .filter((pod) => !isLeaving(pod))
      .flatMap((pod) =>
        (pod.status?.containerStatuses ?? [])
          .filter(({ state }) => state?.running !== undefined)
          .slice(0, 1)
          .map(({ name }) => ({ pod: pod.metadata.name, container: name })),
      );
    if (typeof options.exec === 'string') {
      gaps.push({ what, why: `not checked: ${options.exec}`, remedy: undefined });
      return [];
    }
    if (running.length === 0) {
      gaps.push({ what, why: 'not checked: no container runs', remedy: undefined });
      return [];
    }
    const { exec } = options;
    const tries = await Promise.all(
      running
        .slice(0, mostTried)
        .map(({ pod, container }) => attempt(what, [], () => tryFrom(exec, pod, container))),
    );
    return tries.flat();
  }

  async function tryFrom(
    exec: (options: ExecOptions) => Promise<ExecResult>,
    pod: string,
    container: string,
  ): Promise<Reach[]> {
    let why = '';
    for (const command of reachCommands) {
      const result = await exec({
        namespace: client.namespace,
        pod,
        container,
        command,
        timeout: execTimeout,
        signal,
      });
      const reached = parseReach(pod, container, result.stdout);
      if (reached !== undefined) return reached;
      why = result.stdout.includes('NOTOOL')
        ? 'its shell has neither nc nor bash'
        : `${command[0] ?? ''} cannot be run (${
            text(result.message || result.stderr)
              .split('\n')
              .at(-1)
              ?.slice(0, 200) ?? ''
          })`;
    }
    throw new DeployError('unsupported', `not checked from ${pod}/${container}: ${why}.`, {
      remedy: 'An image with python3, or with a shell and nc or bash, can be asked.',
    });
  }

  async function readRequests(from: readonly RunPod[]): Promise<RequestFigures[]> {
    const what = 'request metrics';
    const asked = from.filter(isPodReady).slice(0, mostAsked);
    const figures = await Promise.all(
      asked.map((pod) =>
        attempt<RequestFigures[]>(what, [], async () => {
          const annotations = pod.metadata.annotations ?? {};
          const ports = pod.spec.containers.flatMap(({ ports: own }) => own ?? []);
          const port = Number(
            annotations['prometheus.io/port'] ??
              ports.find(({ name }) => /metrics/.test(name ?? ''))?.containerPort ??
              ports[0]?.containerPort,
          );
          if (!Number.isInteger(port))
            throw new DeployError('not_found', `not read: ${pod.metadata.name} names no port.`);
          const first = annotations['prometheus.io/path'] ?? options.metricsPath;
          // Django's URLs end with a slash, and a redirect leads nowhere through the API server.
          const paths = [first, first.endsWith('/') ? first.slice(0, -1) : `${first}/`].filter(
            (path) => path !== '',
          );
          let status = 0;
          for (const path of paths) {
            const answer = await client.askPod(pod.metadata.name, port, path, {
              timeout: askTimeout,
              signal,
            });
            if (answer.status === 200) return [requestFigures(pod.metadata.name, path, answer.body)];
            status = answer.status;
          }
          throw new DeployError(
            'not_found',
            `not read: ${pod.metadata.name} answers ${status} on ${first} of port ${port}.`,
          );
        }),
      ),
    );
    return figures.flat();
  }

  async function readDatabase(): Promise<DatabaseFacts | null> {
    const what = 'active queries of the database';
    if (options.database === null) {
      gaps.push({ what, why: 'not checked: `database-url` is not given', remedy: undefined });
      return null;
    }
    const { url, environment } = options.database;
    return attempt<DatabaseFacts | null>(what, null, async () => {
      const answer = await askDatabase(url, environment, signal);
      if (typeof answer !== 'string') return { ...answer, queries: redacted(answer.queries, redactor) };
      throw new DeployError('unreachable', `not checked: ${text(answer)}`);
    });
  }

  const names = new Set([
    ...found.map(({ metadata }) => metadata.name),
    ...ours.map(({ metadata }) => metadata.name),
    ...relevantServices.map(({ metadata }) => metadata.name),
    ...(autoscalers ?? [])
      .filter(({ spec }) => ours.some(({ metadata }) => metadata.name === spec.scaleTargetRef.name))
      .map(({ metadata }) => metadata.name),
    ...found.flatMap(({ spec }) =>
      (spec.volumes ?? []).flatMap(({ persistentVolumeClaim: claim }) => claim?.claimName ?? []),
    ),
    ...(replicaSets ?? [])
      .filter(({ metadata }) =>
        (metadata.ownerReferences ?? []).some(({ uid }) => ours.some((one) => one.metadata.uid === uid)),
      )
      .map(({ metadata }) => metadata.name),
  ]);
  const isOurs = ({ involvedObject: { name = '' } }: KubernetesEvent) =>
    names.has(name) || ours.some(({ metadata }) => name.startsWith(`${metadata.name}-`));
  return {
    namespace: client.namespace,
    subject: subjectText(subject),
    selector: named.selector,
    now: client.now() ?? Date.now(),
    workloads: ours.map((workload) => shownWorkload(workload, redactor)),
    pods: found.map((pod) => shownPod(pod, redactor)),
    environment: environmentsOf(found, redactor),
    services: relevantServices.map(({ metadata, spec }) => ({ metadata: { name: metadata.name }, spec })),
    slices:
      slices === null
        ? null
        : slices
            .filter(({ metadata }) =>
              relevantServices.some(
                (service) => service.metadata.name === metadata.labels?.['kubernetes.io/service-name'],
              ),
            )
            .map(({ metadata: { name, labels = {} }, endpoints, ports }) => ({
              metadata: { name, labels },
              // The API writes an empty list as null.
              endpoints: endpoints ?? [],
              ports: ports ?? [],
            })),
    events: redacted(groupEvents((events ?? []).filter(isOurs)), redactor),
    logs,
    usage: (metrics ?? []).flatMap(({ metadata, containers }): Usage[] =>
      containers.map(({ name, usage }) => ({
        pod: metadata.name,
        container: name,
        cpu: parseQuantity(usage['cpu']),
        memory: parseQuantity(usage['memory']),
      })),
    ),
    autoscalers: (autoscalers ?? [])
      .filter(({ spec }) =>
        ours.some(
          ({ kind, metadata }) =>
            kind === spec.scaleTargetRef.kind && metadata.name === spec.scaleTargetRef.name,
        ),
      )
      .map(({ metadata, spec, status }) => ({
        metadata: { name: metadata.name },
        spec,
        ...(status === undefined ? {} : { status }),
      })),
    budgets: (budgets ?? [])
      .filter(
        ({ spec }) =>
          spec.selector !== undefined &&
          ours.some((one) => selects(spec.selector ?? {}, one.spec.template.metadata?.labels)),
      )
      .map(({ metadata, spec, status }) => ({
        metadata: { name: metadata.name },
        spec,
        ...(status === undefined ? {} : { status }),
      })),
    claims: (claims ?? [])
      .filter(({ metadata }) => names.has(metadata.name))
      .map(({ metadata, spec, status }) => ({
        metadata: { name: metadata.name },
        ...(spec === undefined ? {} : { spec }),
        ...(status === undefined ? {} : { status }),
      })),
    quotas: (quotas ?? []).map(({ metadata, status }) => ({
      metadata: { name: metadata.name },
      ...(status === undefined ? {} : { status }),
    })),
    reaches,
    requests,
    database,
    gaps,
  };
}

/** The environments of the containers, the same of several pods once. */
function environmentsOf(pods: readonly RunPod[], redactor: Redactor): ContainerEnvironment[] {
  const seen = new Map<string, ContainerEnvironment>();
  for (const { spec } of pods) {
    for (const { name, env = [], envFrom = [] } of [...(spec.initContainers ?? []), ...spec.containers]) {
      const variables = [
        ...envFrom.map(({ secretRef, configMapRef }) => ({
          name: '(all)',
          value:
            secretRef === undefined
              ? `from ConfigMap ${configMapRef?.name ?? ''} (not read)`
              : `from Secret ${secretRef.name ?? ''} (not read)`,
        })),
        ...env.map((variable) => ({ name: variable.name, value: shownValue(variable, redactor) })),
      ];
      if (variables.length > 0)
        seen.set(`${name} ${JSON.stringify(variables)}`, { container: name, variables });
    }
  }
  return [...seen.values()];
}

/** What a gap says in one line. */
export function gapText({ what, why, remedy }: Gap): string {
  return `${what}: ${why}${remedy === undefined ? '' : ` ${remedy}`}`;
}
