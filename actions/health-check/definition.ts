import { defineAction } from '@deploy-actions/action-kit';

export const definition = defineAction({
  name: 'health-check',
  title: 'Health check',
  description:
    'Waits until a URL or a command says that the application is healthy: status, JSON fields, body, several times in a row, within a deadline. Lists every dependency that the answer names.',
  icon: 'activity',
  color: 'green',
  mutates: false,
  permissions: {},
  inputs: {
    url: {
      kind: 'url',
      description: 'The health endpoint. Give either this or `command`.',
      example: 'https://helpdesk.example.com/health/',
      config: 'health.url',
    },
    command: {
      kind: 'command',
      description: 'A program that exits 0 when the application is healthy. It is run without a shell.',
      example: 'python manage.py check --deploy',
      config: 'health.command',
    },
    'working-directory': {
      kind: 'path',
      within: 'workspace',
      description: 'The folder that `command` runs in.',
      default: '.',
    },
    status: {
      kind: 'integers',
      min: 100,
      max: 599,
      description: 'The HTTP status codes that count as healthy.',
      default: '200',
      config: 'health.status',
    },
    json: {
      kind: 'map',
      description: 'Fields that the JSON answer must have, one `path=value` a line; a path is dotted.',
      example: 'status=healthy',
      config: 'health.json',
    },
    body: {
      kind: 'string',
      description: 'Text that the answer must contain.',
      config: 'health.body',
    },
    headers: {
      kind: 'map',
      description: 'Request headers, one `Name=value` a line. Values are masked in the log.',
      config: 'health.headers',
    },
    successes: {
      kind: 'integer',
      min: 1,
      max: 1000,
      description: 'How many checks in a row have to pass.',
      default: '1',
      config: 'health.successes',
    },
    interval: {
      kind: 'duration',
      min: '100ms',
      max: '10m',
      description: 'The time between two checks.',
      default: '2s',
      config: 'health.interval',
    },
    'request-timeout': {
      kind: 'duration',
      min: '100ms',
      max: '10m',
      description: 'The time that one check may take.',
      default: '10s',
      config: 'health.request-timeout',
    },
    timeout: {
      kind: 'duration',
      min: '0',
      max: '6h',
      description: 'The time until all of it is given up. With `0` there is exactly one check.',
      default: '2m',
      config: 'health.timeout',
    },
    steady: {
      kind: 'duration',
      max: '6h',
      description:
        'How long it has to stay healthy without a break. All that it is unhealthy, before and in between, may take `timeout`.',
      default: '0',
      config: 'health.steady',
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
    checks: { description: 'How many checks were made.' },
    'last-status': { description: 'The HTTP status, or exit code, of the last check.' },
    dependencies: {
      description: 'JSON of the dependencies that the answer named: name, status and seconds of each.',
    },
  },
  check(inputs) {
    const given = [inputs.url, inputs.command].filter((value) => value !== undefined).length;
    if (given === 1) return [];
    return [
      given === 0
        ? {
            input: 'url',
            message:
              'is missing, and so is `command`. Give one of them, for example `url: https://helpdesk.example.com/health/`.',
          }
        : {
            input: 'command',
            message: 'cannot be given together with `url`. Give only one of them.',
          },
    ];
  },
});
