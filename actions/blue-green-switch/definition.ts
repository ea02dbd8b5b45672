import { defineAction } from '@deploy-actions/action-kit';
import {
  checkKubernetesRelease,
  checkKubernetesTarget,
  checkLedger,
  checkLinuxHost,
  checkState,
  checkTarget,
  deliveryInputs,
  deliveryOutputs,
  githubInputs,
  ledgerInputs,
  kubernetesReleaseInputs,
  kubernetesTargetInputs,
  linuxHostInputs,
  targetInputs,
} from '@deploy-actions/targets';

export const definition = defineAction({
  name: 'blue-green-switch',
  title: 'Blue-green switch',
  description:
    'Starts the new version beside the old one, waits until it is ready, moves all traffic in one write, verifies it at the data plane, watches, drains, and keeps the old version for an instant rollback.',
  icon: 'repeat',
  color: 'blue',
  mutates: true,
  permissions: { deployments: 'write' },
  inputs: {
    ...targetInputs,
    ...kubernetesTargetInputs,
    ...linuxHostInputs,
    ...kubernetesReleaseInputs,
    ...deliveryInputs,
    ...ledgerInputs,
    ...githubInputs,
    watch: {
      kind: 'duration',
      max: '6h',
      description: 'How long the new version is watched with all traffic before the old one is put away.',
      default: '10s',
      config: 'watch',
    },
  },
  outputs: deliveryOutputs,
  check: (inputs) => [
    ...checkTarget(inputs),
    ...checkKubernetesTarget(inputs),
    ...checkKubernetesRelease(inputs),
    ...checkLinuxHost(inputs),
    ...checkLedger(inputs),
    ...checkState(inputs),
  ],
});
