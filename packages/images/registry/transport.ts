import { cancelled, DeployError, formatDuration, type Log, messageOf, sleep } from '@deploy-actions/core';
import { type Challenge, parseChallenge } from './challenge.ts';
import type { RegistryCredential, RegistryCredentials } from './credential.ts';
import { nextAttempt, type RegistryPatience, registryPatience, retryAfter } from './retry.ts';

export interface RegistryOptions {
  credentials: RegistryCredentials;
  log: Log;
  signal: AbortSignal;
  /** Told every token and password before it is used. */
  mask(secret: string): void;
  fetch?: typeof fetch;
  /** Registries that are spoken to over plain HTTP though they are not on loopback. */
  insecure?: readonly string[];
  /** Milliseconds for one exchange; default 60 s. */
  timeout?: number;
  patience?: RegistryPatience;
  random?(): number;
}

export interface Exchange {
  method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  registry: string;
  /** Path and query below the registry's root, or the whole URL that the registry gave. */
  target: string | URL;
  /** `repository:acme/backend:pull,push`. Several are separated by spaces. */
  scope: string;
  headers?: Record<string, string>;
  body?: Buffer;
  /** Bytes of the answer that are read at most. */
  maxBytes?: number;
  /** For messages: `reading ghcr.io/acme/backend:1.4.2`. */
  what: string;
}

export interface Answer {
  status: number;
  headers: Headers;
  body: Buffer;
  /** What was asked, after redirects. */
  url: URL;
}

/**
 * One exchange with a registry: logged in as the registry asks for it, tried again after 429, 5xx and broken connections. Throws
 * `permission_denied` for 401 and 403, `unreachable` when patience is over, `cancelled`. Every other status is an answer.
 */
export type Transport = (exchange: Exchange) => Promise<Answer>;

const hops = 5;

/** What is plain HTTP: a registry on this machine, and one that was named for it. */
export function isPlain(registry: string, insecure: readonly string[] = []): boolean {
  const host = registry.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
  return (
    host === 'localhost' ||
    host === '::1' ||
    /^127(?:\.\d{1,3}){3}$/.test(host) ||
    insecure.includes(registry)
  );
}

/** The address of a registry; Docker Hub answers at another name than its references have. */
export function registryUrl(registry: string, insecure: readonly string[] = []): URL {
  const host = registry === 'docker.io' ? 'registry-1.docker.io' : registry;
  return new URL(`${isPlain(registry, insecure) ? 'http' : 'https'}://${host}`);
}

/** What one attempt came to, when it is no answer. */
class Passing extends Error {
  readonly asked: number | undefined;

