import type { KubernetesObject, ManagedFields } from './objects.ts';

/** The name under which the API keeps which fields are this suite's. */
export const fieldManager = 'deploy-actions';

/** Whether it is what this suite applies; what it writes in a release is of the same manager, and another operation. */
export function isApplied({ manager, operation, subresource }: ManagedFields): boolean {
  return manager === fieldManager && operation === 'Apply' && (subresource ?? '') === '';
}

/** Whether this suite has applied the object before: then it is its own. */
export function isOurs({ metadata }: KubernetesObject): boolean {
  return (metadata.managedFields ?? []).some(isApplied);
}
