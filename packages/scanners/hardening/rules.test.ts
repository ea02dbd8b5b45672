import { describe, expect, it } from 'vitest';
import { checkCompose } from './compose.ts';
import { readDockerfile } from '@deploy-actions/dockerfile';
import { checkDockerfile } from './dockerfile.ts';
import { readDocuments } from './documents.ts';
import { checkWorkload, manifestsOf, workloadOf } from './kubernetes.ts';
import { checkPolicies, checkReach } from './network-policies.ts';
import { hardeningRule, type RuleId, rules } from './rules.ts';

/** `rule:line` of every hit. */
type Place = `${RuleId}:${number}`;

const placesOf = (hits: readonly { rule: RuleId; line: number }[]) =>
  hits.map(({ rule, line }): Place => `${rule}:${line}`);

async function compose(text: string): Promise<Place[]> {
  const documents = await readDocuments(text);
  return placesOf(documents.flatMap(({ root }) => (root === null ? [] : checkCompose(root))));
}

async function kubernetes(text: string): Promise<Place[]> {
  const documents = await readDocuments(text);
  const manifests = documents.flatMap(({ root, offset, problems }) => {
    expect(problems).toEqual([]);
    return root === null ? [] : manifestsOf(root, 'x.yaml', offset);
  });
  const policies = manifests.filter(({ kind }) => kind === 'NetworkPolicy');
  return placesOf([
    ...manifests
      .flatMap((manifest) => workloadOf(manifest) ?? [])
      .flatMap((workload) => [...checkWorkload(workload, manifests), ...checkReach(workload, policies)]),
    ...checkPolicies(policies),
  ]);
}

const goodService = `services:
  backend:
    image: ghcr.io/acme/backend:1.4.2
    user: "1000:1000"
    read_only: true
    cap_drop: [ALL]
    security_opt: [no-new-privileges:true]
    mem_limit: 512m
    cpus: 0.5
    pids_limit: 100
`;

describe('a Compose service', () => {
  it('that gives nothing away has no findings', async () => {
    expect(await compose(goodService)).toEqual([]);
  });

  it.each<[string, Place]>([
    ['    privileged: true', 'privileged:11'],
    ['    privileged: True', 'privileged:11'],
    ['    privileged: "yes"', 'privileged:11'],
    ['    network_mode: host', 'host-network:11'],
    ['    pid: host', 'host-processes:11'],
    ['    ipc: host', 'host-ipc:11'],
    ['    userns_mode: host', 'host-users:11'],
    ['    cap_add: [NET_BIND_SERVICE, CAP_SYS_ADMIN]', 'added-capabilities:11'],
    [
      '    volumes:\n      - data:/data\n      - /var/run/docker.sock:/var/run/docker.sock:ro',
      'docker-socket:13',
    ],
    ['    volumes:\n      - { type: bind, source: /etc, target: /x }', 'host-path:12'],
    ['    volumes:\n      - ${DOCKER_SOCK:-/var/run/docker.sock}:/var/run/docker.sock', 'docker-socket:12'],
    [
      '    volumes:\n      - { type: bind, source: "${SOCK-/run/docker.sock}", target: /x }',
      'docker-socket:12',
    ],
  ])('with %j has one finding', async (lines, place) => {
    expect(await compose(`${goodService}${lines}\n`)).toEqual([place]);
  });

  it.each<[string, string, Place]>([
    ['user: "1000:1000"', 'user: root', 'root-user:4'],
    ['read_only: true', 'read_only: false', 'writable-root:5'],
    ['cap_drop: [ALL]', 'cap_drop: [CHOWN]', 'kept-capabilities:2'],
    ['security_opt: [no-new-privileges:true]', 'labels: {}', 'privilege-escalation:2'],
    ['security_opt: [', 'security_opt: [seccomp:unconfined, ', 'unconfined:7'],
    ['mem_limit: 512m', 'labels: {}', 'no-memory-limit:2'],
    ['cpus: 0.5', 'labels: {}', 'no-cpu-limit:2'],
    ['pids_limit: 100', 'labels: {}', 'no-process-limit:2'],
    ['backend:1.4.2', 'backend', 'latest-tag:3'],
    ['backend:1.4.2', 'backend:${TAG:-latest}', 'latest-tag:3'],
  ])('with %j made %j has one finding', async (good, bad, place) => {
    expect(await compose(goodService.replace(good, bad))).toEqual([place]);
  });

  it.each([
    ['an override of it', 'services:\n  backend:\n    environment: { DEBUG: "1" }\n'],
    [
      'limits below deploy',
      goodService.replace('mem_limit: 512m', 'deploy: { resources: { limits: { memory: 1g } } }'),
    ],
    ['a version by variable', goodService.replace('1.4.2', '${VERSION}')],
    ['a digest', goodService.replace(':1.4.2', `@sha256:${'a'.repeat(64)}`)],
    ['a registry with a port', goodService.replace('ghcr.io', 'registry.example:5000')],
    [
      'what is merged in',
      `x-safe: &safe\n  read_only: true\n  cap_drop: [ALL]\n  security_opt: [no-new-privileges:true]\n  mem_limit: 1g\n  cpus: 1\n  pids_limit: 10\nservices:\n  web:\n    <<: *safe\n    image: nginx:1.29\n`,
    ],
  ])('with %s has none', async (_what, text) => {
    expect(await compose(text)).toEqual([]);
  });
});

