import type { YamlNode } from '@deploy-actions/core';
import { entriesOf, entryOf, itemsOf, nodeOf, textOf } from './documents.ts';
import type { Manifest, Workload } from './kubernetes.ts';
import type { Hit } from './rules.ts';

/** A hit in the file that it stands in. */
export type PlacedHit = Hit & { file: string };

/**
 * Whether pods with these labels are selected (https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/). An empty
 * selector selects all.
 */
function selects(selector: YamlNode | undefined, labels: ReadonlyMap<string, string>): boolean {
  const equal = entriesOf(selector, 'matchLabels').every(
    ([key, { node }]) => labels.get(key) === textOf(node),
  );
  const expressed = itemsOf(selector, 'matchExpressions').every((expression) => {
    const own = labels.get(textOf(expression, 'key') ?? '');
    const values = itemsOf(expression, 'values').map((value) => textOf(value));
    switch (textOf(expression, 'operator')) {
      case 'In':
        return own !== undefined && values.includes(own);
      case 'NotIn':
        return own === undefined || !values.includes(own);
      case 'Exists':
        return own !== undefined;
      case 'DoesNotExist':
        return own === undefined;
      default:
        return false;
    }
  });
  return equal && expressed;
}

type Direction = 'Ingress' | 'Egress';

/** Without `policyTypes` a policy is about what comes in, and about what goes out when it has a rule for it. */
function isAbout({ node }: Manifest, direction: Direction): boolean {
  const types = itemsOf(node, 'spec', 'policyTypes').map((type) => textOf(type));
  if (types.length > 0) return types.includes(direction);
  return direction === 'Ingress' || nodeOf(node, 'spec', 'egress') !== undefined;
}

const rulesOf = ({ node }: Manifest, direction: Direction) => itemsOf(node, 'spec', direction.toLowerCase());

/** Peers that are not there, and those that are every address, are everybody. */
function isEverybody(rule: YamlNode, key: 'from' | 'to'): boolean {
  const peers = itemsOf(rule, key);
  return (
    peers.length === 0 ||
    peers.some((peer) => {
      const range = textOf(peer, 'ipBlock', 'cidr');
      return range === '0.0.0.0/0' || range === '::/0';
    })
  );
}

/** Policies that let everybody in, or out to everywhere, at every port. */
export function checkPolicies(policies: readonly Manifest[]): PlacedHit[] {
  return policies.flatMap((policy) =>
    (['Ingress', 'Egress'] as const).flatMap((direction) => {
      if (!isAbout(policy, direction)) return [];
      const key = direction === 'Ingress' ? 'from' : 'to';
      return rulesOf(policy, direction)
        .filter((rule) => itemsOf(rule, 'ports').length === 0 && isEverybody(rule, key))
        .map((rule): PlacedHit => ({
          rule: 'network-policy-open',
          subject: `NetworkPolicy ${policy.name}`,
          file: policy.file,
          line: rule.place.line + policy.offset,
          message:
            direction === 'Ingress'
              ? 'everybody may connect to every port'
              : 'everything may be connected to, at every port',
          // What goes out is open wherever nothing is said; what comes in is what policies are written for.
          ...(direction === 'Egress' ? { severity: 'medium' } : {}),
        }));
    }),
  );
}

/** The pods of the policy's own namespace are not the DNS of the cluster, unless that is where it runs. */
function mayReachDns(rule: YamlNode, { namespace }: Manifest): boolean {
  const peers = itemsOf(rule, 'to');
  return (
    peers.length === 0 ||
    namespace === 'kube-system' ||
    peers.some((peer) => ['namespaceSelector', 'ipBlock'].some((key) => nodeOf(peer, key) !== undefined))
  );
}

/** Ranges, numbers and the name that the DNS of clusters gives its port. */
function allowsDns(rule: YamlNode, policy: Manifest): boolean {
  if (!mayReachDns(rule, policy)) return false;
  const ports = itemsOf(rule, 'ports');
  if (ports.length === 0) return true;
  return ports.some((port) => {
    const said = textOf(port, 'port');
    const end = Number(textOf(port, 'endPort') ?? said);
    const protocol = textOf(port, 'protocol') ?? 'TCP';
    return (
      protocol === 'UDP' &&
      (said === undefined || said.startsWith('dns') || (Number(said) <= 53 && 53 <= end))
    );
  });
}

/** Whether policies say who may connect to a workload, and leave it its DNS. */
export function checkReach(workload: Workload, policies: readonly Manifest[]): PlacedHit[] {
  const own = policies.filter(
    ({ namespace, node }) =>
      namespace === workload.namespace && selects(nodeOf(node, 'spec', 'podSelector'), workload.labels),
  );
  const line = (entryOf(workload.node, 'metadata')?.place.line ?? workload.node.place.line) + workload.offset;
  const subject = `${workload.kind} ${workload.name}`;
  const hits: PlacedHit[] = [];
  if (!own.some((policy) => isAbout(policy, 'Ingress'))) {
    hits.push({
      rule: 'network-policy-missing',
      subject,
      file: workload.file,
      line,
      message: 'no NetworkPolicy in the scanned files says who may connect to its pods',
    });
  }
  const out = own.filter((policy) => isAbout(policy, 'Egress'));
  const dns = out.some((policy) => rulesOf(policy, 'Egress').some((rule) => allowsDns(rule, policy)));
  if (out.length > 0 && !dns) {
    hits.push({
      rule: 'dns-blocked',
      subject,
      file: workload.file,
      line,
      message: `${out.map(({ name }) => name).join(', ')} restrict what its pods may connect to, and none allows DNS`,
    });
  }
  return hits;
}
