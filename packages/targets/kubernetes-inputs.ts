import type { ImageReference, InputSpecs, InputValues, Problem } from '@deploy-actions/action-kit';
import { versionOfImage } from '@deploy-actions/core';
import { type LimitInputs, linuxHostInputs, targetInputs } from './inputs.ts';

type Read = Readonly<Record<string, unknown>>;

/** What an input is on Kubernetes, where it need not be said. */
function onKubernetes<T>(means: string, of: (inputs: Read) => T) {
  return {
    means: `on Kubernetes ${means}`,
    of: (inputs: Read) => (inputs['platform'] === 'kubernetes' ? of(inputs) : undefined),
  };
}

/** As it was written. */
export function textOfImage({ repository, tag, digest }: ImageReference): string {
  return `${repository}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}

/**
 * Where a release goes on Kubernetes. Comes after the inputs of a target, some of which need not be said there: state is
 * kept by namespace and Service where no environment is named.
 */
export const kubernetesTargetInputs = {
  app: {
    ...targetInputs.app,
    otherwise: onKubernetes('the name of the Service', ({ service }) => service ?? ''),
  },
  environment: {
    ...targetInputs.environment,
    otherwise: onKubernetes('none: state is kept by namespace and Service', () => ''),
  },
  router: {
    ...targetInputs.router,
    otherwise: onKubernetes('`service-selector`', () => 'service-selector'),
  },
  service: {
    kind: 'string',
    // A DNS label.
    pattern: /^[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/,
    allowed: 'lower-case letters, digits and hyphens, up to 63, starting with a letter',
    description:
      'Platform `kubernetes`: the Service that has the traffic. Its selector leads to the Deployments, one for each colour.',
    example: 'helpdesk-service',
    config: 'kubernetes.service',
  },
  namespace: {
    kind: 'string',
    pattern: targetInputs.app.pattern,
    allowed: targetInputs.app.allowed,
    description:
      'Platform `kubernetes`: the namespace of the Service. Default: that of the context, else `default`.',
    example: 'production',
    config: 'kubernetes.namespace',
  },
  kubeconfig: {
    kind: 'string',
    description:
      'Platform `kubernetes`: a kubeconfig, its path or its text (from a secret; its credentials are masked). Default: `KUBECONFIG`, `~/.kube/config`, or the service account of the pod that the runner is.',
    example: '${{ secrets.KUBECONFIG }}',
  },
  context: {
    kind: 'string',
    description: 'Platform `kubernetes`: the context of the kubeconfig. Default: its current one.',
    example: 'production',
    config: 'kubernetes.context',
  },
  'slot-label': {
    kind: 'string',
    pattern: /^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?\/)?[A-Za-z0-9](?:[\w.-]{0,61}[A-Za-z0-9])?$/,
    allowed: 'the key of a label',
    description:
      'Platform `kubernetes`: the label that tells the colours apart: with router `service-selector` one of the selector of the Service, with `replica-weight` one that is not in it. Default: found from the Deployments.',
    example: 'version',
    config: 'kubernetes.slot-label',
  },
  'verify-url': {
    kind: 'url',
    description:
      'Platform `kubernetes`: a URL that leads to the Service, asked after each change of traffic. Without it the EndpointSlices alone are looked at.',
    example: 'https://helpdesk.example.com/health/',
    config: 'router.verify-url',
  },
} as const satisfies InputSpecs;

/** How a Service with one Deployment comes to its colours. */
export const kubernetesAdoptInputs = {
  adopt: {
    kind: 'boolean',
    description:
      'Platform `kubernetes`: where the Service has one Deployment and no colours, makes two Deployments from it, moves the Service to the first and scales the old one to 0, before the release. It needs readiness probes, and the rights of `role-adopt.yml`.',
    default: 'false',
    config: 'kubernetes.adopt',
  },
} as const satisfies InputSpecs;

/** Whose pods are asked for their metrics, where nothing is released. */
export const kubernetesMetricInputs = {
  service: {
    ...kubernetesTargetInputs.service,
    description:
      'On Kubernetes: the Service whose pods of `slot` are asked for their metrics, through the API server. `metrics-url` is then `pod:/metrics` where nothing is said.',
  },
  namespace: kubernetesTargetInputs.namespace,
  kubeconfig: kubernetesTargetInputs.kubeconfig,
  context: kubernetesTargetInputs.context,
  'slot-label': kubernetesTargetInputs['slot-label'],
} as const satisfies InputSpecs;

/** Where a release goes that shares traffic between versions. Comes after the inputs of a target on Kubernetes. */
export const kubernetesShareInputs = {
  router: {
    ...targetInputs.router,
    otherwise: onKubernetes('`replica-weight`', () => 'replica-weight'),
  },
} as const satisfies InputSpecs;

/** What a release is on Kubernetes. Comes after the inputs of a Linux host, which are not needed there. */
export const kubernetesReleaseInputs = {
  version: {
    ...linuxHostInputs.version,
    otherwise: onKubernetes('the tag of the image, or the beginning of its digest', ({ image }) =>
      image === undefined ? undefined : versionOfImage(textOfImage(image as ImageReference)),
    ),
  },
  directory: { ...linuxHostInputs.directory, otherwise: onKubernetes('not used', () => '') },
  command: { ...linuxHostInputs.command, otherwise: onKubernetes('not used', (): string[] => []) },
  image: {
    kind: 'image',
    description:
      'Platform `kubernetes`: the image to release, best with its digest. It takes the place of the image of the same repository, and nothing else of the pods changes.',
    example: 'ghcr.io/acme/helpdesk-backend:1.4.2',
  },
  container: {
    kind: 'string',
    pattern: targetInputs.app.pattern,
    allowed: targetInputs.app.allowed,
    description:
      'Platform `kubernetes`: the container whose image is replaced, where that is of another repository.',
    example: 'helpdesk',
    config: 'kubernetes.container',
  },
  replicas: {
    kind: 'integer',
    min: 1,
    max: 10_000,
    description:
      'Platform `kubernetes`: the pods that the new version starts with. Default: as many as the version that serves has. With router `replica-weight` both versions together keep that number.',
    config: 'kubernetes.replicas',
  },
} as const satisfies InputSpecs;

export type KubernetesTargetInputs = Pick<
  InputValues<typeof kubernetesTargetInputs>,
  'service' | 'namespace' | 'kubeconfig' | 'context' | 'slot-label' | 'verify-url'
>;
export type KubernetesAdoptInputs = InputValues<typeof kubernetesAdoptInputs>;
export type KubernetesReleaseInputs = Pick<
  InputValues<typeof kubernetesReleaseInputs>,
  'version' | 'image' | 'container' | 'replicas'
>;

const podMetricExamples = {
  'requests-metric': 'http_requests_total',
  'errors-metric': 'http_requests_total{code=~"5.."}',
  'response-time-metric': 'http_request_duration_seconds',
};

function missing(input: string, what: string, example: string): Problem {
  return {
    input,
    message: `is missing: platform \`kubernetes\` needs ${what}, for example \`${input}: ${example}\`.`,
  };
}

