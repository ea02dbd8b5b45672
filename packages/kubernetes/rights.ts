import { DeployError, isRecord } from '@deploy-actions/core';

/** What may be done with one kind of object in a namespace, in the words of a Role. */
export interface Right {
  verb: 'get' | 'list' | 'watch' | 'create' | 'patch' | 'update' | 'delete';
  /** Empty for the core group. */
  group: string;
  /** `deployments`, `pods/proxy`. */
  resource: string;
}

/** The Role rule that gives the right, as YAML. */
export function ruleFor({ group, resource, verb }: Right): string {
  return `- apiGroups: ["${group}"]\n  resources: ["${resource}"]\n  verbs: ["${verb}"]`;
}

const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

function covers(resources: unknown[], resource: string): boolean {
  const sub = /\/.*$/.exec(resource)?.[0];
  return (
    resources.includes(resource) ||
    resources.includes('*') ||
    (sub !== undefined && resources.includes(`*${sub}`))
  );
}

/**
 * Those of the rights, each once, that no rule of a SelfSubjectRulesReview gives. A rule for objects of some names counts as a right: which
 * names are meant is known to whoever wrote it.
 */
export function notGranted(review: unknown, needed: readonly Right[]): Right[] {
  const status = isRecord(review) && isRecord(review['status']) ? review['status'] : {};
  const rules = listOf(status['resourceRules']).filter(isRecord);
  const single = new Map(needed.map((right) => [ruleFor(right), right]));
  return [...single.values()].filter(
    ({ verb, group, resource }) =>
      !rules.some((rule) => {
        const [verbs, groups] = [listOf(rule['verbs']), listOf(rule['apiGroups'])];
        return (
          (verbs.includes(verb) || verbs.includes('*')) &&
          (groups.includes(group) || groups.includes('*')) &&
          covers(listOf(rule['resources']), resource)
        );
      }),
  );
}

/** Whether a SelfSubjectAccessReview allows what it was asked about. */
export function isAllowed(review: unknown): boolean {
  return isRecord(review) && isRecord(review['status']) && review['status']['allowed'] === true;
}

export function withoutRights(namespace: string, user: string, missing: readonly Right[]): DeployError {
  const words = missing.map(({ verb, resource }) => `${verb} ${resource}`).join(', ');
  return new DeployError(
    'permission_denied',
    `User "${user}" lacks ${missing.length === 1 ? 'a right' : 'rights'} in namespace ${namespace} that this takes: ${words}. Nothing was changed.`,
    { remedy: `Add to the Role of the user that deploys:\n${missing.map(ruleFor).join('\n')}` },
  );
}
