import type { YamlNode } from '@deploy-actions/core';
import { entriesOf, entryOf, flagOf, isMapping, itemsOf, nodeOf, textOf } from './documents.ts';
import type { Hit } from './rules.ts';
import { capability, mountKind, severityOfCapability, untagged } from './shared.ts';

/** An object of a manifest. Lines are of its file. */
export interface Manifest {
  file: string;
  /** Lines before its document. */
  offset: number;
  kind: string;
  name: string;
  /** As it is said; empty where it is not, which is another namespace than any that is named. */
  namespace: string;
  node: YamlNode;
}

/** The objects of a document: itself, or the items of a List. Nothing for what is no object of Kubernetes. */
export function manifestsOf(root: YamlNode, file: string, offset: number): Manifest[] {
  const kind = textOf(root, 'kind');
  if (kind === undefined || textOf(root, 'apiVersion') === undefined) return [];
  if (kind.endsWith('List') && nodeOf(root, 'items') !== undefined)
    return itemsOf(root, 'items').flatMap((item) => manifestsOf(item, file, offset));
  const name =
    textOf(root, 'metadata', 'name') ?? textOf(root, 'metadata', 'generateName') ?? 'without a name';
  return [{ file, offset, kind, name, namespace: textOf(root, 'metadata', 'namespace') ?? '', node: root }];
}

const podSpecs: Record<string, string[]> = {
  Pod: ['spec'],
  PodTemplate: ['template', 'spec'],
  CronJob: ['spec', 'jobTemplate', 'spec', 'template', 'spec'],
  ...Object.fromEntries(
    ['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet', 'ReplicationController', 'Job', 'Rollout'].map(
      (kind) => [kind, ['spec', 'template', 'spec']],
    ),
  ),
};

/** What runs pods, with what its pods are. */
export interface Workload extends Manifest {
  pod: YamlNode;
  labels: ReadonlyMap<string, string>;
}

export function workloadOf(manifest: Manifest): Workload | undefined {
  const path = podSpecs[manifest.kind];
  const pod = path === undefined ? undefined : nodeOf(manifest.node, ...path);
  if (path === undefined || !isMapping(pod)) return undefined;
  const above = nodeOf(manifest.node, ...path.slice(0, -1));
  const labels = entriesOf(above, 'metadata', 'labels').map(
    ([key, { node }]) => [key, textOf(node) ?? ''] as const,
  );
  return { ...manifest, pod, labels: new Map(labels) };
}

interface Container {
  workload: Workload;
  name: string;
  node: YamlNode;
}

type PodRule = (workload: Workload) => Hit[];
type ContainerRule = (container: Container) => Hit[];

const subjectOf = ({ kind, name }: Manifest) => `${kind} ${name}`;

/** The line of a key below a node, else of the node. */
function lineAt(node: YamlNode, offset: number, ...path: string[]): number {
  let line = node.place.line;
  let at: YamlNode | undefined = node;
  for (const key of path) {
    const entry = entryOf(at, key);
    if (entry === undefined) break;
    line = entry.place.line;
    at = entry.node;
  }
  return line + offset;
}

function ofPod(
  workload: Workload,
  rule: Hit['rule'],
  path: string[],
  message: string,
  severity?: Hit['severity'],
): Hit {
  return {
    rule,
    subject: subjectOf(workload),
    line: lineAt(workload.pod, workload.offset, ...path),
    message,
    ...(severity === undefined ? {} : { severity }),
  };
}

function ofContainer(
  { workload, name, node }: Container,
  rule: Hit['rule'],
  path: string[],
  message: string,
  severity?: Hit['severity'],
): Hit {
  return {
    rule,
    subject: `${subjectOf(workload)}, container ${name}`,
    line: lineAt(node, workload.offset, ...path),
    message,
    ...(severity === undefined ? {} : { severity }),
  };
}

const hostNamespaces: PodRule = (workload) =>
  (
    [
      ['hostNetwork', 'host-network'],
      ['hostPID', 'host-processes'],
      ['hostIPC', 'host-ipc'],
    ] as const
  ).flatMap(([key, rule]) =>
    flagOf(workload.pod, key) === true ? [ofPod(workload, rule, [key], `\`${key}\` is true`)] : [],
  );

const hostPaths: PodRule = (workload) =>
  itemsOf(workload.pod, 'volumes').flatMap((volume) => {
    const path = textOf(volume, 'hostPath', 'path');
    if (path === undefined) return [];
    const kind = mountKind(path);
    return [
      {
        rule: kind === 'socket' ? ('docker-socket' as const) : ('host-path' as const),
        subject: subjectOf(workload),
        line: lineAt(volume, workload.offset, 'hostPath', 'path'),
        message: `its volume ${textOf(volume, 'name') ?? ''} is ${path} of the node`,
        ...(kind === 'other' ? { severity: 'medium' as const } : {}),
      },
    ];
  });

const security = 'securityContext';

const privileged: ContainerRule = (container) =>
  flagOf(container.node, security, 'privileged') === true
    ? [ofContainer(container, 'privileged', [security, 'privileged'], 'it is privileged')]
    : [];

const escalation: ContainerRule = (container) =>
  flagOf(container.node, security, 'allowPrivilegeEscalation') === false
    ? []
    : [
        ofContainer(
          container,
          'privilege-escalation',
          [security, 'allowPrivilegeEscalation'],
          'it does not say `allowPrivilegeEscalation: false`',
        ),
      ];

