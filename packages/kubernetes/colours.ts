import { canonicalJson, DeployError, parseImageReference, repositoryOf } from '@deploy-actions/core';
import { type Deployment, hasLabels, labelsOf, type Service } from './objects.ts';

/** Two or more Deployments behind one Service that sends to one of them. */
export interface Colours {
  service: Service;
  /** The label that tells the Deployments apart: the key in the Service's selector that is written to switch. */
  label: string;
  /** The selector without it. */
  base: Record<string, string>;
  /** The value in the Service's selector. */
  serving: string;
  /** By the value of the label, in its order. */
  deployments: Map<string, Deployment>;
}

function selectorText(selector: Record<string, string>): string {
  return Object.entries(selector)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
}

/** The selector, or `invalid_input`: a Service without one sends to addresses that somebody else writes. */
export function selectorOf(service: Service): Record<string, string> {
  const selector = service.spec.selector ?? {};
  if (Object.keys(selector).length > 0) return selector;
  throw new DeployError('invalid_input', `Service ${service.metadata.name} has no selector.`, {
    remedy: 'Name the Service whose selector says which pods get the traffic.',
  });
}

/** What one label of the selector would be as the colour: the Deployments by its values; undefined when it is none. */
function byLabel(
  selector: Record<string, string>,
  label: string,
  deployments: Deployment[],
): Map<string, Deployment[]> | undefined {
  const { [label]: _, ...base } = selector;
  const values = new Map<string, Deployment[]>();
  for (const deployment of deployments) {
    const labels = labelsOf(deployment);
    const value = labels[label];
    if (value !== undefined && hasLabels(labels, base)) {
      values.set(value, [...(values.get(value) ?? []), deployment]);
    }
  }
  return values.size > 1 ? values : undefined;
}

/** Labels that say what an application or a part of it is: its name, never its colour. */
const identity = new Set([
  'app',
  'component',
  'k8s-app',
  'name',
  'role',
  'tier',
  ...['component', 'instance', 'name', 'part-of'].map((name) => `app.kubernetes.io/${name}`),
]);

/** What two colours of one application have in common: containers by name, with their repositories, commands and ports. */
function shapeOf({ spec }: Deployment): string {
  const containers = spec.template.spec.containers.map(({ name, image = '', command, args, ports }) => {
    const parsed = parseImageReference(image);
    return {
      name,
      repository: parsed === undefined ? image : repositoryOf(parsed),
      command,
      args,
      ports: (ports ?? []).map(({ containerPort }) => containerPort).toSorted((a, b) => a - b),
    };
  });
  return canonicalJson(containers.toSorted((a, b) => (a.name < b.name ? -1 : 1)));
}

/** Whether all of these are one application, and not a worker or another application that shares some labels. */
function areAlike(values: Map<string, Deployment[]>): boolean {
  return new Set([...values.values()].flat().map(shapeOf)).size === 1;
}

/**
 * Finds the colours from the Service: the key of its selector whose values tell Deployments apart that have all other
 * keys in common and run the same containers. A label that names the application or a part of it is none. `wanted` names
 * the key where it cannot be told so. Throws `invalid_input`, `not_found` or `unsupported`, with what is there.
 */
export function findColours(service: Service, deployments: Deployment[], wanted?: string): Colours {
  const selector = selectorOf(service);
  const { name } = service.metadata;
  const keys = Object.keys(selector);
  if (wanted !== undefined && !keys.includes(wanted)) {
    throw new DeployError('invalid_input', `The selector of Service ${name} has no label "${wanted}".`, {
      remedy: `Its labels are ${keys.join(', ')}.`,
    });
  }
  const candidates = (wanted === undefined ? keys.filter((key) => !identity.has(key)) : [wanted]).flatMap(
    (label) => {
      const values = byLabel(selector, label, deployments);
      return values === undefined || (wanted === undefined && !areAlike(values)) ? [] : [{ label, values }];
    },
  );
  const [found, other] = candidates;
  if (found === undefined) throw withoutColours(service, selector, deployments);
  if (other !== undefined) {
    throw new DeployError(
      'invalid_input',
      `Several labels in the selector of Service ${name} tell Deployments apart: ${candidates.map(({ label }) => label).join(', ')}.`,
      { remedy: 'Say which one is switched: `slot-label`.' },
    );
  }
  const { label, values } = found;
  const doubled = [...values].find(([, list]) => list.length > 1);
  if (doubled !== undefined) {
    const [value, list] = doubled;
    throw new DeployError(
      'invalid_input',
      `${list.map(({ metadata }) => metadata.name).join(' and ')} both have pods with ${selectorText({ ...selector, [label]: value })}.`,
      { remedy: `Give one of them another label, so that Service ${name} sends to one Deployment.` },
    );
  }
  const serving = selector[label] ?? '';
  if (!values.has(serving)) {
    throw new DeployError(
      'not_found',
      `Service ${name} sends to ${label}=${serving}, which no Deployment has.`,
      {
        remedy: `Deployments have ${[...values.keys()]
          .toSorted()
          .map((value) => `${label}=${value}`)
          .join(', ')}.`,
      },
    );
  }
  const { [label]: _, ...base } = selector;
  const sorted = [...values].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return {
    service,
    label,
    base,
    serving,
    deployments: new Map(
      sorted.flatMap(([value, [deployment]]) => (deployment === undefined ? [] : [[value, deployment]])),
    ),
  };
}

function withoutColours(
  service: Service,
  selector: Record<string, string>,
  deployments: Deployment[],
): DeployError {
  const { name, namespace } = service.metadata;
  const matching = deployments.filter((deployment) => hasLabels(labelsOf(deployment), selector));
  const text = selectorText(selector);
  if (matching.length === 0) {
    const known = deployments.map(({ metadata }) => metadata.name).join(', ');
    return new DeployError(
      'not_found',
      `No Deployment in namespace ${namespace ?? ''} has pods with ${text}, which Service ${name} sends to.`,
      {
        remedy:
          known === '' ? 'There are no Deployments in this namespace.' : `Its Deployments are ${known}.`,
      },
    );
  }
  const [first] = matching;
  return new DeployError(
    'unsupported',
    `Service ${name} has no second colour: of its selector (${text}), no label tells two Deployments apart; ${first?.metadata.name ?? ''} has all of it.`,
    {
      remedy:
        'Make a second Deployment that runs the same containers and whose pods differ in one label of the selector, such as version: blue and version: green; or say which label it is (`slot-label`). With `adopt: true`, two colours are made from this one.',
    },
  );
}

/** Other Services that would go on sending to the old colour: their selectors name it, too. */
export function otherServicesOn(colours: Colours, services: Service[]): Service[] {
  return services.filter(
    ({ metadata, spec }) =>
      metadata.name !== colours.service.metadata.name &&
      spec.selector?.[colours.label] === colours.serving &&
      hasLabels(spec.selector, colours.base),
  );
}
