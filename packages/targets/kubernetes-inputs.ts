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

function firstOf(list: unknown): unknown {
  return Array.isArray(list) ? (list as unknown[])[0] : undefined;
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
    otherwise: onKubernetes('the name of the first Service', ({ service }) => firstOf(service) ?? ''),
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
    kind: 'list',
    // A DNS label.
    pattern: /^[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/,
    allowed: 'lower-case letters, digits and hyphens, up to 63, starting with a letter',
    description:
      'Platform `kubernetes`: the Service that has the traffic. Its selector leads to the Deployments, one for each colour. Several, separated by commas, are switched as one with router `service-selector`; the first gives the release its name.',
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

const coloured = {
  kind: 'list',
  pattern: /^[a-z0-9](?:[a-z0-9.-]{0,200}[a-z0-9])?$/,
  allowed: 'the name of Deployments without their colour',
} as const;

/** What is released with the Services and has no traffic of its own. Comes after the inputs of a target on Kubernetes. */
export const kubernetesFollowerInputs = {
  workers: {
    ...coloured,
    description:
      'Platform `kubernetes`: workers that are released with the Service: `celery-worker` stands for the Deployments `celery-worker-blue` and `celery-worker-green`. Those of the new colour work before the traffic moves; those of the old one finish their jobs and end after it has. Several, separated by commas.',
    example: 'celery-worker',
    config: 'kubernetes.workers',
  },
  scheduler: {
    ...coloured,
    description:
      'Platform `kubernetes`: schedulers, named as workers are, of which one runs at any time: that of the old colour is gone before that of the new one is started.',
    example: 'celery-beat',
    config: 'kubernetes.scheduler',
  },
  'worker-drain': {
    kind: 'duration',
    min: '1s',
    max: '6h',
    description:
      'Platform `kubernetes`: the time that workers of the old colour have to finish their jobs. `terminationGracePeriodSeconds` of their pods has to be as long.',
    default: '5m',
    config: 'kubernetes.worker-drain',
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
      'On Kubernetes: the Service whose pods of `slot` are asked for their metrics, through the API server; of several, the first. `metrics-url` is then `pod:/metrics` where nothing is said.',
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

/** What a version is called where nobody says it. */
export const versionByImage = {
  means: 'the tag of the first image, or the beginning of its digest',
  of: ({ image }: Read): string | undefined =>
    Array.isArray(image) ? versionOfImage(textOfImage(firstOf(image) as ImageReference)) : undefined,
};

/** What a release is on Kubernetes. Comes after the inputs of a Linux host, which are not needed there. */
export const kubernetesReleaseInputs = {
  version: {
    ...linuxHostInputs.version,
    otherwise: onKubernetes(versionByImage.means, versionByImage.of),
  },
  directory: { ...linuxHostInputs.directory, otherwise: onKubernetes('not used', () => '') },
  command: { ...linuxHostInputs.command, otherwise: onKubernetes('not used', (): string[] => []) },
  image: {
    kind: 'images',
    description:
      'Platform `kubernetes`: the image to release, best with its digest. It takes the place of the image of the same repository, and nothing else of the pods changes. Several, separated by commas, where pods or Services have several; the first gives the version its name.',
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
export type KubernetesFollowerInputs = InputValues<typeof kubernetesFollowerInputs>;
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

function checkServices({
  service = [],
  router,
}: Partial<KubernetesTargetInputs> & { router?: string }): Problem[] {
  const value = service.join(',');
  if (new Set(service).size < service.length) {
    return [{ input: 'service', value, message: 'names a Service twice; allowed is each once.' }];
  }
  return router === 'replica-weight' && service.length > 1
    ? [
        {
          input: 'service',
          value,
          message: 'has several; allowed with router `replica-weight` is one.',
        },
      ]
    : [];
}

/** Rules between the inputs of a target on Kubernetes. */
export function checkKubernetesTarget(
  inputs: Partial<KubernetesTargetInputs> & { platform?: string; router?: string },
): Problem[] {
  if (inputs.platform !== 'kubernetes') return [];
  if (inputs.service !== undefined) return checkServices(inputs);
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
export function checkAdopt(inputs: {
  adopt?: boolean;
  router?: string;
  service?: string[] | undefined;
}): Problem[] {
  const notWith =
    inputs.router === 'replica-weight'
      ? 'router `replica-weight`'
      : (inputs.service?.length ?? 0) > 1
        ? 'several Services'
        : undefined;
  return inputs.adopt === true && notWith !== undefined
    ? [
        {
          input: 'adopt',
          value: 'true',
          message: `does not go with ${notWith}; allowed with it is \`false\`.`,
        },
      ]
    : [];
}

/** What follows the traffic goes with colours that are switched. */
export function checkFollowers(
  inputs: Partial<KubernetesFollowerInputs> & { platform?: string; router?: string; adopt?: boolean },
): Problem[] {
  const given = (['workers', 'scheduler'] as const).filter((input) => inputs[input] !== undefined);
  const names = [...(inputs.workers ?? []), ...(inputs.scheduler ?? [])];
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  return given.flatMap((input): Problem[] => {
    const value = inputs[input]?.join(',') ?? '';
    if (inputs.platform !== undefined && inputs.platform !== 'kubernetes') {
      return [{ input, value, message: 'goes with platform `kubernetes`; allowed with others is none.' }];
    }
    if (inputs.router === 'replica-weight') {
      return [{ input, value, message: 'goes with router `service-selector`; allowed with others is none.' }];
    }
    if (inputs.adopt === true) {
      return [
        { input, value, message: 'has no colours before `adopt` has made them; allowed with it is none.' },
      ];
    }
    return twice !== undefined && inputs[input]?.includes(twice) === true
      ? [{ input, value, message: `names ${twice} twice; allowed is each once, as one of both.` }]
      : [];
  });
}

/** Rules between the inputs of a release on Kubernetes. */
export function checkKubernetesRelease(
  inputs: Partial<KubernetesReleaseInputs> & { platform?: string },
): Problem[] {
  if (inputs.platform !== 'kubernetes') return [];
  const { image, container } = inputs;
  if (image !== undefined) {
    return container !== undefined && image.length > 1
      ? [
          {
            input: 'container',
            value: container,
            message: 'is given with several images; allowed with it is one.',
          },
        ]
      : [];
  }
  return [missing('image', 'the image to release', kubernetesReleaseInputs.image.example)];
}
