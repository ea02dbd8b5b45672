import { defineAction } from '@deploy-actions/action-kit';
import { deliveryOutputs, linuxHostInputs, targetInputs } from '@deploy-actions/targets';

export const definition = defineAction({
  name: 'deploy',
  title: 'Deploy',
  description:
    'The whole pipeline in one step, from deploy.yml: migrate the database, shift the traffic by blue-green or canary, check the health, and go back through what was done when a phase fails.',
  icon: 'send',
  color: 'blue',
  mutates: true,
  permissions: {},
  inputs: {
    environment: targetInputs.environment,
    version: linuxHostInputs.version,
    strategy: {
      kind: 'enum',
      values: ['blue-green', 'canary'],
      required: true,
      description: 'How the new version is given the traffic.',
      example: 'blue-green',
      config: 'strategy',
    },
    'dry-run': {
      kind: 'boolean',
      description: 'Prints the plan of every phase and writes nothing.',
      default: 'false',
    },
  },
  outputs: {
    ...deliveryOutputs,
    phase: { description: 'The phase that it ended in: `migrate`, `shift` or `check`.' },
    phases: { description: 'JSON of the phases that ran: name, result, reason code and message of each.' },
  },
});