const goodManifest = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: backend
spec:
  template:
    metadata:
      labels: { app: backend }
    spec:
      automountServiceAccountToken: false
      securityContext:
        runAsNonRoot: true
        seccompProfile: { type: RuntimeDefault }
      containers:
        - name: app
          image: ghcr.io/acme/backend:1.4.2
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: { drop: [ALL] }
          resources:
            limits: { memory: 512Mi, cpu: 500m }
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: backend }
spec:
  podSelector: { matchLabels: { app: backend } }
  policyTypes: [Ingress, Egress]
  ingress:
    - from: [{ podSelector: {} }]
  egress:
    - ports: [{ port: 53, protocol: UDP }]
`;

describe('a workload of Kubernetes', () => {
  it('that gives nothing away has no findings', async () => {
    expect(await kubernetes(goodManifest)).toEqual([]);
  });

  it.each<[string, string, Place]>([
    ['automountServiceAccountToken: false', 'hostNetwork: false', 'service-account-token:10'],
    ['runAsNonRoot: true', 'runAsGroup: 1', 'root-user:17'],
    ['runAsNonRoot: true', 'runAsUser: 0', 'root-user:12'],
    ['seccompProfile: { type: RuntimeDefault }', 'runAsGroup: 1', 'unconfined:17'],
    ['type: RuntimeDefault', 'type: Unconfined', 'unconfined:17'],
    ['allowPrivilegeEscalation: false', 'allowPrivilegeEscalation: true', 'privilege-escalation:18'],
    [
      'allowPrivilegeEscalation: false',
      'allowPrivilegeEscalation: false\n            privileged: true',
      'privileged:19',
    ],
    ['readOnlyRootFilesystem: true', 'runAsGroup: 1', 'writable-root:17'],
    ['drop: [ALL]', 'drop: [CHOWN]', 'kept-capabilities:20'],
    ['drop: [ALL]', 'drop: [ALL], add: [NET_ADMIN]', 'added-capabilities:20'],
    ['memory: 512Mi, ', '', 'no-memory-limit:22'],
    [', cpu: 500m', '', 'no-cpu-limit:21'],
    ['backend:1.4.2', 'backend:latest', 'latest-tag:16'],
    ['name: app', 'name: app\n          ports: [{ containerPort: 80, hostPort: 80 }]', 'host-port:16'],
    ['      containers:', '      hostNetwork: true\n      containers:', 'host-network:14'],
    ['      containers:', '      hostPID: true\n      containers:', 'host-processes:14'],
    ['      containers:', '      hostIPC: true\n      containers:', 'host-ipc:14'],
    [
      '      containers:',
      '      volumes: [{ name: a, hostPath: { path: /data } }]\n      containers:',
      'host-path:14',
    ],
    [
      '      containers:',
      '      volumes: [{ name: a, hostPath: { path: /run/containerd/containerd.sock } }]\n      containers:',
      'docker-socket:14',
    ],
    ['matchLabels: { app: backend }', 'matchLabels: { app: other }', 'network-policy-missing:3'],
    ['policyTypes: [Ingress, Egress]', 'policyTypes: [Egress]', 'network-policy-missing:3'],
    [
      'metadata: { name: backend }',
      'metadata: { name: backend, namespace: other }',
      'network-policy-missing:3',
    ],
    ['- from: [{ podSelector: {} }]', '- {}', 'network-policy-open:31'],
    ['- from: [{ podSelector: {} }]', '- from: [{ ipBlock: { cidr: 0.0.0.0/0 } }]', 'network-policy-open:31'],
    ['port: 53, protocol: UDP', 'port: 5432', 'dns-blocked:3'],
    [
      '- ports: [{ port: 53, protocol: UDP }]',
      '- to: [{ podSelector: { matchLabels: { app: postgres } } }]',
      'dns-blocked:3',
    ],
    [
      '- ports: [{ port: 53, protocol: UDP }]',
      '- { to: [{ podSelector: {} }], ports: [{ port: 53, protocol: UDP }] }',
      'dns-blocked:3',
    ],
    ['- ports: [{ port: 53, protocol: UDP }]', '- {}', 'network-policy-open:33'],
  ])('with %j made %j has one finding', async (good, bad, place) => {
    expect(goodManifest).toContain(good);
    expect(await kubernetes(goodManifest.replace(good, bad))).toEqual([place]);
  });

  it.each([
    [
      'a ServiceAccount without a token',
      goodManifest
        .replace('automountServiceAccountToken: false', 'serviceAccountName: b')
        .concat(
          '---\napiVersion: v1\nkind: ServiceAccount\nmetadata: { name: b }\nautomountServiceAccountToken: false\n',
        ),
    ],
    ['a user that is not root', goodManifest.replace('runAsNonRoot: true', 'runAsUser: 1000')],
    ['a policy for all pods', goodManifest.replace('{ matchLabels: { app: backend } }', '{}')],
    [
      'a policy by expression',
      goodManifest.replace(
        'matchLabels: { app: backend }',
        'matchExpressions: [{ key: app, operator: In, values: [backend] }]',
      ),
    ],
    [
      'DNS in another namespace',
      goodManifest.replace(
        '- ports: [{ port: 53, protocol: UDP }]',
        '- to: [{ namespaceSelector: {}, podSelector: { matchLabels: { k8s-app: kube-dns } } }]',
      ),
    ],
    [
      'booleans in capitals',
      goodManifest.replace(/: (true|false)\b/g, (_, said: string) => `: ${said.toUpperCase()}`),
    ],
    ['DNS in a range of ports', goodManifest.replace('port: 53,', 'port: 50, endPort: 60,')],
    [
      'a port that everybody may connect to',
      goodManifest.replace('- from: [{ podSelector: {} }]', '- ports: [{ port: 443 }]'),
    ],
    ['objects that run nothing', 'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\n'],
    ['no objects at all', 'on: push\nkind: other\n'],
  ])('with %s has none', async (_what, text) => {
    expect(await kubernetes(text)).toEqual([]);
  });

  it('in a List, and of a CronJob, is found on its line', async () => {
    const list = `apiVersion: v1
