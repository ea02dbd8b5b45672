import type { Context, InputSpecs, InputValues } from '@deploy-actions/action-kit';
import { createClient, type KubernetesClient, loadKubeconfig } from '@deploy-actions/kubernetes';
import { kubernetesTargetInputs } from './kubernetes-inputs.ts';
import { targetInputs } from './inputs.ts';

/** How an action that is of Kubernetes alone finds the cluster and the namespace. */
export const clusterInputs = {
  namespace: kubernetesTargetInputs.namespace,
  kubeconfig: kubernetesTargetInputs.kubeconfig,
  context: kubernetesTargetInputs.context,
} as const satisfies InputSpecs;

/** Which pods of a namespace an action is about; it adds what else may be named. */
export const workloadInputs = {
  service: {
    ...kubernetesTargetInputs.service,
    description: 'The Service whose pods are meant: those that have its traffic.',
  },
  workload: {
    kind: 'string',
    pattern: /^(?:(?:deployment|statefulset|daemonset)\/)?[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/,
    allowed:
      '`deployment/`, `statefulset/` or `daemonset/` and a name; the name alone is that of a Deployment',
    description: 'The Deployment, StatefulSet or DaemonSet whose pods are meant.',
    example: 'deployment/helpdesk-backend',
  },
  environment: {
    kind: 'string',
    pattern: targetInputs.environment.pattern,
    allowed: targetInputs.environment.allowed,
    description: 'The environment whose settings of deploy.yml apply.',
    example: 'production',
  },
} as const satisfies InputSpecs;

type ClusterInputs = Partial<InputValues<typeof clusterInputs>>;

/** A kubeconfig is given as a path or as its text, which has more than one word. */
function kubeconfigOf(text: string | undefined): { content?: string; file?: string } {
  if (text === undefined) return {};
  return /[\n{]/.test(text) ? { content: text } : { file: text };
}

/** The cluster and namespace that the inputs name, with the credentials masked. Asks the cluster nothing yet. */
export async function openClient(inputs: ClusterInputs, context: Context): Promise<KubernetesClient> {
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

/** `deployment/helpdesk` in its parts. */
export function workloadOf(text: string): { kind: 'deployment' | 'statefulset' | 'daemonset'; name: string } {
  const [kind = '', name] = text.split('/');
  if (name === undefined) return { kind: 'deployment', name: kind };
  return { kind: kind === 'statefulset' || kind === 'daemonset' ? kind : 'deployment', name };
}
