import { textAt, cancelled, DeployError, isRecord, type Log, messageOf, sleep } from '@deploy-actions/core';
import { ApiError, type Asked, isLasting, noAnswer, refusal, statusOf } from './errors.ts';
import type { Connection } from './kubeconfig.ts';
import { fieldManager, isOurs } from './managers.ts';
import { type KubernetesObject, type Resource, resources } from './objects.ts';
import { isAllowed, notGranted, type Right, withoutRights } from './rights.ts';
import { type Answer, createTransport, textOf, type Transport } from './transport.ts';

/** Milliseconds for one request. */
const requestTimeout = 15_000;

/** Milliseconds between tries of what may be repeated, where the server names no time. */
const pauses = [100, 300, 1_000, 2_000, 4_000];

/** The same while the server has never answered: nothing is under way yet, and what is wrong is rather the address. */
const firstPauses = [100, 300, 1_000, 1_500, 2_000];

/** Milliseconds after which a server that has never answered is not tried again. */
const firstPatience = 5_000;

/** The longest that the server may ask to wait. */
const longestWait = 30_000;

/** Milliseconds of waiting for the server from which on it is said. */
const worthSaying = 1_000;

export interface ListQuery {
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
}

export interface Listed<T> {
  items: T[];
  resourceVersion: string;
}

/** A change of an object. The patch names the resourceVersion that it rests on, so that it takes effect once or not. */
export interface Change<T extends KubernetesObject> {
  /** `metadata.resourceVersion` is added from `from`. */
  patch: Record<string, unknown>;
  from: T;
  /** `merge` replaces lists, `strategic` merges containers by name. Default: merge. */
  type?: 'merge' | 'strategic';
  /** Whether an object is as the patch makes it: asked after an answer that did not arrive. */
  isMade(current: T): boolean;
}

export interface ApplyOptions {
  /** The server does all but to store it, and answers what there would be. */
  dryRun?: boolean;
  /** Takes fields over from other managers. */
  force?: boolean;
}

/** A kind that the API serves. */
export interface ServedKind extends Omit<Resource<KubernetesObject>, 'object'> {
  isClusterWide: boolean;
  verbs: string[];
}

export interface ProxyAnswer {
  status: number;
  body: string;
  headers: Record<string, unknown>;
}

/** One namespace of a cluster, as one user sees it. Every error is a DeployError that says what to do. */
export interface KubernetesClient {
  readonly connection: Connection;
  readonly namespace: string;
  /** Throws `not_found`. */
  get<T extends KubernetesObject>(resource: Resource<T>, name: string, signal?: AbortSignal): Promise<T>;
  find<T extends KubernetesObject>(
    resource: Resource<T>,
    name: string,
    signal?: AbortSignal,
  ): Promise<T | undefined>;
  list<T extends KubernetesObject>(
    resource: Resource<T>,
    query?: ListQuery,
    signal?: AbortSignal,
  ): Promise<Listed<T>>;
  /** Throws `state_conflict` when one of that name exists that is not as `isMade` says. */
  create<T extends KubernetesObject>(
    resource: Resource<T>,
    object: T,
    isMade: (current: T) => boolean,
  ): Promise<T>;
  /**
   * Server-side apply (https://kubernetes.io/docs/reference/using-api/server-side-apply/): the fields of the object become as
   * it says, and those that this suite applied before and that are not in it any more go. With a `resourceVersion` in it, it
   * takes effect at that version alone. Throws an ApiError with `conflicts` where a field is another manager's.
   */
  apply<T extends KubernetesObject>(resource: Resource<T>, object: T, options?: ApplyOptions): Promise<T>;
  /** What the API serves in a group and version (`apps/v1`); undefined when it serves none of it. */
  served(apiVersion: string): Promise<ServedKind[] | undefined>;
  /** Every group and version that is served: `v1`, `apps/v1`. */
  servedVersions(): Promise<string[]>;
  /** The same client in another namespace; it is closed with this one. */
  within(namespace: string): KubernetesClient;
  /** Throws `state_conflict` when the object is not at the resourceVersion of `from` any more. */
  change<T extends KubernetesObject>(resource: Resource<T>, change: Change<T>): Promise<T>;
  /** With `uid`, that object alone: one of the same name that was made since stays, with `state_conflict`. */
  remove<T extends KubernetesObject>(
    resource: Resource<T>,
    name: string,
    options?: { uid?: string | undefined },
  ): Promise<void>;
  /**
   * What there is, and again whenever it changes: a list, then a watch from its resourceVersion, and a list anew where
   * the watch cannot go on. Ends when the signal aborts.
   */
  follow<T extends KubernetesObject>(
    resource: Resource<T>,
    query: ListQuery,
    signal: AbortSignal,
  ): AsyncGenerator<T[]>;
  /**
   * Asks for a pod to be moved, through the budgets that protect it. `blocked` is what the API server says when they do not
   * allow it now; `gone`: it is on its way out, or was replaced by another one.
   */
  evict(pod: KubernetesObject): Promise<{ state: 'gone' } | { state: 'blocked'; why: string }>;
  /** The last lines of a container's log; empty when there is none. */
  logs(pod: string, container: string, options: { lines: number; previous?: boolean }): Promise<string[]>;
  /** GET through the API server to a port of a pod, which nobody else need be able to reach. */
  askPod(
    pod: string,
    port: number | string,
    path: string,
    options: { timeout: number; signal: AbortSignal; scheme?: 'http' | 'https' },
  ): Promise<ProxyAnswer>;
  /**
   * Throws `permission_denied` with every one of the rights that is missing. Where the server tells nobody what they may do,
   * it is found out later.
   */
  requireRights(needed: readonly Right[], signal?: AbortSignal): Promise<void>;
  /** The server's version, such as 1.34: `{ major: 1, minor: 34 }`. */
  version(): Promise<{ major: number; minor: number }>;
  /** Milliseconds since the epoch by the server's clock, from the newest answer; undefined before the first. */
  now(): number | undefined;
  close(): void;
}

