import { type InputSpecs, type InputValues, oidcRequest, type Problem } from '@deploy-actions/action-kit';
import type { Log } from '@deploy-actions/core';
import { firstOf, type RegistryCredentials, registryName } from './credential.ts';
import { dockerConfigCredentials } from './docker-config.ts';
import { oidcCredentials } from './oidc.ts';
import type { RegistryOptions } from './transport.ts';

/** How a step logs in at a registry. */
export const loginInputs = {
  registry: {
    kind: 'string',
    pattern: /^[a-zA-Z0-9.-]+(?::\d{1,5})?$/,
    allowed: 'a host with or without a port, such as ghcr.io',
    description:
      'The registry that `username` and `password` are for. For all others, and without them, it is what `docker login` or a login action left on the runner.',
    example: 'ghcr.io',
    config: 'registry.name',
  },
  username: {
    kind: 'string',
    description: 'Who logs in at `registry`.',
    example: '${{ github.actor }}',
    config: 'registry.username',
  },
  password: {
    kind: 'secret',
    description: 'The password or token of `username`; for ghcr.io the token of the workflow.',
    example: '${{ secrets.GITHUB_TOKEN }}',
  },
  'oidc-audience': {
    kind: 'string',
    description:
      'Logs in as the workflow, without a password: the audience that `registry` wants the OIDC token of the job to have. Needs `permissions: id-token: write`.',
    example: 'registry.example.com',
    config: 'registry.oidc-audience',
  },
  'oidc-exchange-url': {
    kind: 'url',
    description:
      'Where the OIDC token is exchanged for a password (RFC 8693). Without it the token itself is the password.',
    example: 'https://acme.jfrog.io/access/api/v1/oidc/token',
    config: 'registry.oidc-exchange-url',
  },
  'oidc-exchange-as': {
    kind: 'enum',
    values: ['form', 'json'],
    description:
      'How the fields of the exchange are sent: as the RFC has it, or as JSON, which Artifactory takes.',
    default: 'form',
    config: 'registry.oidc-exchange-as',
  },
  'oidc-exchange-fields': {
    kind: 'map',
    description: 'Further fields of the exchange.',
    example: 'provider_name=github',
    config: 'registry.oidc-exchange-fields',
  },
  'insecure-registries': {
    kind: 'list',
    description:
      'Registries that are spoken to over plain HTTP. For those on the loopback interface it is not needed.',
    example: 'registry.internal:5000',
    config: 'registry.insecure',
  },
} as const satisfies InputSpecs;

export type LoginInputs = InputValues<typeof loginInputs>;

/** Rules between the inputs of a login. */
export function checkLogin(inputs: Partial<LoginInputs>): Problem[] {
  const problems: Problem[] = [];
  const { registry, username, password } = inputs;
  const byToken = inputs['oidc-audience'] !== undefined;
  if (username !== undefined && password === undefined && !byToken) {
    problems.push({
      input: 'password',
      message: 'is missing beside `username`. Give it, or `oidc-audience` to log in as the workflow.',
    });
  }
  if (username === undefined && (password !== undefined || byToken)) {
    problems.push({
      input: 'username',
      message: `is missing beside \`${byToken ? 'oidc-audience' : 'password'}\`.`,
    });
  }
  if (password !== undefined && byToken) {
    problems.push({ input: 'oidc-audience', message: 'does not go with `password`; give one of the two.' });
  }
  if (registry === undefined && (username !== undefined || password !== undefined)) {
    problems.push({
      input: 'registry',
      message: 'is missing beside `username`: it says where the login is sent to, and that is nowhere else.',
    });
  }
  for (const input of ['oidc-exchange-url', 'oidc-exchange-fields'] as const) {
    if (inputs[input] !== undefined && !byToken)
      problems.push({ input, message: 'goes with `oidc-audience`.' });
  }
  const exchange = inputs['oidc-exchange-url'];
  if (
    exchange !== undefined &&
    exchange.protocol !== 'https:' &&
    !/^(?:127\.0\.0\.1|localhost)$/.test(exchange.hostname)
  ) {
    problems.push({ input: 'oidc-exchange-url', value: exchange.href, message: 'is not https.' });
  }
  return problems;
}

/** What a login takes of the step it is for. */
export interface LoginContext {
  environment: NodeJS.ProcessEnv;
  log: Log;
  signal: AbortSignal;
  mask(secret: string): void;
}

/** The step's own login first, then what is on the runner. */
export function registryAccess(inputs: LoginInputs, context: LoginContext): RegistryOptions {
  const { environment, log, signal, mask } = context;
  const sources: RegistryCredentials[] = [];
  const { username, password } = inputs;
  const audience = inputs['oidc-audience'];
  const registry = registryName(inputs.registry ?? '');
  if (username !== undefined && password !== undefined) {
    sources.push((asked) =>
      Promise.resolve(asked === registry ? { kind: 'password', username, password } : undefined),
    );
  } else if (username !== undefined && audience !== undefined) {
    sources.push(
      oidcCredentials({
        registry,
        username,
        audience,
        exchangeUrl: inputs['oidc-exchange-url'],
        exchangeAs: inputs['oidc-exchange-as'],
        exchangeFields: inputs['oidc-exchange-fields'] ?? {},
        request: oidcRequest(environment),
        mask,
        signal,
      }),
    );
  }
  sources.push(dockerConfigCredentials({ environment, signal, mask }));
  return { credentials: firstOf(sources), log, signal, mask, insecure: inputs['insecure-registries'] ?? [] };
}
