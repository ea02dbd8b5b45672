// testdata/engine has what dockerd 20.10 said: of itself with its defaults, debugging and an insecure registry (info.json), and closed as far
// as it goes (info-closed.json); of a container that has everything, and of one that gives nothing away. What is not looked at is left out.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkContainer, checkEngine, type Fields } from './engine-rules.ts';

const recorded = (name: string): unknown =>
  JSON.parse(readFileSync(join(import.meta.dirname, '../testdata/engine', name), 'utf8'));
const info = recorded('info.json') as Fields;
const closed = recorded('info-closed.json') as Fields;
const [bridge] = recorded('bridge.json') as Fields[];
const [closedBridge] = recorded('bridge-closed.json') as Fields[];
const [open = {}, good = {}] = recorded('containers.json') as Fields[];
const rulesOf = (hits: readonly { rule: string }[]) => hits.map(({ rule }) => rule);

const options = (...names: string[]) => ({ SecurityOptions: ['name=seccomp,profile=builtin', ...names] });

describe('an engine', () => {
  it('with its defaults, debugging and a registry without TLS is told so', () => {
    expect(rulesOf(checkEngine(info, bridge))).toEqual([
      'engine-traffic',
      'engine-debug',
      'insecure-registry',
      'engine-users',
      'engine-authorization',
      'engine-logs',
      'engine-restart',
    ]);
    expect(checkEngine(info, bridge)).toContainEqual({
      rule: 'insecure-registry',
      subject: 'engine',
      message: 'without TLS: 10.20.0.0/16',
    });
  });

  it('that is closed, but for an open port, has few findings', () => {
    expect(rulesOf(checkEngine(closed, closedBridge))).toEqual([
      'engine-without-tls',
      'engine-users',
      'engine-authorization',
      'engine-experimental',
    ]);
    expect(checkEngine(closed, closedBridge)[0]?.message).toBe('its API is open at http://127.0.0.1:12375');
  });

  it.each<[string, Fields, string, boolean]>([
    ['maps users', options('name=userns'), 'engine-users', false],
    ['is rootless', options('name=rootless'), 'engine-users', false],
    ['has an authorization plugin', { Plugins: { Authorization: ['opa'] } }, 'engine-authorization', false],
    ['says nothing of privileges, as old ones', {}, 'engine-privileges', false],
    ['says nothing of privileges', { ServerVersion: '28.2.2' }, 'engine-privileges', true],
    [
      'gives no privileges',
      { ServerVersion: '28.2.2', ...options('name=no-new-privileges') },
      'engine-privileges',
      false,
    ],
    ['has no seccomp', { SecurityOptions: [] }, 'engine-unconfined', true],
    [
      'has its seccomp off',
      { SecurityOptions: ['name=seccomp,profile=unconfined'] },
      'engine-unconfined',
      true,
    ],
    ['stores by aufs', { Driver: 'aufs' }, 'aufs-storage', true],
    ['is in a swarm', { Swarm: { LocalNodeState: 'active' } }, 'swarm', true],
    ['is in a swarm', { Swarm: { LocalNodeState: 'active' } }, 'engine-restart', false],
    [
      'has a registry that is not secure',
      { RegistryConfig: { IndexConfigs: { 'r.example': { Secure: false } } } },
      'insecure-registry',
      true,
    ],
  ])('that %s', (_what, change, rule, found) => {
    expect(rulesOf(checkEngine({ ...info, ...change }, bridge)).includes(rule)).toBe(found);
  });
});

describe('a container', () => {
  it('that has everything gives all of it away', () => {
    const hits = checkContainer(open, info);
    expect(new Set(hits.map(({ subject }) => subject))).toEqual(new Set(['container ci']));
    expect(rulesOf(hits)).toEqual([
      'privileged',
      'added-capabilities',
      'host-network',
      'host-processes',
      'host-names',
      'docker-socket',
      'host-path',
      'host-device',
      'unconfined',
      'writable-root',
      'no-memory-limit',
      'no-cpu-limit',
      'no-process-limit',
      'root-user',
      'latest-tag',
      'no-health-check',
    ]);
    // Read-only.
    expect(hits.find(({ rule }) => rule === 'host-path')).toMatchObject({ severity: 'medium' });
  });

  it('that gives nothing away has no findings', () => {
    expect(checkContainer(good, info)).toEqual([]);
  });

  const host = (change: Fields) => ({
    ...good,
    HostConfig: { ...(good['HostConfig'] as Fields), ...change },
  });
  it.each<[string, Fields, Fields, string[]]>([
    [
      'takes ports',
      host({
        PortBindings: {
          '80/tcp': [{ HostIp: '', HostPort: '80' }],
          '81/tcp': [{ HostIp: '127.0.0.1', HostPort: '8081' }],
        },
      }),
      info,
      ['privileged-port', 'every-address'],
    ],
    ['has the network of the host', host({ NetworkMode: 'host' }), info, ['host-network']],
    [
      'may gain privileges where the engine does not say',
      host({ SecurityOpt: null }),
      info,
      ['privilege-escalation'],
    ],
    ['may not where the engine says so', host({ SecurityOpt: null }), options('name=no-new-privileges'), []],
    ['has shares of CPU', host({ NanoCpus: 0, CpuShares: 512 }), info, []],
    [
      'is outside of the mapping of users',
      host({ UsernsMode: 'host' }),
      { ...info, SecurityOptions: ['name=userns'] },
      ['host-users'],
    ],
    [
      'shows its mounts on the host',
      {
        ...good,
        Mounts: [{ Type: 'volume', Source: '/var/lib/docker/volumes/a/_data', Propagation: 'rshared' }],
      },
      info,
      ['shared-mount'],
    ],
    [
      'is root by name',
      { ...good, Config: { ...(good['Config'] as Fields), User: 'root' } },
      info,
      ['root-user'],
    ],
  ])('that %s', (_what, container, engine, found) => {
    expect(rulesOf(checkContainer(container, engine))).toEqual(found);
  });
});
