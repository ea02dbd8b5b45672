import { defineAction } from '@deploy-actions/action-kit';
import { clusterInputs, podInputs } from '@deploy-actions/targets';

export const definition = defineAction({
  name: 'diagnose',
  title: 'Diagnose',
  description:
    'Says why an application on Kubernetes does not work: the probable causes first, each with its evidence and what to do next; then pods, events, logs, usage, limits, environment, reachability, request metrics and active queries in one report and one folder, without secrets.',
  icon: 'search',
  color: 'orange',
  mutates: false,
  permissions: {},
  inputs: {
    ...podInputs,
    selector: {
      kind: 'string',
      pattern: /^[^\s&?#]+(?:\s[^&?#]+)?$/,
      allowed: 'a label selector as kubectl takes it',
      description:
        'The labels of the pods that are meant. Give exactly one of this, `service` and `workload`.',
      example: 'app=helpdesk',
    },
    ...clusterInputs,
    lines: {
      kind: 'integer',
      min: 1,
      max: 100_000,
      description: 'The last lines of each container’s log that are kept.',
      default: '200',
    },
    exec: {
      kind: 'boolean',
      description:
        'Whether database and cache are tried from inside a pod, by a connection to the hosts that its environment names (`DATABASE_URL`, `REDIS_URL` and their like). Needs the right to run commands there.',
      default: 'true',
    },
    'metrics-path': {
      kind: 'string',
      pattern: /^\/[\x21-\x7e]*$/,
      allowed: 'a path that begins with /',
      description:
        'Where a pod answers with its own metrics; an annotation `prometheus.io/path` goes before it.',
      default: '/metrics',
    },
    'database-url': {
      kind: 'secret',
      description:
        'A PostgreSQL database that is asked for its active queries by psql, which has to be on PATH. Without it the queries are not looked at.',
      example: '${{ secrets.DATABASE_URL }}',
    },
  },
  outputs: {
    causes: {
      description:
        'JSON of the probable causes, most probable first: rule, severity, title, evidence and next of each.',
    },
    cause: {
      description: 'The rule of the first of them, such as `image-pull`; empty when nothing is wrong.',
    },
    markdown: { description: 'Path of the report in Markdown.' },
    folder: { description: 'Path of the folder with the report, the logs and all that was seen, to upload.' },
    gaps: { description: 'JSON of what could not be looked at: what, why, and the right that is missing.' },
  },
  check(inputs) {
    const given = [inputs.service, inputs.workload, inputs.selector].filter((value) => value !== undefined);
    if (given.length === 1) return [];
    // deploy.yml names a Service for every step: what the step itself says goes before it.
    if (given.length === 2 && inputs.service !== undefined) return [];
    return [
      given.length === 0
        ? {
            input: 'service',
            message:
              'is missing, and so are `workload` and `selector`. Give one of them, for example `selector: app=helpdesk`.',
          }
        : { input: 'selector', message: 'cannot be given together with `workload`. Give only one of them.' },
    ];
  },
});
