import { isRecord } from '@deploy-actions/core';
import type { Hit, RuleId } from './rules.ts';
import { capability, isRoot, mountKind, severityOfCapability, untagged } from './shared.ts';

/* What an engine says of itself (`docker info`) and of its containers (`docker inspect`):
 * https://docs.docker.com/reference/api/engine/, System and Containers. */

export type Fields = Record<string, unknown>;

/** What is found at an engine has no line. */
export type EngineHit = Omit<Hit, 'line'>;

const fieldsOf = (value: unknown): Fields => (isRecord(value) ? value : {});
const textOf = (fields: Fields, key: string) => {
  const value = fields[key];
  return typeof value === 'string' ? value : '';
};
const numberOf = (fields: Fields, key: string) => {
  const value = fields[key];
  return typeof value === 'number' ? value : 0;
};
const textsOf = (fields: Fields, key: string) => {
  const value = fields[key];
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];
};
const recordsOf = (fields: Fields, key: string) => {
  const value = fields[key];
  return Array.isArray(value) ? value.filter(isRecord) : [];
};

/** `name=seccomp,profile=builtin` by its name; undefined without one. */
function securityOption(info: Fields, name: string): string | undefined {
  return textsOf(info, 'SecurityOptions').find((option) => option.split(',')[0] === `name=${name}`);
}

/** Whether containers may gain privileges unless they say otherwise; undefined where the engine is too old to say. */
function givesPrivileges(info: Fields): boolean | undefined {
  if (securityOption(info, 'no-new-privileges') !== undefined) return false;
  return Number.parseInt(textOf(info, 'ServerVersion'), 10) >= 25 ? true : undefined;
}

const remapped = (info: Fields) =>
  ['userns', 'rootless'].some((name) => securityOption(info, name) !== undefined);

/** The engine's own ranges: nothing else listens there. */
const loopback = new Set(['127.0.0.0/8', '::1/128']);

/** What the settings of an engine give away. `bridge` is its default network, where it has one. */
export function checkEngine(info: Fields, bridge: Fields | undefined): EngineHit[] {
  const registries = fieldsOf(info['RegistryConfig']);
  const insecure = [
    ...textsOf(registries, 'InsecureRegistryCIDRs').filter((range) => !loopback.has(range)),
    ...Object.entries(fieldsOf(registries['IndexConfigs'])).flatMap(([name, config]) =>
      fieldsOf(config)['Secure'] === false ? [name] : [],
    ),
  ];
  const open = textsOf(info, 'Warnings').find((warning) => /API is accessible on/i.test(warning));
  const address = /https?:\/\/[^\s,]+/.exec(open ?? '')?.[0] ?? 'a port';
  const inSwarm = textOf(fieldsOf(info['Swarm']), 'LocalNodeState') === 'active';
  const seccomp = securityOption(info, 'seccomp');
  const driver = textOf(info, 'LoggingDriver');
  const checks: [RuleId, boolean, string][] = [
    [
      'engine-traffic',
      textOf(fieldsOf(bridge?.['Options']), 'com.docker.network.bridge.enable_icc') === 'true',
      'the default bridge connects all its containers',
    ],
    ['engine-debug', info['Debug'] === true, 'it logs for debugging'],
    ['insecure-registry', insecure.length > 0, `without TLS: ${insecure.join(', ')}`],
    ['aufs-storage', textOf(info, 'Driver') === 'aufs', 'its storage driver is aufs'],
    ['engine-without-tls', open !== undefined, `its API is open at ${address.replace(/\.$/, '')}`],
    ['engine-users', !remapped(info), 'it neither maps users nor is rootless'],
    [
      'engine-authorization',
      textsOf(fieldsOf(info['Plugins']), 'Authorization').length === 0,
      'it has no authorization plugin',
    ],
    ['engine-logs', ['json-file', 'local', 'none'].includes(driver), `its log driver is ${driver}`],
    ['engine-privileges', givesPrivileges(info) === true, '`no-new-privileges` is not its default'],
    // A swarm moves containers elsewhere, and knows no live-restore.
    ['engine-restart', info['LiveRestoreEnabled'] !== true && !inSwarm, '`live-restore` is off'],
    [
      'engine-unconfined',
      seccomp === undefined || /profile=unconfined/.test(seccomp),
      seccomp === undefined ? 'it knows no seccomp' : 'its seccomp profile is unconfined',
    ],
    ['engine-experimental', info['ExperimentalBuild'] === true, 'experimental features are on'],
    ['swarm', inSwarm, 'it is a node of a swarm'],
  ];
  return checks.flatMap(([rule, wrong, message]) => (wrong ? [{ rule, subject: 'engine', message }] : []));
}