kind: List
items:
  - apiVersion: batch/v1
    kind: CronJob
    metadata: { name: nightly }
    spec:
      jobTemplate:
        spec:
          template:
            spec:
              hostNetwork: true
              containers: []
`;
    expect(await kubernetes(`# first\n---\n${list}`)).toContain('host-network:14');
  });
});

const goodDockerfile = `# syntax=docker/dockerfile:1
FROM python:3.13-slim AS build
RUN apt-get update && apt-get install -y gcc
FROM build AS final
COPY . /app
ENV DJANGO_SETTINGS=app.settings SECRET_KEY_FILE=/run/secrets/key
USER app
HEALTHCHECK CMD ["python", "-c", "pass"]
`;

describe('a Dockerfile', () => {
  const dockerfile = (text: string) => placesOf(checkDockerfile(readDockerfile(text) ?? []));

  it('that gives nothing away has no findings', () => {
    expect(dockerfile(goodDockerfile)).toEqual([]);
  });

  it.each<[string, string, Place]>([
    ['USER app', '', 'root-user:4'],
    ['USER app', 'USER 0:0', 'root-user:7'],
    ['HEALTHCHECK CMD', 'CMD', 'no-health-check:4'],
    ['python:3.13-slim', 'python', 'latest-tag:2'],
    ['COPY . /app', 'ADD . /app', 'add-instead-of-copy:5'],
    [' && apt-get install -y gcc', '', 'update-alone:3'],
    ['DJANGO_SETTINGS=app.settings', 'DB_PASSWORD="x y"', 'secret-in-image:6'],
    ['DJANGO_SETTINGS=app.settings', 'A=1 \\\n  API_KEY=abc', 'secret-in-image:6'],
  ])('with %j made %j has one finding', (good, bad, place) => {
    expect(goodDockerfile).toContain(good);
    expect(dockerfile(goodDockerfile.replace(good, bad))).toEqual([place]);
  });

  it.each(['RUN read v <<<word', 'RUN bash -c "cat <<EOF"'])('is read to its end behind %s', (line) => {
    expect(dockerfile(goodDockerfile.replace('COPY . /app', line))).toEqual([]);
    expect(dockerfile(goodDockerfile.replace('COPY . /app', line).replace('USER app', 'USER root'))).toEqual([
      'root-user:7',
    ]);
  });

  it('does not repeat a secret', () => {
    const made = checkDockerfile(readDockerfile('FROM a:1\nARG API_TOKEN=abcdef\n') ?? []);
    expect(JSON.stringify(made)).not.toContain('abcdef');
  });

  it.each([
    ['scratch', goodDockerfile.replace('python:3.13-slim', 'scratch')],
    ['a base by argument', `ARG BASE=python:3\n${goodDockerfile.replace('python:3.13-slim', '${BASE}')}`],
    [
      'a user of the stage that it is made from',
      goodDockerfile.replace('USER app\n', '').replace('AS build\n', 'AS build\nUSER app\n'),
    ],
    ['a secret that is passed on', goodDockerfile.replace('COPY . /app', 'ARG TOKEN\nENV TOKEN=${TOKEN}')],
    [
      'text in a here-document',
      goodDockerfile.replace('COPY . /app', 'COPY <<EOF /etc/x\nADD me\nUSER root\nEOF'),
    ],
  ])('with %s has none', (_what, text) => {
    expect(dockerfile(text)).toEqual([]);
  });

  it('without FROM is none', () => {
    expect(readDockerfile('RUN true\n')).toBeUndefined();
  });
});

it('every rule has a number of a benchmark, but for the tag of an image, which no benchmark asks for', () => {
  const without = (Object.keys(rules) as RuleId[]).filter(
    (id) => !hardeningRule(id).tags.some((tag) => /^CIS-(?:Docker|Kubernetes)-\d/.test(tag)),
  );
  expect(without).toEqual(['latest-tag']);
});
