import { textAt, DeployError, digestOf, isRecord } from '@deploy-actions/core';
import type { StateStore, Stored } from '@deploy-actions/release-engine';
import type { KubernetesClient } from './client.ts';
import { statusOf } from './errors.ts';
import { type ConfigMap, type KubernetesObject, type Lease, type Resource, resources } from './objects.ts';
import type { Right } from './rights.ts';

const schema = 1;

/** Milliseconds after which a lease that nobody renews may be taken over; shown in the Lease for people and tools. */
const shownLifetime = 30_000;

/** Where versions of new documents begin to count: `leaseTransitions` has 32 bits. */
const epoch = Date.UTC(2020, 0, 1);

const documentKey = 'document';
const documentAnnotation = 'deploy-actions.dev/document';
const managedBy = { 'app.kubernetes.io/managed-by': 'deploy-actions' };

/** How often a write is tried again when a heartbeat moved the object under it. */
const attempts = 8;

interface Document {
  schema: number;
  version: number;
  value: unknown;
  /** Milliseconds since the epoch by the API server's clock. */
  at: number;
}

/** How a document lies in an object of the API. */
interface Form<T extends KubernetesObject> {
  resource: Resource<T>;
  textOf(object: T): string | undefined;
  object(name: string, document: Document): T;
  patch(document: Document): Record<string, unknown>;
}

const inConfigMap: Form<ConfigMap> = {
  resource: resources.configMaps,
  textOf: ({ data }) => data?.[documentKey],
  object: (name, document) => ({
    metadata: { name, labels: managedBy },
    data: { [documentKey]: JSON.stringify(document) },
  }),
  patch: (document) => ({ data: { [documentKey]: JSON.stringify(document) } }),
};

/** RFC 3339 with microseconds, as the API has it. */
function microTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace('Z', '000Z');
}

/**
 * The lock as a Lease of coordination.k8s.io: `leaseTransitions` is the document's version and so the fencing token,
 * `renewTime` the last sign of life. The document itself is an annotation.
 */
const inLease: Form<Lease> = {
  resource: resources.leases,
  textOf: ({ metadata }) => metadata.annotations?.[documentAnnotation],
  object: (name, document) => ({
    metadata: { name, labels: managedBy, annotations: { [documentAnnotation]: JSON.stringify(document) } },
    spec: leaseSpec(document),
  }),
  patch: (document) => ({
    metadata: { annotations: { [documentAnnotation]: JSON.stringify(document) } },
    spec: leaseSpec(document),
  }),
};

function leaseSpec({ value, version, at }: Document): NonNullable<Lease['spec']> {
  const holder = isRecord(value) && isRecord(value['holder']) ? textAt(value['holder'], 'id') : null;
  const lifetime = isRecord(value) && typeof value['ttl'] === 'number' ? value['ttl'] : shownLifetime;
  return {
    holderIdentity: holder,
    leaseDurationSeconds: holder === null ? null : Math.ceil(lifetime / 1_000),
    ...(holder === null ? {} : { acquireTime: microTime(at) }),
    renewTime: microTime(at),
    leaseTransitions: version,
  };
}

/** What the store takes. */
export const storeRights: readonly Right[] = [
  ...(['get', 'create', 'patch'] as const).map((verb) => ({ verb, group: '', resource: 'configmaps' })),
  ...(['get', 'create', 'patch'] as const).map((verb) => ({
    verb,
    group: 'coordination.k8s.io',
    resource: 'leases',
  })),
];

/** The part of object names that says whose state it is. */
export function stateName(...parts: string[]): string {
  return ['deploy-actions', ...parts].join('.');
}

/**
 * A StateStore in the objects of a namespace: a ConfigMap for each document, and a Lease for the lock. The version is
 * kept in the object; a write rests on the resourceVersion at which that version was seen, so of two writers one gets
 * a conflict. Ages are by the API server's clock.
 *
 * A document that is made (anew) begins with a version that is the server's time in seconds since 2020: whoever deletes a Lease
 * does not make the tokens of the next holders smaller than those that routers have seen.
 *
 * Errors: `state_conflict`, `state_too_new`, `state_corrupt`, and those of the client.
 */