/** What the container says goes before what the pod says, field by field. */
const rootUser: ContainerRule = (container) => {
  const said = (key: string) =>
    textOf(container.node, security, key) ?? textOf(container.workload.pod, security, key);
  const user = said('runAsUser');
  if (user !== undefined && Number(user) === 0) {
    const own = textOf(container.node, security, 'runAsUser') !== undefined;
    return own
      ? [ofContainer(container, 'root-user', [security, 'runAsUser'], '`runAsUser` is 0', 'high')]
      : [
          {
            ...ofPod(container.workload, 'root-user', [security, 'runAsUser'], '`runAsUser` is 0', 'high'),
            subject: `${subjectOf(container.workload)}, container ${container.name}`,
          },
        ];
  }
  const nonRoot =
    flagOf(container.node, security, 'runAsNonRoot') ??
    flagOf(container.workload.pod, security, 'runAsNonRoot');
  return user !== undefined || nonRoot === true
    ? []
    : [ofContainer(container, 'root-user', [security], 'it says neither `runAsNonRoot: true` nor a user')];
};

const capabilities: ContainerRule = (container) => {
  const added = itemsOf(container.node, security, 'capabilities', 'add').flatMap((item): Hit[] => {
    const name = textOf(item) ?? '';
    const severity = severityOfCapability(name);
    return severity === undefined
      ? []
      : [
          {
            ...ofContainer(
              container,
              'added-capabilities',
              [],
              `it has the capability ${capability(name)}`,
              severity,
            ),
            line: item.place.line + container.workload.offset,
          },
        ];
  });
  const drops = itemsOf(container.node, security, 'capabilities', 'drop').some(
    (item) => capability(textOf(item) ?? '') === 'ALL',
  );
  return drops
    ? added
    : [
        ...added,
        ofContainer(
          container,
          'kept-capabilities',
          [security, 'capabilities'],
          'it does not drop all capabilities',
        ),
      ];
};

const seccomp: ContainerRule = (container) => {
  const type =
    textOf(container.node, security, 'seccompProfile', 'type') ??
    textOf(container.workload.pod, security, 'seccompProfile', 'type');
  if (type === 'RuntimeDefault' || type === 'Localhost') return [];
  return type === undefined
    ? [ofContainer(container, 'unconfined', [security], 'it says no `seccompProfile`', 'low')]
    : [
        ofContainer(
          container,
          'unconfined',
          [security, 'seccompProfile'],
          `its \`seccompProfile\` is ${type}`,
          'high',
        ),
      ];
};

const readOnlyRoot: ContainerRule = (container) =>
  flagOf(container.node, security, 'readOnlyRootFilesystem') === true
    ? []
    : [
        ofContainer(
          container,
          'writable-root',
          [security, 'readOnlyRootFilesystem'],
          'it does not say `readOnlyRootFilesystem: true`',
        ),
      ];

const limits: ContainerRule = (container) => {
  const says = (list: string, key: string) => textOf(container.node, 'resources', list, key) !== undefined;
  return [
    ...(says('limits', 'memory')
      ? []
      : [ofContainer(container, 'no-memory-limit', ['resources', 'limits'], 'it has no limit of memory')]),
    ...(says('limits', 'cpu') || says('requests', 'cpu')
      ? []
      : [
          ofContainer(
            container,
            'no-cpu-limit',
            ['resources'],
            'it has neither a limit nor a request of CPU',
          ),
        ]),
  ];
};

const latest: ContainerRule = (container) => {
  const why = untagged(textOf(container.node, 'image') ?? '@');
  return why === undefined ? [] : [ofContainer(container, 'latest-tag', ['image'], why)];
};

const hostPorts: ContainerRule = (container) =>
  itemsOf(container.node, 'ports').flatMap((port) => {
    const taken = textOf(port, 'hostPort');
    return taken === undefined
      ? []
      : [
          {
            ...ofContainer(container, 'host-port', [], `it takes the port ${taken} of the node`),
            line: lineAt(port, container.workload.offset, 'hostPort'),
          },
        ];
  });

const containerRules = [
  privileged,
  escalation,
  rootUser,
  capabilities,
  seccomp,
  readOnlyRoot,
  limits,
  latest,
  hostPorts,
];

/** Whether pods with this account get no token, by what the account says. */
function accountHasNone(workload: Workload, all: readonly Manifest[]): boolean {
  const account = textOf(workload.pod, 'serviceAccountName') ?? 'default';
  return all.some(
    ({ kind, name, namespace, node }) =>
      kind === 'ServiceAccount' &&
      name === account &&
      namespace === workload.namespace &&
      flagOf(node, 'automountServiceAccountToken') === false,
  );
}

function token(workload: Workload, all: readonly Manifest[]): Hit[] {
  const own = flagOf(workload.pod, 'automountServiceAccountToken');
  return own === false || (own === undefined && accountHasNone(workload, all))
    ? []
    : [
        ofPod(
          workload,
          'service-account-token',
          ['automountServiceAccountToken'],
          'its pods get a token for the API',
        ),
      ];
}

/** What a workload gives away; `all` are the objects that it is applied with. */
export function checkWorkload(workload: Workload, all: readonly Manifest[]): Hit[] {
  const containers = ['initContainers', 'containers', 'ephemeralContainers'].flatMap((list) =>
    itemsOf(workload.pod, list).map((node, index): Container => ({
      workload,
      name: textOf(node, 'name') ?? String(index),
      node,
    })),
  );
  return [
    ...[hostNamespaces, hostPaths].flatMap((rule) => rule(workload)),
    ...token(workload, all),
    ...containers.flatMap((container) => containerRules.flatMap((rule) => rule(container))),
  ];
}
