import { DeployError, isRecord, messageOf, textAt } from '@deploy-actions/core';
import type { RegistryCredentials } from './credential.ts';

export interface OidcOptions {
  registry: string;
  /** The user whom the registry knows the token as. */
  username: string;
  /** Whom the token is made out to, as the registry wants it. */
  audience: string;
  /** A token exchange by RFC 8693; undefined where the registry takes the token of the workflow itself. */
  exchangeUrl?: URL | undefined;
  /** RFC 8693 has a form; Artifactory takes the same fields as JSON. */
  exchangeAs?: 'form' | 'json';
  /** Further fields of the exchange, such as the `provider_name` of Artifactory. */
  exchangeFields?: Readonly<Record<string, string>>;
  /** Where the job asks for a token, and with what; undefined where it may not. */
  request: { url: URL; token: string } | undefined;
  mask(secret: string): void;
  signal: AbortSignal;
  fetch?: typeof fetch;
}

/**
 * Logs in as the workflow, without a stored secret: the runner gives a token that says which repository and branch this is
 * (https://docs.github.com/actions/concepts/security/openid-connect), and the registry takes it as a password, or takes what it is
 * exchanged for (RFC 8693). The clouds' own registries take neither; their login actions do what they want instead.
 */
export function oidcCredentials(options: OidcOptions): RegistryCredentials {
  const { registry, username, exchangeUrl, mask } = options;
  return async (asked) => {
    if (asked !== registry) return undefined;
    const token = await workflowToken(options);
    mask(token);
    const password = exchangeUrl === undefined ? token : await exchanged(token, exchangeUrl, options);
    mask(password);
    return { kind: 'password', username, password };
  };
}

async function workflowToken(options: OidcOptions): Promise<string> {
  const { request, audience } = options;
  if (request === undefined) {
    throw new DeployError('permission_denied', 'The job may not ask for an OIDC token.', {
      remedy: 'Give the job `permissions: id-token: write`; jobs of forks get none.',
    });
  }
  const url = new URL(request.url);
  url.searchParams.set('audience', audience);
  const { value } = await answerOf(
    'the runner',
    url,
    { headers: { authorization: `Bearer ${request.token}` } },
    options,
  );
  if (typeof value === 'string' && value !== '') return value;
  throw new DeployError('unreachable', 'The runner answers with no OIDC token.', {
    remedy: 'Run the step again, and see whether GitHub Actions has a disturbance.',
  });
}

async function exchanged(token: string, url: URL, options: OidcOptions): Promise<string> {
  const fields = {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
    subject_token: token,
    audience: options.audience,
    ...options.exchangeFields,
  };
  const sent: RequestInit =
    options.exchangeAs === 'json'
      ? { body: JSON.stringify(fields), headers: { 'content-type': 'application/json' } }
      : { body: new URLSearchParams(fields) };
  const answer = await answerOf(url.host, url, { method: 'POST', ...sent }, options);
  const password = textAt(answer, 'access_token');
  if (password !== '') return password;
  throw new DeployError(
    'permission_denied',
    `${url.host} exchanges the token of this workflow for nothing.`,
    {
      remedy: 'See whether the registry trusts this repository, branch and audience.',
    },
  );
}

async function answerOf(
  who: string,
  url: URL,
  init: RequestInit,
  { signal, fetch: send = fetch }: OidcOptions,
): Promise<Record<string, unknown>> {
  let status: number;
  let body: unknown;
  try {
    const response = await send(url, {
      ...init,
      redirect: 'error',
      signal: AbortSignal.any([signal, AbortSignal.timeout(30_000)]),
    });
    ({ status } = response);
    body = await response.json();
  } catch (thrown) {
    throw new DeployError('unreachable', `${who} gives no token: ${messageOf(thrown)}.`, {
      remedy: 'Run the step again. If it stays like this, look at the address.',
      cause: thrown,
    });
  }
  if (status >= 200 && status < 300 && isRecord(body)) return body;
  throw new DeployError('permission_denied', `${who} gives no token: it answers ${status}.`, {
    remedy: 'See whether the registry trusts this repository, branch and audience.',
  });
}