export function createKubernetesStore(client: KubernetesClient, name: string): StateStore {
  const location = `namespace ${client.namespace} (${name}.*)`;

  function nameOf(key: string): string {
    if (!/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(key)) {
      throw new DeployError('internal', `"${key}" cannot be a key of the state store.`, {
        remedy: 'Keys are lower-case letters, digits and hyphens, such as "lease" or "journal-production".',
      });
    }
    return `${name}.${key}`;
  }

  const now = () => Math.round(client.now() ?? Date.now());

  /**
   * Each object as it was read or written last, by key. A write that expects its version needs no other look: it rests on the
   * resourceVersion, and is refused where the object has moved.
   */
  const known = new Map<string, { object: KubernetesObject; document: Document }>();

  return {
    location,
    read: (key) => (key === 'lease' ? read(inLease, key) : read(inConfigMap, key)),
    write: (key, value, expected) =>
      key === 'lease' ? write(inLease, key, value, expected) : write(inConfigMap, key, value, expected),
    touch: (key, version) =>
      key === 'lease' ? touch(inLease, key, version) : touch(inConfigMap, key, version),
    async age(key, version) {
      const { document } = await (key === 'lease' ? see(inLease, key) : see(inConfigMap, key));
      if (document?.version !== version) throw conflict(key, version, document?.version ?? 0);
      return Math.max(0, now() - document.at);
    },
  };

  async function see<T extends KubernetesObject>(
    form: Form<T>,
    key: string,
  ): Promise<{ object?: T; document?: Document }> {
    const object = await client.find(form.resource, nameOf(key));
    known.delete(key);
    return object === undefined ? {} : keep(form, key, object);
  }

  function keep<T extends KubernetesObject>(
    form: Form<T>,
    key: string,
    object: T,
  ): { object: T; document: Document } {
    const document = parse(form.textOf(object), `${form.resource.kind} ${nameOf(key)}`);
    known.set(key, { object, document });
    return { object, document };
  }

  /** What is known of the document where that is the version that is expected; a key has objects of one kind. */
  function expectedOne<T extends KubernetesObject>(
    key: string,
    expected: number,
  ): { object?: T; document?: Document } | undefined {
    const last = known.get(key);
    return last?.document.version === expected
      ? { object: last.object as T, document: last.document }
      : undefined;
  }

  async function read<T extends KubernetesObject>(form: Form<T>, key: string): Promise<Stored<unknown>> {
    const { document } = await see(form, key);
    return { value: document?.value ?? null, version: document?.version ?? 0 };
  }

  async function write<T extends KubernetesObject>(
    form: Form<T>,
    key: string,
    value: unknown,
    expected: number,
  ): Promise<number> {
    for (let attempt = 1; ; attempt += 1) {
      const remembered = attempt === 1 ? expectedOne<T>(key, expected) : undefined;
      const { object, document } = remembered ?? (await see(form, key));
      const current = document?.version ?? 0;
      if (current !== expected) throw conflict(key, expected, current);
      const version = object === undefined ? Math.floor((now() - epoch) / 1_000) : expected + 1;
      const next: Document = { schema, version, value, at: now() };
      const digest = digestOf(next);
      const isMade = (there: T) => digestOf(parse(form.textOf(there), key)) === digest;
      try {
        const written = await (object === undefined
          ? client.create(form.resource, form.object(nameOf(key), next), isMade)
          : client.change(form.resource, { patch: form.patch(next), from: object, isMade }));
        keep(form, key, written);
        return version;
      } catch (thrown) {
        // A heartbeat moves the object without changing its version, and what was remembered may be gone: the next look tells.
        const isOld = statusOf(thrown) === 409 || (remembered !== undefined && statusOf(thrown) === 404);
        if (!isOld || attempt >= attempts) throw thrown;
      }
    }
  }

  async function touch<T extends KubernetesObject>(
    form: Form<T>,
    key: string,
    version: number,
  ): Promise<void> {
    if (version === 0) return;
    for (let attempt = 1; ; attempt += 1) {
      const { object, document } = await see(form, key);
      if (object === undefined || document?.version !== version) return;
      const at = Math.max(now(), document.at);
      const patch = form.patch({ ...document, at });
      try {
        await client.change(form.resource, {
          patch,
          from: object,
          isMade: (there) => (parse(form.textOf(there), key)?.at ?? 0) >= at,
        });
        return;
      } catch (thrown) {
        if (statusOf(thrown) !== 409 || attempt >= attempts) throw thrown;
      }
    }
  }

  function conflict(key: string, expected: number, current: number): DeployError {
    return new DeployError(
      'state_conflict',
      `${nameOf(key)} in namespace ${client.namespace} is at version ${current}, not at ${expected}.`,
      { remedy: 'Another run wrote to it. Read it again and decide anew.' },
    );
  }
}

function parse(text: string | undefined, what: string): Document {
  let value: unknown;
  try {
    value = JSON.parse(text ?? '');
  } catch (cause) {
    throw corrupt(what, 'holds no document of this suite', cause);
  }
  if (!isRecord(value) || !Number.isSafeInteger(value['schema'])) throw corrupt(what, 'has no schema number');
  if (Number(value['schema']) > schema) {
    throw new DeployError(
      'state_too_new',
      `${what} has schema ${String(value['schema'])}; this version of the suite reads up to ${schema}.`,
      { remedy: 'Use the version of the suite that wrote it, or a newer one.' },
    );
  }
  if (!Number.isSafeInteger(value['version']) || typeof value['at'] !== 'number') {
    throw corrupt(what, 'has no version or time');
  }
  return {
    schema: Number(value['schema']),
    version: Number(value['version']),
    value: value['value'] ?? null,
    at: value['at'],
  };
}

function corrupt(what: string, why: string, cause?: unknown): DeployError {
  return new DeployError('state_corrupt', `${what} ${why}.`, {
    remedy: 'Look at it; delete it to begin anew, after checking what serves now.',
    cause,
  });
}
