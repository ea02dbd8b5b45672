// Who calls and what the token may do, in the words of a workflow's `permissions`.

export type Permission =
  | 'actions'
  | 'checks'
  | 'contents'
  | 'deployments'
  | 'issues'
  | 'pull-requests'
  | 'security-events'
  | 'statuses';

export type Permissions = Partial<Record<Permission, 'read' | 'write'>>;

export interface Identity {
  login: string;
  id: number;
  type: 'Bot' | 'User';
}

export interface Token {
  identity: Identity;
  permissions: Permissions;
}

/** Who the token of a workflow is. */
export const actionsBot: Identity = { login: 'github-actions[bot]', id: 41898282, type: 'Bot' };

const every: readonly Permission[] = [
  'actions',
  'checks',
  'contents',
  'deployments',
  'issues',
  'pull-requests',
  'security-events',
  'statuses',
];
const all = (level: 'read' | 'write'): Permissions =>
  Object.fromEntries(every.map((permission) => [permission, level]));

/** What workflows are given without saying so. */
export const presets = {
  /** The permissive default of older repositories. */
  write: all('write'),
  /** The restricted default. */
  restricted: { contents: 'read' },
  /** Pull requests from a fork, whatever the workflow asks for. */
  fork: all('read'),
  /** Runs that Dependabot starts, unless the workflow asks for more. */
  dependabot: all('read'),
  none: {},
} as const satisfies Record<string, Permissions>;

/** One of several permissions is enough. */
export interface Need {
  level: 'read' | 'write';
  anyOf: readonly Permission[];
}

export function allows(token: Token, need: Need): boolean {
  return need.anyOf.some((permission) => {
    const level = token.permissions[permission];
    return level === 'write' || (need.level === 'read' && level === 'read');
  });
}

/** As in the header `x-accepted-github-permissions`. */
export const accepted = ({ anyOf, level }: Need): string =>
  anyOf.map((permission) => `${permission.replaceAll('-', '_')}=${level}`).join('; ');
