import { defineAction, type Problem } from '@deploy-actions/action-kit';
import { checkLimits, kubernetesMetricInputs, limitInputs, type LimitInputs } from '@deploy-actions/targets';

function checkPods(urls: readonly string[]): Problem[] {
  if (!urls.some((url) => url.startsWith('pod:'))) return [];
  return [
    {
      input: 'service',
      message: 'is missing: `metrics-url` asks pods, for example those of `service: helpdesk-service`.',
    },
  ];
}

/** There is no router here whose own figures could be taken. */
function checkEndpoints(inputs: Partial<LimitInputs> & { service?: string[] | undefined }): Problem[] {
  if (inputs.metrics !== 'scrape' || inputs.service !== undefined) return [];
  if (inputs['metrics-url'] !== undefined) return checkPods(inputs['metrics-url']);
  return [
    {
      input: 'metrics-url',
      message:
        'is missing: metrics `scrape` needs the endpoints, for example `metrics-url: http://127.0.0.1:9180/metrics`. With `metrics: prometheus` a server is asked.',
    },
  ];
}

export const definition = defineAction({
  name: 'canary-analyze',
  title: 'Canary analysis',
  description:
    'One verdict over one window: whether the error rate and the response time of a version are within their limits. Reads Prometheus text endpoints itself, or asks a Prometheus server.',
  icon: 'bar-chart-2',
  color: 'purple',
  mutates: false,
  permissions: {},
  inputs: {
    ...limitInputs,
    'metrics-url': {
      ...limitInputs['metrics-url'],
      description:
        'Metrics `scrape`: Prometheus text endpoints, comma-separated, of all that serve the version: `http(s)://…` or `unix:/path/to/socket:/metrics`; or, alone, `pod:/metrics` (`pod:9100/metrics`): that of each pod of the slot.',
    },
    ...kubernetesMetricInputs,
    window: {
      kind: 'duration',
      min: '1s',
      max: '6h',
      description: 'How long to look.',
      default: '5m',
      config: 'analysis.window',
    },
    slot: {
      kind: 'string',
      pattern: /^[\w.-]+$/,
      allowed: 'letters, digits, dots, hyphens and underscores',
      description: 'What `{slot}` stands for in the selectors.',
      default: 'green',
    },
    version: {
      kind: 'string',
      pattern: /^[\w.+-]+$/,
      allowed: 'letters, digits, dots, hyphens, underscores and +',
      description: 'What `{version}` stands for in the selectors.',
      default: 'canary',
    },
    environment: {
      kind: 'string',
      pattern: /^[A-Za-z0-9][A-Za-z0-9._-]*$/,
      allowed: 'letters, digits, dots, hyphens and underscores',
      description: 'The environment whose settings of deploy.yml apply.',
      example: 'production',
    },
  },
  outputs: {
    verdict: { description: '`pass`, `fail` or `inconclusive`.' },
    'error-rate': { description: 'The share of server errors in percent.' },
    'response-time': { description: 'The response time in milliseconds, at the percentile asked for.' },
    requests: { description: 'How many requests were seen.' },
  },
  check: (inputs) => [...checkLimits(inputs), ...checkEndpoints(inputs)],
});