  constructor(message: string, options: { asked?: number | undefined; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.asked = options.asked;
  }
}

export function createTransport(options: RegistryOptions): Transport {
  const { log, signal, insecure = [], timeout = 60_000, patience = registryPatience } = options;
  const { random = Math.random } = options;
  const send = options.fetch ?? fetch;
  /** By registry and scope: what the Authorization header was when it last was accepted. */
  const authorizations = new Map<string, string>();

  async function exchangeOnce(url: URL, init: RequestInit, maxBytes: number): Promise<Answer> {
    const limit = AbortSignal.timeout(timeout);
    try {
      const response = await send(url, {
        ...init,
        redirect: 'manual',
        signal: AbortSignal.any([signal, limit]),
      });
      return {
        status: response.status,
        headers: response.headers,
        body: await read(response, maxBytes),
        url,
      };
    } catch (thrown) {
      if (signal.aborted) throw cancelled(`speaking to ${url.host}`);
      if (thrown instanceof DeployError) throw thrown;
      const said = limit.aborted ? `no whole answer within ${formatDuration(timeout)}` : causeOf(thrown);
      throw new Passing(said, { cause: thrown });
    }
  }

  /**
   * Reads follow redirects, to the storage of blobs above all. That is another host, which has no business with the credentials
   * of the registry; the address itself is signed.
   */
  async function follow(exchange: Exchange, first: URL, headers: Record<string, string>): Promise<Answer> {
    const { method, registry, maxBytes = 8 * 1024 * 1024, body } = exchange;
    let url = first;
    for (let hop = 0; ; hop += 1) {
      const own = url.origin === first.origin;
      const { authorization: _withheld, ...bare } = headers;
      const answer = await exchangeOnce(
        url,
        { method, headers: own ? headers : bare, ...(body !== undefined && { body: new Uint8Array(body) }) },
        maxBytes,
      );
      const location = answer.headers.get('location');
      const redirected = [301, 302, 303, 307, 308].includes(answer.status) && location !== null;
      if (!redirected || (method !== 'GET' && method !== 'HEAD')) return answer;
      if (hop === hops || !URL.canParse(location, url.href)) {
        throw new DeployError('unreachable', `${registry} redirects ${exchange.what} to nowhere.`, {
          remedy: 'Look at the configuration of the registry and of what stands before it.',
        });
      }
      url = new URL(location, url);
      refusePlain(url, registry, insecure);
    }
  }

  /** An Authorization header that answers the challenge; undefined where there is nothing to answer it with. */
  async function authorize(challenge: Challenge, exchange: Exchange): Promise<string | undefined> {
    const credential = await options.credentials(exchange.registry);
    for (const secret of secretsOf(credential)) options.mask(secret);
    if (credential?.kind === 'bearer') return `Bearer ${credential.token}`;
    if (challenge.scheme === 'basic') {
      return credential?.kind === 'password' ? basic(credential, options.mask) : undefined;
    }
    const scopes = [...new Set([...exchange.scope.split(' '), ...challenge.scope.split(' ')])].filter(
      (scope) => scope !== '',
    );
    const realm = new URL(challenge.realm);
    refusePlain(realm, exchange.registry, insecure);
    const { url, init } = tokenRequest(realm, challenge.service, scopes, credential, options.mask);
    const answer = await exchangeOnce(url, init, 1024 * 1024);
    if (answer.status === 429 || answer.status >= 500) throw passing(answer, realm.host);
    if (answer.status !== 200) throw denied(exchange, answer, credential, `${realm.host} gives no token`);
    const token = tokenOf(answer.body);
    if (token === undefined) throw new Passing(`${realm.host} answers with no token`);
    options.mask(token);
    return `Bearer ${token}`;
  }

  async function attempt(exchange: Exchange): Promise<Answer> {
    const { registry, scope, target } = exchange;
    const root = registryUrl(registry, insecure);
    const url = typeof target === 'string' ? new URL(target, root) : target;
    refusePlain(url, registry, insecure);
    // An upload may be sent to another host; only the registry itself gets what it asked for.
    const isOwn = url.origin === root.origin;
    const key = `${registry} ${scope}`;
    const known = isOwn ? authorizations.get(key) : undefined;
    const headers = { 'user-agent': 'deploy-actions', ...exchange.headers };
    let answer = await follow(exchange, url, {
      ...headers,
      ...(known !== undefined && { authorization: known }),
    });
    if (answer.status === 401 && isOwn) {
      authorizations.delete(key);
      const challenge = parseChallenge(answer.headers.get('www-authenticate'));
      const fresh = challenge === undefined ? undefined : await authorize(challenge, exchange);
      if (fresh !== undefined) {
        answer = await follow(exchange, url, { ...headers, authorization: fresh });
        if (answer.status !== 401) authorizations.set(key, fresh);
      }
    }
    if (answer.status === 401 || answer.status === 403) {
      throw denied(exchange, answer, await options.credentials(registry), `${registry} refuses`);
    }
    if (answer.status === 408 || answer.status === 429 || answer.status >= 500)
      throw passing(answer, registry);
    return answer;
  }

  return async (exchange) => {
    const began = performance.now();
    let waited = 0;
    for (let number = 1; ; number += 1) {
      try {
        return await attempt(exchange);
      } catch (thrown) {
        if (!(thrown instanceof Passing)) throw thrown;
        const next = nextAttempt({ number, waited, asked: thrown.asked }, patience, random());
        if ('why' in next) {
          throw new DeployError(
            'unreachable',
            `${exchange.registry} did not answer as a registry does while ${exchange.what}: ${thrown.message} (${next.why}).`,
            { remedy: remedyOf(thrown), cause: thrown },
          );
        }
        log.progress({
          what: `waiting for ${exchange.registry}`,
          elapsed: performance.now() - began,
          remaining: Math.max(0, patience.total - waited),
          detail: `${exchange.what}: ${thrown.message}; again in ${formatDuration(next.wait)}`,
        });
        await sleep(next.wait, signal, exchange.what);
        waited += next.wait;
      }
    }
  };
}

function passing(answer: Answer, host: string): Passing {
  return new Passing(`${host} answers ${answer.status}${saidBy(answer)}`, {
    asked: retryAfter(answer.headers.get('retry-after'), Date.now()),
  });
}

function remedyOf(failure: Passing): string {
  return / answers 429/.test(failure.message)
    ? 'The registry limits how often it is asked. Run the step again later; logged in, the limit is higher.'
    : 'Run the step again; what was done stays and is not done twice. If it stays like this, look at the status of the registry.';
}

/** What the registry says about an error: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes */
export function saidBy(answer: Answer): string {
  try {
    const parsed = JSON.parse(answer.body.toString('utf8')) as {
      errors?: { code?: unknown; message?: unknown }[];
    };
    const said = (parsed.errors ?? [])
      .map(({ code, message }) => [code, message].filter((part) => typeof part === 'string').join(' '))
      .filter((part) => part !== '');
    return said.length === 0 ? '' : `: ${said.join('; ').replace(/\s+/g, ' ').slice(0, 300)}`;
  } catch {
    return '';
  }
}

function denied(
  exchange: Exchange,
  answer: Answer,
  credential: RegistryCredential | undefined,
  who: string,
): DeployError {
  const { registry } = exchange;
  const rights = /push/.test(exchange.scope) ? 'write to' : 'read';
  const repository = /repository:([^: ]+)/.exec(exchange.scope)?.[1] ?? registry;
  return new DeployError(
    'permission_denied',
    `${who} while ${exchange.what}: ${answer.status}${saidBy(answer)}.`,
    {
      remedy:
        credential === undefined
          ? `Log in to ${registry} before this step, or give \`username\` and \`password\`.`
          : `Give credentials of ${registry} that may ${rights} ${repository}.`,
    },
  );
}

function refusePlain(url: URL, registry: string, insecure: readonly string[]): void {
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isPlain(registry, insecure))) return;
  throw new DeployError('invalid_input', `${registry} leads to ${url.origin}, which is not https.`, {
    remedy:
      'Plain http is for registries on this machine, and for those that are named in `insecure-registries`.',
  });
}

