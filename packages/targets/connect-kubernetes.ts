import type { Context } from '@deploy-actions/action-kit';
import { createClient, type KubernetesClient, loadKubeconfig } from '@deploy-actions/kubernetes';
import type { KubernetesTargetInputs } from './kubernetes-inputs.ts';

/** A kubeconfig is given as a path or as its text, which has more than one word. */
function kubeconfigOf(text: string | undefined): { content?: string; file?: string } {
  if (text === undefined) return {};
  return /[\n{]/.test(text) ? { content: text } : { file: text };
}

/** A client of the namespace that the inputs name. Masks the credentials; asks the cluster nothing yet. */
export async function connectKubernetes(
  inputs: Partial<Pick<KubernetesTargetInputs, 'namespace' | 'kubeconfig' | 'context'>>,
  context: Context,
): Promise<KubernetesClient> {
  const { log } = context;
  const connection = await loadKubeconfig({
    ...kubeconfigOf(inputs.kubeconfig),
    context: inputs.context,
    environment: context.environment,
  });
  for (const secret of connection.secrets) context.mask(secret);
  const namespace = inputs.namespace ?? connection.namespace ?? 'default';
  log.debug(`Cluster ${connection.server}, context ${connection.context}, namespace ${namespace}.`);
  return createClient({ connection, namespace, log });
}