/** Rules between the inputs of a target on Kubernetes. */
export function checkKubernetesTarget(
  inputs: Partial<KubernetesTargetInputs> & { platform?: string },
): Problem[] {
  if (inputs.platform !== 'kubernetes' || inputs.service !== undefined) return [];
  return [missing('service', 'the Service that has the traffic', kubernetesTargetInputs.service.example)];
}

/** The embedded proxy's counters, which the metrics of `limitInputs` name where nothing is said, are not on Kubernetes. */
export function checkPodMetrics(inputs: Partial<LimitInputs> & { platform?: string }): Problem[] {
  if (inputs.platform !== 'kubernetes') return [];
  return (['requests-metric', 'errors-metric', 'response-time-metric'] as const)
    .filter((input) => inputs[input]?.startsWith('deploy_actions_proxy_') === true)
    .map((input) => missing(input, 'the metric that the application counts with', podMetricExamples[input]));
}

/** Colours are switched by the selector of the Service; what shares traffic by pods has none. */
export function checkAdopt(inputs: { adopt?: boolean; router?: string }): Problem[] {
  return inputs.adopt === true && inputs.router === 'replica-weight'
    ? [
        {
          input: 'adopt',
          value: 'true',
          message: 'does not go with router `replica-weight`; allowed with it is `false`.',
        },
      ]
    : [];
}

/** Rules between the inputs of a release on Kubernetes. */
export function checkKubernetesRelease(
  inputs: Partial<KubernetesReleaseInputs> & { platform?: string },
): Problem[] {
  if (inputs.platform !== 'kubernetes' || inputs.image !== undefined) return [];
  return [missing('image', 'the image to release', kubernetesReleaseInputs.image.example)];
}