function basic({ username, password }: { username: string; password: string }, mask: (text: string) => void) {
  const encoded = Buffer.from(`${username}:${password}`).toString('base64');
  mask(encoded);
  return `Basic ${encoded}`;
}

function secretsOf(credential: RegistryCredential | undefined): string[] {
  if (credential === undefined) return [];
  return [credential.kind === 'password' ? credential.password : credential.token];
}

/** https://distribution.github.io/distribution/spec/auth/token/ and, with an identity token, …/auth/oauth/ */
function tokenRequest(
  realm: URL,
  service: string,
  scopes: readonly string[],
  credential: RegistryCredential | undefined,
  mask: (text: string) => void,
): { url: URL; init: RequestInit } {
  const headers = { 'user-agent': 'deploy-actions' };
  if (credential?.kind === 'identity-token') {
    const form = new URLSearchParams({
      grant_type: 'refresh_token',
      service,
      client_id: 'deploy-actions',
      refresh_token: credential.token,
      scope: scopes.join(' '),
    });
    return { url: realm, init: { method: 'POST', headers, body: form } };
  }
  const url = new URL(realm);
  if (service !== '') url.searchParams.set('service', service);
  for (const scope of scopes) url.searchParams.append('scope', scope);
  return {
    url,
    init: {
      method: 'GET',
      headers: {
        ...headers,
        ...(credential?.kind === 'password' && { authorization: basic(credential, mask) }),
      },
    },
  };
}

function tokenOf(body: Buffer): string | undefined {
  try {
    const { token, access_token } = JSON.parse(body.toString('utf8')) as Record<string, unknown>;
    const found = typeof token === 'string' && token !== '' ? token : access_token;
    return typeof found === 'string' && /^[\x21-\x7e]+$/.test(found) ? found : undefined;
  } catch {
    return undefined;
  }
}

async function read(response: Response, maxBytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  if (response.body !== null) {
    for await (const chunk of response.body as ReadableStream<Uint8Array>) {
      size += chunk.length;
      if (size > maxBytes) {
        throw new DeployError(
          'image_unverified',
          `${new URL(response.url).host} answers with more than ${maxBytes} bytes where a manifest or a configuration is.`,
          { remedy: 'Look at what was pushed there; an image of usual builders is far below that.' },
        );
      }
      chunks.push(chunk);
    }
  }
  return Buffer.concat(chunks);
}

/** fetch says `fetch failed` and hides why one cause deeper. */
function causeOf(thrown: unknown): string {
  const inner = thrown instanceof Error && thrown.cause !== undefined ? thrown.cause : thrown;
  return messageOf(inner) || 'the connection broke';
}
