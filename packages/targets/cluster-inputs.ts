import type { InputSpecs } from '@deploy-actions/action-kit';
import { kubernetesTargetInputs } from './kubernetes-inputs.ts';
import { targetInputs } from './inputs.ts';

/** How an action that is of Kubernetes alone finds the cluster and the namespace. */
export const clusterInputs = {
  namespace: kubernetesTargetInputs.namespace,
  kubeconfig: kubernetesTargetInputs.kubeconfig,
  context: kubernetesTargetInputs.context,
} as const satisfies InputSpecs;

/** Which pods of a namespace an action is about; it adds what else may be named. */
export const podInputs = {
  service: {
    ...kubernetesTargetInputs.service,
    description: 'The Service whose pods are meant: those that have its traffic. Of several, the first.',
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

/** `deployment/helpdesk` in its parts. */
export function workloadOf(text: string): { kind: 'deployment' | 'statefulset' | 'daemonset'; name: string } {
  const [kind = '', name] = text.split('/');
  if (name === undefined) return { kind: 'deployment', name: kind };
  return { kind: kind === 'statefulset' || kind === 'daemonset' ? kind : 'deployment', name };
}