/** What a container that runs gives away, whatever it was started by. */
export function checkContainer(container: Fields, info: Fields): EngineHit[] {
  const host = fieldsOf(container['HostConfig']);
  const config = fieldsOf(container['Config']);
  const subject = `container ${textOf(container, 'Name').replace(/^\//, '')}`;
  const hit = (rule: RuleId, message: string, severity?: Hit['severity']): EngineHit => ({
    rule,
    subject,
    message,
    ...(severity === undefined ? {} : { severity }),
  });
  const when = (wrong: boolean, rule: RuleId, message: string, severity?: Hit['severity']) =>
    wrong ? [hit(rule, message, severity)] : [];
  const isHost = (key: string) => textOf(host, key) === 'host';
  const options = textsOf(host, 'SecurityOpt');
  const privileged = host['Privileged'] === true;
  const unconfined = options.find((option) => /^(?:seccomp|apparmor)[:=]unconfined$/.test(option));
  const user = textOf(config, 'User');
  const drops = textsOf(host, 'CapDrop').some((name) => capability(name) === 'ALL');
  const mayGain =
    !options.some((option) => /^no-new-privileges(?:[:=]true)?$/.test(option)) &&
    givesPrivileges(info) !== false;
  const untaggedBecause = untagged(textOf(config, 'Image'));
  const health = textsOf(fieldsOf(config['Healthcheck']), 'Test');
  return [
    ...when(privileged, 'privileged', 'it is privileged'),
    ...textsOf(host, 'CapAdd').flatMap((name) => {
      const severity = severityOfCapability(name);
      return severity === undefined
        ? []
        : [hit('added-capabilities', `it has the capability ${capability(name)}`, severity)];
    }),
    ...when(!drops && !privileged, 'kept-capabilities', 'it does not drop all capabilities'),
    ...when(isHost('NetworkMode'), 'host-network', "it is in the host's network"),
    ...when(isHost('PidMode'), 'host-processes', "it sees the host's processes"),
    ...when(isHost('IpcMode'), 'host-ipc', "it shares the host's IPC"),
    ...when(isHost('UTSMode'), 'host-names', "it shares the host's UTS namespace"),
    ...when(isHost('UsernsMode') && remapped(info), 'host-users', 'its users are those of the host'),
    ...mountsOf(container, hit),
    ...recordsOf(host, 'Devices').map((device) =>
      hit('host-device', `it has the device ${textOf(device, 'PathOnHost')}`),
    ),
    ...when(unconfined !== undefined, 'unconfined', `it runs with ${unconfined ?? ''}`, 'high'),
    ...when(mayGain && !privileged, 'privilege-escalation', 'it does not say no-new-privileges'),
    ...when(host['ReadonlyRootfs'] !== true, 'writable-root', 'its root file system can be written to'),
    ...when(numberOf(host, 'Memory') <= 0, 'no-memory-limit', 'it has no limit of memory'),
    ...when(
      ['NanoCpus', 'CpuQuota', 'CpuShares'].every((key) => numberOf(host, key) <= 0),
      'no-cpu-limit',
      'it has neither a limit nor shares of CPU',
    ),
    ...when(numberOf(host, 'PidsLimit') <= 0, 'no-process-limit', 'it has no limit of processes'),
    ...when(user === '' && !remapped(info), 'root-user', 'neither it nor its image says a user'),
    ...when(user !== '' && isRoot(user) && !remapped(info), 'root-user', `its user is ${user}`, 'high'),
    ...when(untaggedBecause !== undefined, 'latest-tag', untaggedBecause ?? ''),
    ...when(health.length === 0, 'no-health-check', 'nothing says how its health is checked'),
    // In the network of the host nothing is published.
    ...(isHost('NetworkMode') ? [] : portsOf(host, hit)),
  ];
}

type Make = (rule: RuleId, message: string, severity?: Hit['severity']) => EngineHit;

function mountsOf(container: Fields, hit: Make): EngineHit[] {
  return recordsOf(container, 'Mounts').flatMap((mount) => {
    const source = textOf(mount, 'Source');
    const kind = textOf(mount, 'Type') === 'bind' ? mountKind(source) : 'other';
    return [
      ...(kind === 'other'
        ? []
        : [
            hit(
              kind === 'socket' ? 'docker-socket' : 'host-path',
              `it mounts ${source} of the host`,
              // What cannot be written to gives away less; the socket can be used all the same.
              kind === 'sensitive' && mount['RW'] === false ? 'medium' : undefined,
            ),
          ]),
      ...(/^r?shared$/.test(textOf(mount, 'Propagation'))
        ? [hit('shared-mount', `${source} is mounted as ${textOf(mount, 'Propagation')}`)]
        : []),
    ];
  });
}

function portsOf(host: Fields, hit: Make): EngineHit[] {
  const bindings = Object.entries(fieldsOf(host['PortBindings'])).flatMap(([port, list]) =>
    (Array.isArray(list) ? list.filter(isRecord) : []).map((binding) => ({
      port,
      address: textOf(binding, 'HostIp'),
      taken: Number(textOf(binding, 'HostPort')),
    })),
  );
  return bindings.flatMap(({ port, address, taken }) => [
    ...(taken > 0 && taken < 1_024 ? [hit('privileged-port', `it takes the port ${taken} of the host`)] : []),
    ...(['', '0.0.0.0', '::'].includes(address)
      ? [hit('every-address', `its port ${port} is published on every address`)]
      : []),
  ]);
}
