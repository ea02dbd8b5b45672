import { codeOf, DeployError, isRecord, messageOf, type ReasonCode } from '@deploy-actions/core';
import type { Connection } from './kubeconfig.ts';
import type { Status } from './objects.ts';
import { type Right, ruleFor } from './rights.ts';

/** What was asked, in the words of a Role. */
export interface Asked extends Right {
  kind: string;
  /** Empty for what is in none. */
  namespace: string;
  name?: string | undefined;
}

/** A refusal or failure of the API server, explained. */
export class ApiError extends DeployError {
  /** HTTP status; 0 when no answer came. */
  readonly status: number;
  /** Milliseconds that the server asks to wait before the next try. */
  readonly retryAfter: number | undefined;
  /** Whether the request may have taken effect all the same. */
  readonly unclear: boolean;
  /** The fields that server-side apply would take away from others. */
  readonly conflicts: FieldConflict[];
  /** The fields that the server refuses, with its words. */
  readonly causes: { field: string; message: string }[];

  constructor(
    reasonCode: ReasonCode,
    message: string,
    options: {
      status: number;
      unclear: boolean;
      retryAfter?: number | undefined;
      conflicts?: FieldConflict[];
      causes?: { field: string; message: string }[];
      remedy?: string;
      details?: string[];
      cause?: unknown;
    },
  ) {
    super(reasonCode, message, options);
    this.name = 'ApiError';
    this.status = options.status;
    this.retryAfter = options.retryAfter;
    this.unclear = options.unclear;
    this.conflicts = options.conflicts ?? [];
    this.causes = options.causes ?? [];
  }
}

/** A field that another manager set, to another value. */
export interface FieldConflict {
  /** `.spec.replicas` */
  field: string;
  manager: string;
}

function conflictsIn(status: Status | undefined): FieldConflict[] {
  return (status?.details?.causes ?? []).flatMap(({ reason, field = '', message = '' }) => {
    // `conflict with "kubectl" using apps/v1`, or without the version.
    const manager = /^conflict with "(.*?)"/.exec(message)?.[1] ?? message;
    return reason === 'FieldManagerConflict' ? [{ field, manager }] : [];
  });
}

export function statusOf(thrown: unknown): number | undefined {
  return thrown instanceof ApiError ? thrown.status : undefined;
}

/** `Deployment helpdesk-blue in production`. */
export function describeObject({ kind, name, namespace }: Asked): string {
  const where = namespace === '' ? '' : ` in namespace ${namespace}`;
  return name === undefined ? `${kind} objects${where}` : `${kind} ${name}${where}`;
}

function asStatus(body: string): Status | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return isRecord(value) && value['kind'] === 'Status' ? (value as unknown as Status) : undefined;
  } catch {
    return undefined;
  }
}

/** When a bearer token says that it is over, if it is a JWT: its claims are no secret, its signature is not shown. */
function expiryOf(authorization: string | undefined): string | undefined {
  const claims = /^Bearer [\w-]+\.([\w-]+)\.[\w-]+$/.exec(authorization ?? '')?.[1];
  if (claims === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(Buffer.from(claims, 'base64url').toString('utf8'));
    const expires = isRecord(value) ? value['exp'] : undefined;
    return typeof expires === 'number' ? new Date(expires * 1_000).toISOString() : undefined;
  } catch {
    return undefined;
  }
}

