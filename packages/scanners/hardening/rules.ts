import type { Location, Rule, Severity, Target } from '@deploy-actions/findings';
import type { Scanned } from '../model.ts';

interface RuleText {
  title: string;
  help: string;
  severity: Severity;
  /** Numbers of the CIS benchmarks Docker 1.6.0 and Kubernetes 1.8.0: those that docker-bench-security and kube-bench give their checks. */
  docker?: string;
  kubernetes?: string;
}

/** Every rule by its id, which ignore files name. */
export const rules = {
  privileged: {
    title: 'A container is privileged',
    help: 'Give it the capabilities that it needs instead.',
    severity: 'critical',
    docker: '5.5',
    kubernetes: '5.2.2',
  },
  'docker-socket': {
    title: 'The socket of a container engine is mounted',
    help: 'Whoever can write to it is root on the host. Use a builder or a proxy that allows single calls.',
    severity: 'critical',
    docker: '5.32',
    kubernetes: '5.2.12',
  },
  'host-path': {
    title: 'A directory of the host is mounted',
    help: 'Use a volume, or a directory of the application.',
    severity: 'high',
    docker: '5.6',
    kubernetes: '5.2.12',
  },
  'host-network': {
    title: "The host's network is shared",
    help: 'Publish the ports that are needed.',
    severity: 'high',
    docker: '5.10',
    kubernetes: '5.2.5',
  },
  'host-processes': {
    title: "The host's process namespace is shared",
    help: 'Leave it out.',
    severity: 'high',
    docker: '5.16',
    kubernetes: '5.2.3',
  },
  'host-ipc': {
    title: "The host's IPC namespace is shared",
    help: 'Leave it out.',
    severity: 'high',
    docker: '5.17',
    kubernetes: '5.2.4',
  },
  'host-users': {
    title: "The host's user namespace is shared",
    help: 'Leave it out.',
    severity: 'high',
    docker: '5.31',
  },
  'host-port': {
    title: 'A port of the node is taken',
    help: 'Use a Service.',
    severity: 'low',
    kubernetes: '5.2.13',
  },
  'added-capabilities': {
    title: 'Capabilities are added',
    help: 'Add none but NET_BIND_SERVICE.',
    severity: 'medium',
    docker: '5.4',
    kubernetes: '5.2.9',
  },
  'kept-capabilities': {
    title: 'The capabilities that engines give are kept',
    help: 'Drop ALL, then add what is needed.',
    severity: 'low',
    docker: '5.4',
    kubernetes: '5.2.10',
  },
  'root-user': {
    title: 'It may run as root',
    help: 'Say another user: USER in the Dockerfile, `user` in Compose, `runAsNonRoot: true` in Kubernetes.',
    severity: 'medium',
    docker: '4.1',
    kubernetes: '5.2.7',
  },
  'privilege-escalation': {
    title: 'A process may gain more privileges than its parent',
    help: 'Say `allowPrivilegeEscalation: false`, or `security_opt: [no-new-privileges:true]` in Compose.',
    severity: 'medium',
    docker: '5.26',
    kubernetes: '5.2.6',
  },
  unconfined: {
    title: 'System calls or access are not confined',
    help: 'Leave the default profile of the engine on (`RuntimeDefault` in Kubernetes).',
    severity: 'medium',
    docker: '5.22',
    kubernetes: '5.7.2',
  },
  'writable-root': {
    title: 'The root file system can be written to',
    help: 'Make it read-only, and mount memory or a volume where the application writes.',
    severity: 'low',
    docker: '5.13',
    kubernetes: '5.7.3',
  },
  'no-memory-limit': {
    title: 'Memory is not limited',
    help: 'Set a limit, so that one container cannot take the memory of all.',
    severity: 'medium',
    docker: '5.11',
  },
  'no-cpu-limit': {
    title: 'CPU is neither limited nor shared out',
    help: 'Set a limit, or a request in Kubernetes.',
    severity: 'low',
    docker: '5.12',
  },
  'no-process-limit': {
    title: 'The number of processes is not limited',
    help: 'Set `pids_limit`.',
    severity: 'low',
    docker: '5.29',
  },
  'latest-tag': {
    title: 'The image is not of a certain version',
    help: 'Name a version, better a digest.',
    severity: 'medium',
  },
  'service-account-token': {
    title: 'A token for the API of the cluster is mounted',
    help: 'Say `automountServiceAccountToken: false` where the API is not used.',
    severity: 'low',
    kubernetes: '5.1.6',
  },
  'network-policy-missing': {
    title: 'No NetworkPolicy says who may connect',
    help: 'Add one that denies by default, and others that allow what is needed.',
    severity: 'medium',
    kubernetes: '5.3.2',
  },
  'network-policy-open': {
    title: 'A NetworkPolicy allows everybody',
    help: 'Say who may connect, and to which ports.',
    severity: 'high',
    kubernetes: '5.3.2',
  },
  'dns-blocked': {
    title: 'What may be connected to is restricted, and DNS is not allowed',
    help: 'Allow port 53 of UDP and TCP, or no name can be resolved.',
    severity: 'medium',
    kubernetes: '5.3.2',
  },
  'secret-in-image': {
    title: 'A secret is written into the image',
    help: 'Use a build secret (`RUN --mount=type=secret`), or give it when the container starts.',
    severity: 'high',
    docker: '4.10',
  },
  'update-alone': {
    title: 'Package lists are updated in an instruction of their own',
    help: 'Update and install in one RUN: the layer with the lists is cached and grows old.',
    severity: 'low',
    docker: '4.7',
  },
  'unpinned-base': {
    title: 'The base of an image is not pinned',
    help: 'Name its digest (`FROM python:3.13-slim@sha256:…`), or take it from an ARG that has one, so that the same source makes the same image.',
    severity: 'medium',
    docker: '4.2',
  },
  'kept-package-lists': {
    title: 'Package lists stay in the image',
    help: 'End the same RUN with `rm -rf /var/lib/apt/lists/*`.',
    severity: 'low',
    docker: '4.3',
  },
  'add-instead-of-copy': {
    title: 'ADD is used',
    help: 'Use COPY; ADD fetches addresses and unpacks archives unasked.',
    severity: 'low',
    docker: '4.9',
  },
  'no-health-check': {
    title: 'The image says no health check',
    help: 'Add HEALTHCHECK, or say `HEALTHCHECK NONE` where the platform checks.',
    severity: 'low',
    docker: '4.6',
  },
  'host-names': {
    title: "The host's UTS namespace is shared",
    help: 'Leave it out: a container could change the name of the host.',
    severity: 'medium',
    docker: '5.21',
  },
  'host-device': {
    title: 'A device of the host is given to a container',
    help: 'Leave it out, or give the one device that is needed without the right to make it anew.',
    severity: 'medium',
    docker: '5.18',
  },
  'shared-mount': {
    title: 'Mounts of a container show on the host',
    help: 'Use the propagation `private` or `slave`.',
    severity: 'medium',
    docker: '5.20',
  },
  'privileged-port': {
    title: 'A port below 1024 of the host is taken',
    help: 'Publish a higher one, and let a proxy or the firewall lead there.',
    severity: 'low',
    docker: '5.8',
  },
  'every-address': {
    title: 'A port is published on every address of the host',
    help: 'Name the address: `127.0.0.1:8080:8080`.',
    severity: 'low',
    docker: '5.14',
  },
  'engine-traffic': {
    title: 'Containers on the default bridge may all connect to each other',
    help: 'Set `"icc": false` in daemon.json, and use networks that are made for an application.',
    severity: 'low',
    docker: '2.2',
  },
  'engine-debug': {
    title: 'The engine logs more than `info`',
    help: 'Take `debug` and a lower `log-level` out of daemon.json.',
    severity: 'low',
    docker: '2.3',
  },
  'insecure-registry': {
    title: 'Images may come from a registry without TLS',
    help: 'Give the registry a certificate, and take it out of `insecure-registries`.',
    severity: 'high',
    docker: '2.5',
  },
  'aufs-storage': {
    title: 'The storage driver is aufs',
    help: 'Use overlay2.',
    severity: 'low',
    docker: '2.6',
  },
  'engine-without-tls': {
    title: 'The API of the engine can be reached without a certificate',
    help: 'Whoever reaches it is root on the host. Take the address out of `hosts`, or set `tlsverify`.',
    severity: 'critical',
    docker: '2.7',
  },
  'engine-users': {
    title: 'Users in containers are those of the host',
    help: 'Set `userns-remap` in daemon.json, or run the engine rootless.',
    severity: 'low',
    docker: '2.9',
  },
  'engine-authorization': {
    title: 'Whoever may use the engine may do everything with it',
    help: 'Use an authorization plugin where several people or programs use the engine.',
    severity: 'low',
    docker: '2.12',
  },
  'engine-logs': {
    title: 'Logs of containers stay on the host alone',
    help: 'Use a log driver that sends them elsewhere, or collect the files.',
    severity: 'low',
    docker: '2.13',
  },
  'engine-privileges': {
    title: 'The engine lets processes gain privileges unless a container says otherwise',
    help: 'Set `"no-new-privileges": true` in daemon.json.',
    severity: 'low',
    docker: '2.14',
  },
  'engine-restart': {
    title: 'Containers end when the engine ends',
    help: 'Set `"live-restore": true` in daemon.json.',
    severity: 'low',
    docker: '2.15',
  },
  'engine-unconfined': {
    title: 'The engine confines no system calls',
    help: 'Leave its default seccomp profile on.',
    severity: 'high',
    docker: '2.17',
  },
  'engine-experimental': {
    title: 'Experimental features are on',
    help: 'Take `experimental` out of daemon.json.',
    severity: 'low',
    docker: '2.18',
  },
  swarm: {
    title: 'Swarm mode is on',
    help: 'Leave the swarm (`docker swarm leave`) where it is not used: it listens on ports of its own.',
    severity: 'low',
    docker: '5.1',
  },
} as const satisfies Record<string, RuleText>;

