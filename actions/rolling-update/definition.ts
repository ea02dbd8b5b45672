import { defineAction } from '@deploy-actions/action-kit';
import {
  checkLedger,
  checkState,
  checkWorkload,
  deliveryInputs,
  deliveryOutputs,
  githubInputs,
  ledgerInputs,
  rollingInputs,
  workloadInputs,
} from '@deploy-actions/targets';

export const definition = defineAction({
  name: 'rolling-update',
  title: 'Rolling update',
  description:
    'Replaces the image of a Deployment, StatefulSet or DaemonSet pod by pod without losing a request, waits until the new pods are ready, and goes back to the previous pod template when they are not.',
  icon: 'refresh-cw',
  color: 'blue',
  mutates: true,
  permissions: { deployments: 'write' },
  inputs: {
    ...workloadInputs,
    ...rollingInputs,
    'ready-timeout': deliveryInputs['ready-timeout'],
    'lock-timeout': deliveryInputs['lock-timeout'],
    'probe-url': deliveryInputs['probe-url'],
    'probe-rate': deliveryInputs['probe-rate'],
    'environment-url': deliveryInputs['environment-url'],
    'dry-run': deliveryInputs['dry-run'],
    ...ledgerInputs,
    ...githubInputs,
  },
  outputs: {
    ...deliveryOutputs,
    version: { description: 'The version that the pod template has now.' },
    slot: { description: 'The workload.' },
  },
  check: (inputs) => [...checkWorkload(inputs), ...checkLedger(inputs), ...checkState(inputs)],
});
