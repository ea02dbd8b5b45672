import { defineAction, type Problem } from '@deploy-actions/action-kit';
import {
  deliveryOutputs,
  githubInputs,
  kubernetesReleaseInputs,
  kubernetesTargetInputs,
  ledgerInputs,
  linuxHostInputs,
  targetInputs,
} from '@deploy-actions/targets';

const channels = ['slack-webhook', 'webhook-url'] as const;

/** A secret is never said, so neither is what is wrong with it but for this. */
function checkAddresses(inputs: Partial<Record<(typeof channels)[number], string | undefined>>): Problem[] {
  return channels
    .filter((input) => {
      const address = inputs[input];
      return address !== undefined && !(/^https?:\/\//i.test(address) && URL.canParse(address));
    })
    .map((input) => ({ input, message: 'is not a URL; allowed is http://… or https://….' }));
}

export const definition = defineAction({
  name: 'deploy',
  title: 'Deploy',
  description:
    'The whole pipeline in one step, from deploy.yml: look before anything is touched, migrate the database, shift the traffic by blue-green or canary, watch, look at the whole, and go back through what was done when a phase fails.',
  icon: 'send',
  color: 'blue',
  mutates: true,
  permissions: {
    checks: 'write',
    deployments: 'write',
    'pull-requests': 'write',
    statuses: 'read',
  },
  inputs: {
    environment: targetInputs.environment,
    version: linuxHostInputs.version,
    image: kubernetesReleaseInputs.image,
    kubeconfig: kubernetesTargetInputs.kubeconfig,
    strategy: {
      kind: 'enum',
      values: ['blue-green', 'canary'],
      required: true,
      description: 'How the new version is given the traffic.',
      example: 'blue-green',
      config: 'strategy',
    },
    'watch-after': {
      kind: 'duration',
      max: '6h',
      description:
        'How long the new version is watched after the shift, with all traffic: its instances, the health check of deploy.yml, and the limits of `analysis` where deploy.yml has any. With `0` the switch alone watches, by `watch`.',
      default: '10s',
      config: 'watch-after',
    },
    'checks-required': {
      kind: 'list',
      separator: 'lines',
      description:
        'Check runs and commit statuses that must have succeeded on the commit, one name a line. Nothing is touched before.',
      example: 'unit tests',
      config: 'checks.required',
    },
    'checks-timeout': {
      kind: 'duration',
      max: '6h',
      description: 'How long to wait for required checks that are pending or not there yet.',
      default: '10m',
      config: 'checks.timeout',
    },
    'break-freeze': ledgerInputs['break-freeze'],
    'notify-on': {
      kind: 'enum',
      values: ['failure', 'change', 'always'],
      description:
        'What is told to `slack-webhook` and `webhook-url`: `failure` is every ending that is not good, and the first good one after it; `change` leaves out what changed nothing; `always` leaves out nothing.',
      default: 'failure',
      config: 'notify.on',
    },
    'slack-webhook': {
      kind: 'secret',
      description: 'The URL of an incoming webhook of Slack that is told how it ended.',
    },
    'webhook-url': {
      kind: 'secret',
      description: 'A URL that is sent how it ended, as JSON.',
    },
    'webhook-secret': {
      kind: 'secret',
      description:
        'Signs what is sent to `webhook-url`: HMAC-SHA256 of the body, in the header `x-deploy-actions-signature-256`.',
    },
    'dry-run': {
      kind: 'boolean',
      description:
        'Prints the plan of every phase and writes nothing; in a run of a pull request, as its one comment.',
      default: 'false',
    },
    ...githubInputs,
  },
  outputs: {
    ...deliveryOutputs,
    phase: {
      description: 'The phase that it ended in: `preflight`, `migrate`, `shift`, `watch` or `postflight`.',
    },
    phases: {
      description:
        'JSON of the phases that ran: `name`, `result`, `reason-code`, `message`, `seconds` of each, and `undone`: `undone`, `stays`, `failed` or `pending` where something was or would have been taken back, else null; `undone-message` says what.',
    },
  },
  check(inputs) {
    const problems = checkAddresses(inputs);
    if (inputs['checks-required'] !== undefined && inputs['github-token'] === undefined) {
      problems.push({
        input: 'github-token',
        message:
          'is missing: `checks-required` (`checks.required` in deploy.yml) is read with it. Its default is the token of the workflow.',
      });
    }
    if (inputs['webhook-secret'] !== undefined && inputs['webhook-url'] === undefined) {
      problems.push({
        input: 'webhook-url',
        message: 'is missing: `webhook-secret` signs what is sent to it.',
      });
    }
    return problems;
  },
});
