import type { YamlNode } from '@deploy-actions/core';
import { entryOf, flagOf, itemsOf, isMapping, nodeOf, textOf } from './documents.ts';
import type { Hit } from './rules.ts';
import { capability, isRoot, mountKind, severityOfCapability, untagged, withDefaults } from './shared.ts';

interface Service {
  name: string;
  /** Line of its name. */
  line: number;
  node: YamlNode;
}

/** A rule about one service. What is missing is asked of whole services alone: an override file says only what it changes. */
type ComposeRule = (service: Service) => Hit[];

const lineOf = (service: Service, key: string) => entryOf(service.node, key)?.place.line ?? service.line;

function hit(
  service: Service,
  rule: Hit['rule'],
  line: number,
  message: string,
  severity?: Hit['severity'],
): Hit {
  return { rule, subject: service.name, line, message, ...(severity === undefined ? {} : { severity }) };
}

const privileged: ComposeRule = (service) =>
  flagOf(service.node, 'privileged') === true
    ? [hit(service, 'privileged', lineOf(service, 'privileged'), 'it is privileged')]
    : [];

const rootUser: ComposeRule = (service) => {
  const user = textOf(service.node, 'user');
  return user !== undefined && isRoot(user)
    ? [hit(service, 'root-user', lineOf(service, 'user'), `its user is ${user}`, 'high')]
    : [];
};

const capabilities: ComposeRule = (service) => {
  const added = itemsOf(service.node, 'cap_add').flatMap((item) => {
    const name = textOf(item) ?? '';
    const severity = severityOfCapability(name);
    return severity === undefined
      ? []
      : [
          hit(
            service,
            'added-capabilities',
            item.place.line,
            `it has the capability ${capability(name)}`,
            severity,
          ),
        ];
  });
  const drops = itemsOf(service.node, 'cap_drop').some((item) => capability(textOf(item) ?? '') === 'ALL');
  return drops || !isWhole(service)
    ? added
    : [...added, hit(service, 'kept-capabilities', service.line, 'it does not drop all capabilities')];
};

const shared = {
  network_mode: 'host-network',
  pid: 'host-processes',
  ipc: 'host-ipc',
  userns_mode: 'host-users',
} as const;

const namespaces: ComposeRule = (service) =>
  Object.entries(shared).flatMap(([key, rule]) =>
    textOf(service.node, key) === 'host'
      ? [hit(service, rule, lineOf(service, key), `\`${key}\` is host`)]
      : [],
  );

const mounts: ComposeRule = (service) =>
  itemsOf(service.node, 'volumes').flatMap((item) => {
    const said = withDefaults((isMapping(item) ? textOf(item, 'source') : textOf(item)) ?? '');
    const source = isMapping(item) ? said : /^([^:]+):/.exec(said)?.[1];
    if (source === undefined || !source.startsWith('/')) return [];
    const kind = mountKind(source);
    if (kind === 'other') return [];
    const rule = kind === 'socket' ? 'docker-socket' : 'host-path';
    return [hit(service, rule, item.place.line, `it mounts ${source} of the host`)];
  });

const options: ComposeRule = (service) => {
  const said = itemsOf(service.node, 'security_opt');
  const unconfined = said.flatMap((item) => {
    const text = textOf(item) ?? '';
    return /^(?:seccomp|apparmor)[:=]unconfined$/.test(text)
      ? [hit(service, 'unconfined', item.place.line, `it says ${text}`, 'high')]
      : [];
  });
  const closed = said.some((item) => /^no-new-privileges(?:[:=]true)?$/.test(textOf(item) ?? ''));
  return closed || !isWhole(service)
    ? unconfined
    : [
        ...unconfined,
        hit(service, 'privilege-escalation', service.line, 'it does not say no-new-privileges'),
      ];
};

const readOnlyRoot: ComposeRule = (service) =>
  isWhole(service) && flagOf(service.node, 'read_only') !== true
    ? [hit(service, 'writable-root', lineOf(service, 'read_only'), 'it does not say `read_only: true`')]
    : [];

const limits: ComposeRule = (service) => {
  if (!isWhole(service)) return [];
  const says = (...keys: string[]) => keys.some((key) => textOf(service.node, key) !== undefined);
  const limited = (key: string) => textOf(service.node, 'deploy', 'resources', 'limits', key) !== undefined;
  return [
    ...(says('mem_limit') || limited('memory')
      ? []
      : [hit(service, 'no-memory-limit', service.line, 'it has no limit of memory')]),
    ...(says('cpus', 'cpu_shares', 'cpu_quota') || limited('cpus')
      ? []
      : [hit(service, 'no-cpu-limit', service.line, 'it has no limit of CPU')]),
    ...(says('pids_limit') || limited('pids')
      ? []
      : [hit(service, 'no-process-limit', service.line, 'it has no limit of processes')]),
  ];
};

const latest: ComposeRule = (service) => {
  const image = textOf(service.node, 'image');
  // What is built here has the name that it is given.
  if (image === undefined || nodeOf(service.node, 'build') !== undefined) return [];
  const why = untagged(image);
  return why === undefined ? [] : [hit(service, 'latest-tag', lineOf(service, 'image'), why)];
};

const isWhole = ({ node }: Service) =>
  nodeOf(node, 'image') !== undefined || nodeOf(node, 'build') !== undefined;

const composeRules = [
  privileged,
  rootUser,
  capabilities,
  namespaces,
  mounts,
  options,
  readOnlyRoot,
  limits,
  latest,
];

/** What the services of a Compose file give away. */
export function checkCompose(root: YamlNode): Hit[] {
  const services = nodeOf(root, 'services');
  if (!isMapping(services)) return [];
  return [...services.entries].flatMap(([name, { place, node }]) =>
    composeRules.flatMap((rule) => rule({ name, line: place.line, node })),
  );
}
