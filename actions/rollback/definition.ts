import { defineAction } from '@deploy-actions/action-kit';
import {
  checkKubernetesTarget,
  checkLedger,
  checkState,
  checkTarget,
  deliveryInputs,
  deliveryOutputs,
  githubInputs,
  kubernetesTargetInputs,
  ledgerInputs,
  targetInputs,
} from '@deploy-actions/targets';

export const definition = defineAction({
  name: 'rollback',
  title: 'Rollback',
  description:
    'Gives the traffic back to the previous or a named version: at once when it still runs, else after starting it again and waiting until it is ready. Never to a version that failed.',
  icon: 'rotate-ccw',
  color: 'orange',
  mutates: true,
  permissions: { deployments: 'write' },
  inputs: {
    ...targetInputs,
    ...kubernetesTargetInputs,
    ...deliveryInputs,
    ...ledgerInputs,
    ...githubInputs,
    version: {
      kind: 'string',
      pattern: /^[A-Za-z0-9][\w.+-]{0,127}$/,
      allowed: 'a version that was released before, or `previous`',
      description: 'The version to go back to.',
      default: 'previous',
      example: '1.4.2',
    },
    watch: {
      kind: 'duration',
      max: '6h',
      description: 'How long the version is watched with all traffic.',
      default: '0',
      config: 'watch',
    },
  },
  outputs: deliveryOutputs,
  check: (inputs) => [
    ...checkTarget(inputs),
    ...checkKubernetesTarget(inputs),
    ...checkLedger(inputs),
    ...checkState(inputs),
  ],
});
