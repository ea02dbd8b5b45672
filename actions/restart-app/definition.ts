import { defineAction } from '@deploy-actions/action-kit';
import { clusterInputs, podInputs } from '@deploy-actions/targets';

export const definition = defineAction({
  name: 'restart-app',
  title: 'Restart app',
  description:
    'Restarts an application on Kubernetes, never all of it at once: one pod after the other, the next one when the one before is ready, within its disruption budgets. Refuses while a rollout or a release is under way; checks the health after it; takes a rollout that does not come up back.',
  icon: 'refresh-cw',
  color: 'orange',
  mutates: true,
  permissions: {},
  inputs: {
    ...podInputs,
    app: {
      kind: 'string',
      pattern: podInputs.environment.pattern,
      allowed: podInputs.environment.allowed,
      description:
        'The name of the application, where releases name one with `environment`: both take the same lease. Default: the lease of each Service that sends to the pods.',
      example: 'helpdesk',
      config: 'app',
    },
    ...clusterInputs,
    strategy: {
      kind: 'enum',
      values: ['rollout', 'evict'],
      description:
        '`rollout` replaces pods by their workload, a new one being ready before an old one goes where that can be. `evict` asks the eviction API for one pod after the other: it is for workloads whose own strategy stops all pods at once, and for a budget’s sake.',
      default: 'rollout',
    },
    reason: {
      kind: 'string',
      description: 'Why; kept in the audit.',
      example: 'Connections to the database were lost',
    },
    timeout: {
      kind: 'duration',
      min: '1s',
      max: '6h',
      description: 'The time until all pods are new and ready.',
      default: '10m',
    },
    'health-url': {
      kind: 'url',
      description:
        'Asked after the restart, and has to answer with 2xx. Default: every pod is asked through the API server, on the path of its readiness probe.',
      example: 'https://helpdesk.example.com/health/',
      config: 'health.url',
    },
    'health-timeout': {
      kind: 'duration',
      min: '1s',
      max: '1h',
      description: 'The time that the health check has to pass in.',
      default: '1m',
    },
    'lock-timeout': {
      kind: 'duration',
      max: '6h',
      description: 'How long to wait for another run that holds the lease, before this one is refused.',
      default: '0',
    },
    'dry-run': { kind: 'boolean', description: 'Prints the plan and writes nothing.', default: 'false' },
  },
  outputs: {
    workload: { description: 'What was restarted, such as `deployment/helpdesk`.' },
    pods: { description: 'How many pods it has.' },
    ready: { description: 'How many of them are ready now.' },
  },
  check(inputs) {
    if (inputs.service !== undefined || inputs.workload !== undefined) return [];
    return [
      {
        input: 'workload',
        message:
          'is missing, and so is `service`. Give one of them, for example `workload: deployment/helpdesk-backend`.',
      },
    ];
  },
});