/** Milliseconds of a Retry-After header: seconds or a date, by the server's own clock. */
export function retryAfterOf(headers: Record<string, unknown>, now: number): number | undefined {
  const value = headers['retry-after'];
  if (typeof value !== 'string' || value.trim() === '') return undefined;
  if (/^\d+$/.test(value.trim())) return Number(value.trim()) * 1_000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

export interface RefusedAnswer {
  status: number;
  body: string;
  headers: Record<string, unknown>;
  /** The authorization header that was sent. */
  authorization: string | undefined;
}

/**
 * The fields of an object that server-side apply cannot read as its kind says. The server answers 500 to it, with one line for
 * each: `failed to create typed patch object (shop/web; apps/v1, Kind=Deployment): .spec.tmplate: field not declared in schema`.
 */
function untypedFields(text: string): { field: string; message: string }[] {
  if (!text.startsWith('failed to create typed patch object')) return [];
  return [...text.matchAll(/(?:^|\s)(\.\S+?): (.+?)$/gm)].map(([, field = '', message = '']) => ({
    field,
    message,
  }));
}

/** The error that an answer other than 2xx is. */
export function refusal(connection: Connection, asked: Asked, answer: RefusedAnswer, now: number): ApiError {
  const said = asStatus(answer.body);
  const text = (said?.message ?? answer.body.trim().slice(0, 300)) || 'no explanation';
  const what = describeObject(asked);
  const retryAfter = retryAfterOf(answer.headers, now);
  const { status } = answer;
  const error = (
    reasonCode: ReasonCode,
    message: string,
    remedy?: string,
    more: { unclear?: boolean; details?: string[]; causes?: { field: string; message: string }[] } = {},
  ) =>
    new ApiError(reasonCode, message, {
      status,
      retryAfter,
      unclear: more.unclear ?? false,
      ...(remedy === undefined ? {} : { remedy }),
      ...(more.details === undefined ? {} : { details: more.details }),
      ...(more.causes === undefined ? {} : { causes: more.causes }),
    });

  switch (status) {
    case 401: {
      const expiry = expiryOf(answer.authorization);
      const expired =
        expiry === undefined ? 'they are wrong or have expired' : `the token is valid until ${expiry}`;
      return error(
        'permission_denied',
        `${connection.server} does not know the credentials of user "${connection.user}" (context ${connection.context}): ${expired}.`,
        'Renew the token or log in again in the step before, and see that the kubeconfig is for this cluster.',
      );
    }
    case 403:
      if (/exceeded quota/.test(text)) {
        return error(
          'permission_denied',
          `The quota of namespace ${asked.namespace} is used up: ${text}`,
          'Raise the quota, or remove what is not needed any more.',
        );
      }
      if (/admission|denied the request/.test(text)) {
        return error(
          'permission_denied',
          `A policy of the cluster refuses to ${asked.verb} ${what}: ${text}`,
          'Correct the object, or have the policy changed.',
        );
      }
      return error(
        'permission_denied',
        `The right to ${asked.verb} ${asked.resource}${asked.namespace === '' ? '' : ` in namespace ${asked.namespace}`} is missing: ${text}`,
        `Add to the ${asked.namespace === '' ? 'ClusterRole' : 'Role'} of the user that deploys:\n${ruleFor(asked)}`,
      );
    case 404:
      if (/could not find the requested resource/.test(text)) {
        return error(
          'unsupported',
          `${connection.server} serves no ${asked.resource}${asked.group === '' ? '' : `.${asked.group}`}.`,
          'Use a cluster that does, or install what defines this kind.',
        );
      }
      if (/^namespaces ".*" not found/.test(text)) {
        return error(
          'not_found',
          `There is no namespace ${asked.namespace} on ${connection.server}.`,
          'Correct `namespace`, or make it first.',
        );
      }
      return error(
        'not_found',
        `There is no ${what} on ${connection.server}.`,
        'Correct the name or `namespace`, and see that the context is for this cluster.',
      );
    case 409: {
      const conflicts = conflictsIn(said);
      if (conflicts.length > 0) {
        const fields = conflicts.map(({ field, manager }) => `${field} is set by ${manager}`);
        return new ApiError('state_conflict', `${what} has fields of others: ${fields.join('; ')}`, {
          status,
          unclear: false,
          conflicts,
          details: fields,
          remedy: 'Leave these fields out, or take them over.',
        });
      }
      return error(
        'state_conflict',
        `${what} was changed by somebody else at the same time: ${text}`,
        'Run this again: it will read it anew.',
      );
    }
    case 410:
      return error('state_conflict', `${what}: what was read is too old to go on from: ${text}`);
    case 400:
    case 413:
    case 415:
    case 422: {
      const causes = (said?.details?.causes ?? []).map(
        ({ field, message }) => `${field ?? 'the object'}: ${message ?? ''}`,
      );
      const fields = (said?.details?.causes ?? []).flatMap(({ field, message = '' }) =>
        field === undefined || field === '' ? [] : [{ field, message }],
      );
      return error(
        'invalid_input',
        `The API server refuses ${what}: ${causes.length > 0 ? causes.join('; ') : text}`,
        'Correct the fields that are named; nothing was changed.',
        { details: causes, causes: fields },
      );
    }
    case 429:
      return error(
        'unreachable',
        `${connection.server} is too busy: ${text}`,
        'Run it again later, or have its priority raised (API Priority and Fairness).',
      );
    default: {
      const untyped = untypedFields(text);
      if (untyped.length > 0) {
        return error(
          'invalid_input',
          `The API server refuses ${what}: ${untyped.map(({ field, message }) => `${field}: ${message}`).join('; ')}`,
          'Correct the fields that are named; nothing was changed.',
          { causes: untyped },
        );
      }
      return error(
        'unreachable',
        `${connection.server} answered ${status} to ${asked.verb} ${what}: ${text}`,
        'See whether the API server and its webhooks are well.',
        // With Retry-After the server says that it did not even begin.
        { unclear: !(status === 503 && retryAfter !== undefined) },
      );
    }
  }
}

const tlsProblems = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_HAS_EXPIRED',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'ERR_SSL_WRONG_VERSION_NUMBER',
]);

/** Failures before a byte of the request can have reached the server. */
const neverSent = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'ENOTCONN',
  ...tlsProblems,
]);

/** Whether trying again can help: a name or a certificate that is wrong stays wrong. */
export function isLasting(thrown: unknown): boolean {
  const code = codeOf(thrown instanceof ApiError ? thrown.cause : thrown) ?? '';
  return code === 'ENOTFOUND' || tlsProblems.has(code);
}

/** The error that no answer, or half of one, is. */
export function noAnswer(connection: Connection, asked: Asked, cause: unknown): ApiError {
  const code = codeOf(cause) ?? '';
  const inPrivate =
    'A runner that GitHub hosts reaches only what the internet reaches: let it in, or use a runner in the network.';
  const remedy = tlsProblems.has(code)
    ? 'Correct `certificate-authority-data` of the kubeconfig (or `tls-server-name`): it has to be of the CA that signed the API server’s certificate.'
    : `See whether the server of the kubeconfig is right and can be reached from the runner. ${inPrivate}`;
  return new ApiError(
    'unreachable',
    `${connection.server} (context ${connection.context}) ${tlsProblems.has(code) ? 'is not trusted' : 'did not answer'} to ${asked.verb} ${describeObject(asked)}: ${messageOf(cause)}`,
    { status: 0, unclear: !neverSent.has(code), remedy, cause },
  );
}
