import type { InputSpecs, InputValues, Problem } from '@deploy-actions/action-kit';
import { targetInputs } from './inputs.ts';
import { kubernetesReleaseInputs, kubernetesTargetInputs, versionByImage } from './kubernetes-inputs.ts';

const workloadInput = {
  kind: 'string',
  pattern: /^(?:deployment|statefulset|daemonset)\/[a-z0-9](?:[a-z0-9.-]{0,200}[a-z0-9])?$/,
  allowed: '`deployment/`, `statefulset/` or `daemonset/` and its name',
  description:
    'Platform `kubernetes`: the Deployment, StatefulSet or DaemonSet whose pods are replaced one after the other.',
  example: 'deployment/helpdesk',
} as const;

/** The workload of `rollback`, which goes back by a Service where none is named. */
export const optionalWorkloadInput = {
  workload: {
    ...workloadInput,
    description: `${workloadInput.description} For what \`rolling-update\` released; instead of \`service\`.`,
  },
} as const satisfies InputSpecs;

/** Where a rolling update goes, and what it releases. */
export const workloadInputs = {
  workload: { ...workloadInput, required: true, config: 'kubernetes.workload' },
  image: {
    ...kubernetesReleaseInputs.image,
    required: true,
    description:
      'The image to release, best with its digest. It takes the place of the image of the same repository. Several, separated by commas, where the pods have several.',
  },
  container: kubernetesReleaseInputs.container,
  version: { ...kubernetesReleaseInputs.version, otherwise: versionByImage },
  app: {
    ...targetInputs.app,
    otherwise: {
      means: 'the name of the workload',
      of: ({ workload }: Readonly<Record<string, unknown>>) => nameIn(workload),
    },
  },
  environment: {
    ...targetInputs.environment,
    otherwise: { means: 'none: state is kept by namespace and workload', of: () => '' },
  },
  platform: {
    ...targetInputs.platform,
    example: 'kubernetes',
    otherwise: { means: '`kubernetes`', of: () => 'kubernetes' },
  },
  namespace: {
    ...kubernetesTargetInputs.namespace,
    description: 'The namespace of the workload. Default: that of the context, else `default`.',
  },
  kubeconfig: kubernetesTargetInputs.kubeconfig,
  context: kubernetesTargetInputs.context,
  state: targetInputs.state,
} as const satisfies InputSpecs;

export function nameIn(workload: unknown): string | undefined {
  return typeof workload === 'string' ? workload.slice(workload.indexOf('/') + 1) : undefined;
}

/** How the pods leave, and what becomes of an update that fails. */
export const rollingInputs = {
  'drain-seconds': {
    kind: 'integer',
    min: 0,
    max: 600,
    description:
      'How long a pod that leaves goes on serving before it is told to stop, while everybody learns that it leaves: containers without a preStop hook get one that sleeps so long, the grace period is longer by as much, and a Deployment gets maxUnavailable 0. Hooks that are there stay. 0 changes nothing but the images.',
    default: '10',
    config: 'kubernetes.drain-seconds',
  },
  watch: {
    kind: 'duration',
    max: '6h',
    description:
      'How long all pods have to stay ready before the update counts as done: a version that ends soon after its start is gone back from.',
    default: '10s',
    config: 'watch',
  },
  'on-failure': {
    kind: 'enum',
    values: ['rollback', 'leave'],
    description:
      'What becomes of an update whose pods do not become ready: `rollback` puts the pod template back that was there before and waits until it is ready again, `leave` leaves it as it is.',
    default: 'rollback',
    config: 'kubernetes.on-failure',
  },
} as const satisfies InputSpecs;

export type WorkloadInputs = InputValues<typeof workloadInputs>;
export type RollingInputs = InputValues<typeof rollingInputs>;

/** Rules between the inputs of a workload. */
export function checkWorkload(inputs: { platform?: string; workload?: string | undefined }): Problem[] {
  return inputs.workload === undefined || inputs.platform === undefined || inputs.platform === 'kubernetes'
    ? []
    : [
        {
          input: 'platform',
          value: inputs.platform,
          message: 'has no rolling updates; allowed is `kubernetes`.',
        },
      ];
}
