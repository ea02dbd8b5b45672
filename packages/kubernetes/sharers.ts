import { DeployError } from '@deploy-actions/core';
import { type Colours, selectorOf } from './colours.ts';
import { type Deployment, hasLabels, labelsOf, type Service } from './objects.ts';

/** Keys that each of the Deployments has with a value of its own, and by which they tell their own pods apart. */
function tellingApart(deployments: Deployment[]): string[] {
  const [first] = deployments;
  return Object.keys(first === undefined ? {} : labelsOf(first)).filter((key) => {
    const values = deployments.map((deployment) => labelsOf(deployment)[key]);
    const isSelected = deployments.every(
      ({ spec }) =>
        spec.selector.matchLabels?.[key] !== undefined ||
        (spec.selector.matchExpressions ?? []).some((expression) => expression.key === key),
    );
    return isSelected && !values.includes(undefined) && new Set(values).size === values.length;
  });
}

/**
 * Finds the Deployments that share the traffic of one Service: those whose pods have all labels of its selector. The
 * slots are the values of the label that tells them apart; `wanted` names it where several do. `serving` is the one with
 * the most pods. Throws `invalid_input`, `not_found` or `unsupported`, with what is there.
 */
export function findSharers(service: Service, deployments: Deployment[], wanted?: string): Colours {
  const selector = selectorOf(service);
  const { name } = service.metadata;
  const sharing = deployments.filter((deployment) => hasLabels(labelsOf(deployment), selector));
  const text = Object.entries(selector)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
  const [only] = sharing;
  if (only === undefined) {
    throw new DeployError(
      'not_found',
      `No Deployment has pods with ${text}, which Service ${name} sends to.`,
      {
        remedy: `The Deployments of the namespace are ${deployments.map(({ metadata }) => metadata.name).join(', ') || 'none'}.`,
      },
    );
  }
  if (sharing.length === 1) {
    throw new DeployError(
      'unsupported',
      `Service ${name} sends to Deployment ${only.metadata.name} alone: of its selector (${text}) no other Deployment has all labels.`,
      {
        remedy:
          'To share traffic by pods, make a second Deployment with 0 replicas whose pods have these labels and one more that differs, such as track: a and track: b. A label of colours does not belong in the selector of the Service then.',
      },
    );
  }
  const keys = tellingApart(sharing);
  const names = sharing.map(({ metadata }) => metadata.name).join(' and ');
  const label = wanted ?? keys[0];
  if (label === undefined || !keys.includes(label)) {
    throw new DeployError(
      'invalid_input',
      `No label ${label === undefined ? '' : `"${label}" `}tells the pods of ${names} apart.`,
      {
        remedy:
          keys.length === 0
            ? 'Give each a label of its own in spec.selector and in its pods, such as track: a and track: b.'
            : `Labels that do are ${keys.join(', ')}.`,
      },
    );
  }
  if (wanted === undefined && keys.length > 1) {
    throw new DeployError(
      'invalid_input',
      `Several labels tell the pods of ${names} apart: ${keys.join(', ')}.`,
      { remedy: 'Say whose values are the names of the slots: `slot-label`.' },
    );
  }
  const sorted = sharing
    .map((deployment): [string, Deployment] => [labelsOf(deployment)[label] ?? '', deployment])
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
  const largest = sorted.toSorted(([, a], [, b]) => (b.spec.replicas ?? 1) - (a.spec.replicas ?? 1))[0];
  return { service, label, base: selector, serving: largest?.[0] ?? '', deployments: new Map(sorted) };
}
