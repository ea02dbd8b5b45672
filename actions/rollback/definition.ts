import { defineAction } from '@deploy-actions/action-kit';
import {
  checkKubernetesTarget,
  checkFollowers,
  checkLedger,
  checkState,
  checkTarget,
  checkWorkload,
  deliveryInputs,
  deliveryOutputs,
  githubInputs,
  kubernetesFollowerInputs,
  kubernetesTargetInputs,
  ledgerInputs,
  optionalWorkloadInput,
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
    ...kubernetesFollowerInputs,
    ...optionalWorkloadInput,
    ...deliveryInputs,
    ...ledgerInputs,
    ...githubInputs,
    version: {
      kind: 'string',
      pattern: /^(?:[A-Za-z0-9][\w.+-]{0,127}|sha256:[0-9a-f]{64})$/,
      allowed:
        'a version that was released before, or `previous`; with `workload`, a revision or digest, too',
      description:
        'The version to go back to. With `workload` also the number of a revision (`kubectl rollout history`), or the digest of an image.',
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
    ...(inputs.workload === undefined ? checkKubernetesTarget(inputs) : checkWorkload(inputs)),
    ...checkFollowers(inputs),
    ...checkLedger(inputs),
    ...checkState(inputs),
  ],
});