export interface ClientOptions {
  connection: Connection;
  namespace: string;
  log: Log;
  /** Milliseconds between tries; for tests. */
  pauses?: readonly number[];
  /** What is another client's: to close, and to know. */
  shared?: Shared;
}

/** Connections, and what is known of the server at their other end. */
interface Shared {
  transport: Transport;
  contact: {
    /** Whether it ever answered. */
    heard: boolean;
    /** It did not, and was given up. */
    gaveUp: boolean;
  };
}

const never = new AbortController().signal;

export function createClient(options: ClientOptions): KubernetesClient {
  const { connection, namespace, log } = options;
  const shared: Shared = options.shared ?? {
    transport: createTransport(connection),
    contact: { heard: false, gaveUp: false },
  };
  const { transport, contact } = shared;
  /** Server time minus the monotonic clock. */
  let clock: number | undefined;

  const now = () => (clock === undefined ? undefined : clock + performance.now());

  function noteTime(headers: Record<string, unknown>): void {
    const date = typeof headers['date'] === 'string' ? Date.parse(headers['date']) : Number.NaN;
    if (Number.isNaN(date)) return;
    // Dates have whole seconds: the latest beginning of a second that was seen is the nearest to the truth.
    const offset = date - performance.now();
    if (clock === undefined || offset > clock || offset < clock - 2_000) clock = offset;
  }

  function pathOf<T extends KubernetesObject>(resource: Resource<T>, name?: string, sub?: string): string {
    const root =
      resource.group === '' ? `/api/${resource.version}` : `/apis/${resource.group}/${resource.version}`;
    const within = resource.isClusterWide === true ? [] : ['namespaces', encodeURIComponent(namespace)];
    const parts = [root, ...within, resource.plural];
    if (name !== undefined) parts.push(encodeURIComponent(name));
    if (sub !== undefined) parts.push(sub);
    return parts.join('/');
  }

  function askedFor<T extends KubernetesObject>(
    verb: Asked['verb'],
    resource: Resource<T>,
    name?: string,
    sub?: string,
  ): Asked {
    return {
      verb,
      resource: sub === undefined ? resource.plural : `${resource.plural}/${sub}`,
      group: resource.group,
      kind: resource.kind,
      namespace: resource.isClusterWide === true ? '' : namespace,
      name,
    };
  }

  /** What came as an answer, whatever it says, came from somebody. */
  function noteAnswer(headers: Record<string, unknown>): void {
    contact.heard = true;
    noteTime(headers);
  }

  /** One try. Throws ApiError for all that is not 2xx. */
  async function once(
    asked: Asked,
    call: { method: string; path: string; body?: string; contentType?: string; timeout?: number },
    signal: AbortSignal,
  ): Promise<Answer> {
    let renewed = false;
    for (;;) {
      let answer: Answer;
      try {
        answer = await transport.send({ timeout: requestTimeout, ...call, signal });
      } catch (cause) {
        if (signal.aborted) throw cancelled(`asking ${connection.server}`);
        if (cause instanceof DeployError) throw cause;
        throw noAnswer(connection, asked, cause);
      }
      noteAnswer(answer.headers);
      if (answer.status >= 200 && answer.status < 300) return answer;
      if (answer.status === 401 && !renewed) {
        // A token that was cached may have ended; an exec plugin gives a new one.
        renewed = true;
        await connection.forget();
        continue;
      }
      throw refusal(connection, asked, answer, now() ?? Date.now());
    }
  }

  /**
   * Whether and how long to wait before the next try; undefined: this error is the last word. `began` is when the first one did
   * (`performance.now()`).
   */
  function pauseAfter(thrown: unknown, attempt: number, began: number): number | undefined {
    if (!(thrown instanceof ApiError) || isLasting(thrown) || thrown.reasonCode !== 'unreachable') {
      return undefined;
    }
    const isFirst = !contact.heard;
    const pause = (options.pauses ?? (isFirst ? firstPauses : pauses))[attempt];
    const isOver = isFirst && (contact.gaveUp || performance.now() - began > firstPatience);
    if (pause === undefined || isOver) {
      // Whoever asks next, such as for what serves now, is not to wait as long once more.
      contact.gaveUp = isFirst;
      return undefined;
    }
    // Jitter keeps many runs from coming back at once.
    return Math.min(longestWait, thrown.retryAfter ?? pause * (0.75 + Math.random() / 2));
  }

  async function waitBefore(
    thrown: unknown,
    pause: number,
    began: number,
    signal: AbortSignal,
  ): Promise<void> {
    const elapsed = performance.now() - began;
    const what = `waiting for ${connection.server}`;
    log.debug(`Asking again in ${Math.round(pause)} ms: ${messageOf(thrown)}`);
    // A moment's trouble is nobody's concern.
    if (elapsed + pause >= worthSaying) log.progress({ what, elapsed, detail: messageOf(thrown) });
    await sleep(pause, signal, what);
  }

  /** A read, or what may be done again: repeated whenever that can help. */
  async function read(
    asked: Asked,
    call: { method: string; path: string; body?: string; contentType?: string; timeout?: number },
    signal: AbortSignal,
  ): Promise<Answer> {
    const began = performance.now();
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await once(asked, call, signal);
      } catch (thrown) {
        const pause = pauseAfter(thrown, attempt, began);
        if (pause === undefined) throw thrown;
        await waitBefore(thrown, pause, began, signal);
      }
    }
  }

  /**
   * A write. What the server refused before it began is repeated as it is; after an unclear end, the object is read
   * back first: made, it is not made again; untouched, it is tried again.
   */
  async function write<T extends KubernetesObject>(
    resource: Resource<T>,
    name: string,
    asked: Asked,
    call: { method: string; path: string; body: string; contentType: string },
    rules: { isMade(current: T): boolean; isUntouched(current: T | undefined): boolean },
  ): Promise<T> {
    const began = performance.now();
    let unclear: unknown;
    for (let attempt = 0; ; attempt += 1) {
      try {
        return objectOf<T>(await once(asked, call, never), asked);
      } catch (thrown) {
        const conflict = statusOf(thrown) === 409;
        if (!conflict || unclear === undefined) {
          const pause = pauseAfter(thrown, attempt, began);
          if (pause === undefined) throw thrown;
          if (thrown instanceof ApiError && thrown.unclear) unclear = thrown;
          await waitBefore(thrown, pause, began, never);
          if (unclear === undefined) continue;
        }
        // Either its answer was lost, or somebody else was faster.
        const current = await find(resource, name, never);
        if (current !== undefined && rules.isMade(current)) {
          log.debug(`${asked.verb} ${asked.kind} ${name} had taken effect: ${messageOf(unclear)}`);
          return current;
        }
        if (conflict) throw thrown;
        if (!rules.isUntouched(current)) {
          throw new ApiError(
            'state_conflict',
            `${asked.kind} ${name} in namespace ${namespace} was changed by somebody else at the same time.`,
            { status: 409, unclear: false, remedy: 'Run this again: it will read it anew.' },
          );
        }
      }
    }
  }

  async function find<T extends KubernetesObject>(
    resource: Resource<T>,
    name: string,
    signal: AbortSignal = never,
  ): Promise<T | undefined> {
    try {
      return await get(resource, name, signal);
    } catch (thrown) {
      if (statusOf(thrown) === 404 && thrown instanceof DeployError && thrown.reasonCode === 'not_found')
        return undefined;
      throw thrown;
    }
  }

  async function get<T extends KubernetesObject>(
    resource: Resource<T>,
    name: string,
    signal: AbortSignal = never,
  ): Promise<T> {
    const asked = askedFor('get', resource, name);
    return objectOf<T>(await read(asked, { method: 'GET', path: pathOf(resource, name) }, signal), asked);
  }

  async function list<T extends KubernetesObject>(
    resource: Resource<T>,
    query: ListQuery = {},
    signal: AbortSignal = never,
  ): Promise<Listed<T>> {
    const asked = askedFor('list', resource);
    const path = `${pathOf(resource)}${queryOf({ ...query })}`;
    const value = parse(await read(asked, { method: 'GET', path }, signal), asked);
    const metadata = isRecord(value['metadata']) ? value['metadata'] : {};
    const items = Array.isArray(value['items']) ? (value['items'] as T[]) : [];
    return { items, resourceVersion: textAt(metadata, 'resourceVersion') };
  }

  async function* follow<T extends KubernetesObject>(
    resource: Resource<T>,
    query: ListQuery,
    signal: AbortSignal,
  ): AsyncGenerator<T[]> {
    const asked = askedFor('watch', resource);
    let began = performance.now();
    for (let failures = 0; !signal.aborted;) {
      const listed = await list(resource, query, signal);
      const known = new Map(listed.items.map((item) => [item.metadata.name, item]));
      yield [...known.values()];
      let { resourceVersion } = listed;
      // Within, the watch goes on from where it was cut; out of it, the list is made anew.
      for (let isCurrent = true; isCurrent && !signal.aborted;) {
        try {
          const path = `${pathOf(resource)}${queryOf({ ...query, watch: 'true', allowWatchBookmarks: 'true', resourceVersion, timeoutSeconds: '240' })}`;
          for await (const event of watch(asked, path, signal)) {
            failures = 0;
            const object = event.object as T;
            if (event.type === 'ERROR') {
              isCurrent = false;
              break;
            }
            resourceVersion = object.metadata.resourceVersion ?? resourceVersion;
            if (event.type === 'BOOKMARK') continue;
            if (event.type === 'DELETED') known.delete(object.metadata.name);
            else known.set(object.metadata.name, object);
            yield [...known.values()];
          }
        } catch (thrown) {
          if (signal.aborted) return;
          if (statusOf(thrown) === 410) {
            isCurrent = false;
            continue;
          }
          if (failures === 0) began = performance.now();
          const pause = pauseAfter(thrown, failures, began);
          if (pause === undefined) throw thrown;
          failures += 1;
          await waitBefore(thrown, pause, began, signal);
        }
      }
    }
  }

  /** The events of one watch, until the server ends it. */
  async function* watch(
    asked: Asked,
    path: string,
    signal: AbortSignal,
  ): AsyncGenerator<{ type: string; object: unknown }> {
    const controller = new AbortController();
    const either = AbortSignal.any([signal, controller.signal]);
    try {
      const answer = await transport
        .open({ method: 'GET', path, signal: either, timeout: requestTimeout })
        .catch((cause: unknown) => {
          throw cause instanceof DeployError ? cause : noAnswer(connection, asked, cause);
        });
      noteAnswer(answer.headers);
      if (answer.status !== 200) {
        const body = await textOf(answer.body, requestTimeout);
        throw refusal(connection, asked, { ...answer, body }, now() ?? Date.now());
      }
      let rest = '';
      answer.body.setEncoding('utf8');
      try {
        for await (const part of answer.body as AsyncIterable<string>) {
          const lines = (rest + part).split('\n');
          rest = lines.pop() ?? '';
          for (const line of lines) {
            if (line.trim() === '') continue;
            const event: unknown = JSON.parse(line);
            if (isRecord(event) && typeof event['type'] === 'string') {
              yield { type: event['type'], object: event['object'] };
            }
          }
        }
      } catch (cause) {
        throw cause instanceof DeployError ? cause : noAnswer(connection, asked, cause);
      }
    } finally {
      controller.abort();
    }
  }

  /** Asks what the user may do: nothing is kept of it, so it is repeated as a read is. */
  async function review(kind: string, spec: Record<string, unknown>, signal: AbortSignal): Promise<unknown> {
    const group = 'authorization.k8s.io';
    const resource = `${kind.toLowerCase()}s`;
    const asked: Asked = { verb: 'create', resource, group, kind, namespace };
    const body = JSON.stringify({ apiVersion: `${group}/v1`, kind, spec });
    const call = {
      method: 'POST',
      path: `/apis/${group}/v1/${resource}`,
      body,
      contentType: 'application/json',
    };
    return parse(await read(asked, call, signal), asked);
  }

  return {
    connection,
    namespace,
    get,
    find,
    list,
    follow,
    now,

    create(resource, object, isMade) {
      const { name } = object.metadata;
      const body = JSON.stringify({
        apiVersion: resource.group === '' ? resource.version : `${resource.group}/${resource.version}`,
        kind: resource.kind,
        ...object,
      });
      return write(
        resource,
        name,
        askedFor('create', resource, name),
        {
          method: 'POST',
          path: `${pathOf(resource)}${queryOf({ fieldManager })}`,
          body,
          contentType: 'application/json',
        },
        { isMade, isUntouched: (current) => current === undefined },
      );
    },

    change(resource, { patch, from, type = 'merge', isMade }) {
      const { name, resourceVersion } = from.metadata;
      const metadata = isRecord(patch['metadata']) ? patch['metadata'] : {};
      const body = JSON.stringify({ ...patch, metadata: { ...metadata, resourceVersion } });
      return write(
        resource,
        name,
        askedFor('patch', resource, name),
        {
          method: 'PATCH',
          path: `${pathOf(resource, name)}${queryOf({ fieldManager })}`,
          body,
          contentType:
            type === 'merge' ? 'application/merge-patch+json' : 'application/strategic-merge-patch+json',
        },
        { isMade, isUntouched: (current) => current?.metadata.resourceVersion === resourceVersion },
      );
    },

    async apply<T extends KubernetesObject>(
      resource: Resource<T>,
      object: T,
      { dryRun = false, force = false }: ApplyOptions = {},
    ) {
      const { name } = object.metadata;
      const query = queryOf({
        fieldManager,
        fieldValidation: 'Strict',
        force: force ? 'true' : undefined,
        dryRun: dryRun ? 'All' : undefined,
      });
      const asked = askedFor('patch', resource, name);
      const call = {
        method: 'PATCH',
        path: `${pathOf(resource, name)}${query}`,
        body: JSON.stringify(object),
        contentType: 'application/apply-patch+yaml',
      };
      // Where it rests on a version, one that took effect has moved that: applied again it is refused.
      if (dryRun || object.metadata.resourceVersion !== undefined) {
        return objectOf<T>(await read(asked, call, never), asked);
      }
      // What is to be made was not there before, so it is what was applied.
      return write<T>(resource, name, asked, call, { isMade: isOurs, isUntouched: () => true });
    },

    async served(apiVersion) {
      const [version = '', group = ''] = apiVersion.split('/').toReversed();
      const path = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
      const asked = discovery(apiVersion);
      try {
        const list = parse(await read(asked, { method: 'GET', path }, never), asked)['resources'];
        return (Array.isArray(list) ? list : []).flatMap((one: unknown): ServedKind[] => {
          if (!isRecord(one) || String(one['name']).includes('/')) return [];
          return [
            {
              group,
              version,
              plural: String(one['name']),
              kind: String(one['kind']),
              isClusterWide: one['namespaced'] !== true,
              verbs: Array.isArray(one['verbs']) ? one['verbs'].map(String) : [],
            },
          ];
        });
      } catch (thrown) {
        if (statusOf(thrown) === 404) return undefined;
        throw thrown;
      }
    },

    async servedVersions() {
      const asked = discovery('API groups');
      const { groups } = parse(await read(asked, { method: 'GET', path: '/apis' }, never), asked);
      const versions = (Array.isArray(groups) ? groups : []).flatMap((group: unknown) => {
        const list = isRecord(group) ? group['versions'] : undefined;
        return (Array.isArray(list) ? list : []).flatMap((one: unknown) =>
          isRecord(one) ? [String(one['groupVersion'])] : [],
        );
      });
      return ['v1', ...versions];
    },

    within: (other) => createClient({ ...options, namespace: other, shared }),

    async remove(resource, name, { uid } = {}) {
      const asked = askedFor('delete', resource, name);
      const body =
        uid === undefined
          ? {}
          : { body: JSON.stringify({ propagationPolicy: 'Background', preconditions: { uid } }) };
      const call = { method: 'DELETE', path: pathOf(resource, name), ...body };
      const began = performance.now();
      for (let attempt = 0; ; attempt += 1) {
        try {
          await once(asked, call, never);
          return;
        } catch (thrown) {
          if (statusOf(thrown) === 404) return;
          const pause = pauseAfter(thrown, attempt, began);
          if (pause === undefined) throw thrown;
          await waitBefore(thrown, pause, began, never);
          if (!(thrown instanceof ApiError) || !thrown.unclear) continue;
          // What is on its way out was deleted; asked again, it would be one of the same name that came after it.
          const there = (await find(resource, name, never))?.metadata;
          const isIt = there !== undefined && (uid === undefined || there.uid === uid);
          if (!isIt || there.deletionTimestamp !== undefined) return;
        }
      }
    },

    async evict(pod) {
      const { name, uid } = pod.metadata;
      const asked: Asked = {
        ...askedFor('create', resources.pods, name, 'eviction'),
        kind: 'the eviction of Pod',
      };
      const body = JSON.stringify({
        apiVersion: 'policy/v1',
        kind: 'Eviction',
        metadata: { name, namespace },
        deleteOptions: uid === undefined ? {} : { preconditions: { uid } },
      });
      const path = pathOf(resources.pods, name, 'eviction');
      const began = performance.now();
      for (let attempt = 0; ; attempt += 1) {
        try {
          await once(asked, { method: 'POST', path, body, contentType: 'application/json' }, never);
          return { state: 'gone' };
        } catch (thrown) {
          const status = statusOf(thrown);
          if (status === 404 || status === 409) return { state: 'gone' };
          if (status === 429 && /disruption budget/i.test(messageOf(thrown))) {
            return { state: 'blocked', why: messageOf(thrown) };
          }
          const pause = pauseAfter(thrown, attempt, began);
          if (pause === undefined) throw thrown;
          await waitBefore(thrown, pause, began, never);
          // Asked again, what took effect is a pod that is leaving, or not there.
          const current = await find(resources.pods, name, never);
          const isThere = current?.metadata.uid === uid && current?.metadata.deletionTimestamp === undefined;
          if (!isThere) return { state: 'gone' };
        }
      }
    },

    async logs(pod, container, { lines, previous = false }) {
      const asked: Asked = {
        verb: 'get',
        resource: 'pods/log',
        group: '',
        kind: 'the log of Pod',
        namespace,
        name: pod,
      };
      const query = queryOf({
        container,
        tailLines: String(lines),
        ...(previous ? { previous: 'true' } : {}),
      });
      const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}/log${query}`;
      try {
        const { body } = await read(asked, { method: 'GET', path }, never);
        return body.split('\n').filter((line) => line !== '');
      } catch (thrown) {
        // A container that never started has none.
        if (statusOf(thrown) === 400 || statusOf(thrown) === 404) return [];
        throw thrown;
      }
    },

    async askPod(pod, port, path, { timeout, signal, scheme }) {
      const asked: Asked = {
        verb: 'get',
        resource: 'pods/proxy',
        group: '',
        kind: 'port ' + port + ' of Pod',
        namespace,
        name: pod,
      };
      const target = `${scheme === 'https' ? 'https:' : ''}${pod}:${port}`;
      const full = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${target}/proxy${path.startsWith('/') ? path : `/${path}`}`;
      let answer: Answer;
      try {
        answer = await transport.send({ method: 'GET', path: full, signal, timeout });
      } catch (cause) {
        if (signal.aborted) throw cancelled(`asking ${pod}`);
        throw cause instanceof DeployError ? cause : noAnswer(connection, asked, cause);
      }
      noteAnswer(answer.headers);
      // The pod's own 401, 403 and 404 are its answers; the API server's come as a Status.
      const isOwn = /"kind":\s*"Status"/.test(answer.body.slice(0, 2_000));
      if ((answer.status === 401 || answer.status === 403) && isOwn) {
        throw refusal(connection, asked, answer, now() ?? Date.now());
      }
      return { status: answer.status, body: answer.body, headers: answer.headers };
    },

    async requireRights(needed, signal = never) {
      let missing: Right[];
      try {
        const rules = await review('SelfSubjectRulesReview', { namespace }, signal);
        // The list lacks what an authorizer of the cluster's own gives: only a question about the one right is sure.
        const answers = await Promise.all(
          notGranted(rules, needed).map(async (right) => {
            const [resource, subresource] = right.resource.split('/');
            const { verb, group } = right;
            const attributes = { namespace, verb, group, resource, subresource };
            const answer = await review(
              'SelfSubjectAccessReview',
              { resourceAttributes: attributes },
              signal,
            );
            return isAllowed(answer) ? [] : [right];
          }),
        );
        missing = answers.flat();
      } catch (thrown) {
        if (statusOf(thrown) !== 403 && statusOf(thrown) !== 404) throw thrown;
        log.debug(`The rights cannot be asked for: ${messageOf(thrown)}`);
        return;
      }
      if (missing.length > 0) throw withoutRights(namespace, connection.user, missing);
    },

    async version() {
      const asked: Asked = { verb: 'get', resource: '/version', group: '', kind: 'the version', namespace };
      const value = parse(await read(asked, { method: 'GET', path: '/version' }, never), asked);
      // Some distributions write `29+`.
      const numberOf = (text: unknown) => Number.parseInt(String(text), 10) || 0;
      return { major: numberOf(value['major']), minor: numberOf(value['minor']) };
    },

    close() {
      if (options.shared === undefined) transport.close();
    },
  };
}