export type RuleId = keyof typeof rules;

/** What a rule found. */
export interface Hit {
  rule: RuleId;
  /** The container, service, stage or policy. */
  subject: string;
  /** From 1. */
  line: number;
  /** What is there, without the end of the sentence. */
  message: string;
  /** When it is worse, or less bad, than the rule is in general. */
  severity?: Severity;
}

export function hardeningRule(id: RuleId): Rule {
  const { title, help, docker, kubernetes }: RuleText = rules[id];
  return {
    id,
    title,
    help,
    link: null,
    tags: [
      'security',
      'misconfiguration',
      ...(docker === undefined ? [] : [`CIS-Docker-${docker}`]),
      ...(kubernetes === undefined ? [] : [`CIS-Kubernetes-${kubernetes}`]),
    ],
  };
}

/** `CIS Docker 5.5`: the numbers of a rule, for people. */
const numbersOf = ({ tags }: Rule) =>
  tags.filter((tag) => tag.startsWith('CIS-')).map((tag) => tag.replaceAll('-', ' '));

/** A hit of something that is looked at, in a file of the repository or nowhere in it. */
export function findingOfHit(hit: Omit<Hit, 'line'>, target: Target, location: Location | null): Scanned {
  const rule = hardeningRule(hit.rule);
  const numbers = numbersOf(rule);
  return {
    class: 'misconfiguration',
    rule,
    severity: hit.severity ?? rules[hit.rule].severity,
    message: `${hit.subject}: ${hit.message}.${numbers.length === 0 ? '' : ` (${numbers.join(', ')})`}`,
    target,
    subject: { name: hit.subject, version: null, fixedVersion: null, path: null },
    location,
    context: hit.message,
    purl: null,
    fixable: true,
  };
}

/** A hit in a file, as a finding. */
export function hardeningFinding(hit: Hit, file: string, kind: 'manifest' | 'dockerfile'): Scanned {
  const location = { file, startLine: hit.line, endLine: hit.line };
  return findingOfHit(hit, { kind, name: file, version: null }, location);
}
