import { defineAction, type Problem } from '@deploy-actions/action-kit';
import {
  checkKubernetesRelease,
  checkKubernetesTarget,
  checkLedger,
  checkLimits,
  checkLinuxHost,
  checkPodMetrics,
  checkState,
  checkSplit,
  checkTarget,
  deliveryInputs,
  deliveryOutputs,
  githubInputs,
  kubernetesReleaseInputs,
  kubernetesShareInputs,
  kubernetesTargetInputs,
  ledgerInputs,
  limitInputs,
  linuxHostInputs,
  targetInputs,
} from '@deploy-actions/targets';

function checkWeights(weights: number[] | undefined): Problem[] {
  const rises = (weights ?? []).every((weight, index, all) => index === 0 || weight > (all[index - 1] ?? 0));
  return rises
    ? []
    : [
        {
          input: 'weights',
          value: String(weights),
          message: 'does not rise; allowed are weights that rise from step to step, such as 20,40,60,80.',
        },
      ];
}

export const definition = defineAction({
  name: 'canary',
  title: 'Canary',
  description:
    'Gives the new version a rising share of the traffic, judges its error rate and response time at each step, and promotes it or takes it back. No controller and no mesh needed.',
  icon: 'trending-up',
  color: 'yellow',
  mutates: true,
  permissions: { deployments: 'write' },
  inputs: {
    ...targetInputs,
    ...kubernetesTargetInputs,
    ...kubernetesShareInputs,
    ...linuxHostInputs,
    ...kubernetesReleaseInputs,
    ...deliveryInputs,
    ...ledgerInputs,
    ...githubInputs,
    ...limitInputs,
    weights: {
      kind: 'integers',
      min: 1,
      max: 100,
      description: 'The shares in percent that the new version is given one after another, before all of it.',
      default: '20,40,60,80',
      config: 'canary.weights',
    },
    pause: {
      kind: 'duration',
      min: '1s',
      max: '6h',
      description: 'How long each share is watched before the verdict.',
      default: '10m',
      config: 'canary.pause',
    },
  },
  outputs: {
    ...deliveryOutputs,
    verdict: { description: 'The last verdict: `pass`, `fail` or `hold` (none could be reached).' },
    weight: { description: 'The share in percent at which it was reached.' },
  },
  check: (inputs) => [
    ...checkTarget(inputs),
    ...checkKubernetesTarget(inputs),
    ...checkKubernetesRelease(inputs),
    ...checkSplit(inputs),
    ...checkLinuxHost(inputs),
    ...checkLedger(inputs),
    ...checkState(inputs),
    ...checkLimits(inputs),
    ...checkPodMetrics(inputs),
    ...checkWeights(inputs.weights),
  ],
});
