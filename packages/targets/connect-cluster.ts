import type { Context } from '@deploy-actions/action-kit';
import type { KubernetesClient } from '@deploy-actions/kubernetes';
import type { KubernetesTargetInputs } from './kubernetes-inputs.ts';

export type ClusterInputs = Partial<Pick<KubernetesTargetInputs, 'kubeconfig' | 'context' | 'namespace'>>;

/** A kubeconfig is given as a path or as its text, which has more than one word. */
function kubeconfigOf(text: string | undefined): { content?: string; file?: string } {
  if (text === undefined) return {};
  return /[\n{]/.test(text) ? { content: text } : { file: text };
}

/** Opens the way to the cluster and namespace that the inputs name; masks its secrets, and asks it nothing yet. */
export async function connectCluster(inputs: ClusterInputs, context: Context): Promise<KubernetesClient> {
  // Loaded where it is needed: what speaks to a cluster is large.
  const { createClient, loadKubeconfig } = await import('@deploy-actions/kubernetes');
  const connection = await loadKubeconfig({
    ...kubeconfigOf(inputs.kubeconfig),
    context: inputs.context,
    environment: context.environment,
  });
  for (const secret of connection.secrets) context.mask(secret);
  const namespace = inputs.namespace ?? connection.namespace ?? 'default';
  context.log.debug(`Cluster ${connection.server}, context ${connection.context}, namespace ${namespace}.`);
  return createClient({ connection, namespace, log: context.log });
}
