/** What has to be there before the next can be: of kinds within one place, the order of the manifests holds. */
const places: readonly (readonly string[])[] = [
  ['Namespace'],
  ['CustomResourceDefinition'],
  ['PriorityClass', 'StorageClass', 'RuntimeClass', 'IngressClass', 'ResourceQuota', 'LimitRange'],
  ['ServiceAccount'],
  ['Role', 'ClusterRole'],
  ['RoleBinding', 'ClusterRoleBinding'],
  ['NetworkPolicy'],
  ['ConfigMap', 'Secret'],
  ['PersistentVolume'],
  ['PersistentVolumeClaim'],
  ['Service'],
  ['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet', 'ReplicationController', 'Pod', 'Job', 'CronJob'],
  // Kinds of others come here: they build on all of the above.
  [],
  ['PodDisruptionBudget', 'HorizontalPodAutoscaler', 'Ingress'],
  ['APIService', 'ValidatingWebhookConfiguration', 'MutatingWebhookConfiguration'],
];
const placeOfOthers = places.findIndex((kinds) => kinds.length === 0);

function placeOfKind(kind: string): number {
  const place = places.findIndex((kinds) => kinds.includes(kind));
  return place < 0 ? placeOfOthers : place;
}

/** In the order in which they can be made; of one place, as they were given. Taken away, they go the other way round. */
export function inOrder<T>(items: readonly T[], kindOf: (item: T) => string): T[] {
  return items.toSorted((a, b) => placeOfKind(kindOf(a)) - placeOfKind(kindOf(b)));
}