/** What is asked of the API about itself, which everybody who is known may read. */
function discovery(what: string): Asked {
  return { verb: 'get', resource: what, group: '', kind: what, namespace: '' };
}

function queryOf(values: Record<string, string | undefined>): string {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(values))
    if (value !== undefined && value !== '') query.set(key, value);
  const text = query.toString();
  return text === '' ? '' : `?${text}`;
}

function parse({ body }: Answer, asked: Asked): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch (cause) {
    throw new DeployError(
      'unreachable',
      `What answers to ${asked.verb} ${asked.resource} is no API server: it is not JSON.`,
      {
        remedy:
          'See whether the server of the kubeconfig is an API server, or a proxy or login page before it.',
        cause,
      },
    );
  }
  if (!isRecord(value))
    throw new DeployError('unreachable', `The answer to ${asked.verb} ${asked.resource} is no object.`);
  return value;
}

/** The API server validates what it stores; that it is an object with a name is all that is checked here. */
function objectOf<T extends KubernetesObject>(answer: Answer, asked: Asked): T {
  const value = parse(answer, asked);
  if (!isRecord(value['metadata'])) {
    throw new DeployError('unreachable', `The answer to ${asked.verb} ${asked.resource} has no metadata.`);
  }
  return value as unknown as T;
}
