// A real registry with a login: the one of the distribution project, as Debian has it. With `token` it sends its clients to a token
// server, which is here: https://distribution.github.io/distribution/spec/auth/token/

import { spawn } from 'node:child_process';
import { createPrivateKey, randomBytes, sign, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { requirePackages } from '../../cluster/packages.ts';
import { makeAuthority } from '../../support/certificates.ts';
import { output } from '../../support/command.ts';
import { freePort } from '../../support/ports.ts';

export interface RealRegistry {
  /** `127.0.0.1:PORT`. */
  registry: string;
  username: string;
  password: string;
  /** What the token server was asked for. */
  scopes: string[];
  stop(): Promise<void>;
}

const program = '/usr/bin/docker-registry';
const say = (line: string): void => void process.stderr.write(`${line}\n`);

export async function startRealRegistry(auth: 'basic' | 'token'): Promise<RealRegistry> {
  await requirePackages(say, { 'docker-registry': program, 'apache2-utils': 'htpasswd' });
  const folder = await mkdtemp(join(tmpdir(), 'registry-'));
  const [username, password] = ['robot', randomBytes(12).toString('hex')];
  const registry = `127.0.0.1:${await freePort()}`;
  const tokens = auth === 'token' ? await startTokens(folder, username, password) : undefined;
  const file = join(folder, 'htpasswd');
  if (tokens === undefined) await writeFile(file, await output('htpasswd', ['-Bbn', username, password]));
  const configuration = {
    version: 0.1,
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(folder, 'data') }, delete: { enabled: true } },
    // Clients may reach it by another address: that of a proxy.
    http: { addr: registry, relativeurls: true, secret: randomBytes(12).toString('hex') },
    auth: tokens?.configuration ?? { htpasswd: { realm: 'test', path: file } },
  };
  await writeFile(join(folder, 'config.yml'), JSON.stringify(configuration));
  const child = spawn(program, ['serve', join(folder, 'config.yml')], {
    stdio: 'ignore',
    env: { OTEL_TRACES_EXPORTER: 'none' },
  });
  const ended = once(child, 'exit');
  const deadline = performance.now() + 30_000;
  while (
    !(await fetch(`http://${registry}/v2/`).then(
      () => true,
      () => false,
    ))
  ) {
    if (child.exitCode !== null || performance.now() > deadline)
      throw new Error('the registry does not answer');
    await delay(50);
  }
  return {
    registry,
    username,
    password,
    scopes: tokens?.scopes ?? [],
    async stop() {
      child.kill();
      await ended;
      tokens?.server.close();
      await rm(folder, { recursive: true });
    },
  };
}

interface Tokens {
  server: Server;
  scopes: string[];
  configuration: object;
}

async function startTokens(folder: string, username: string, password: string): Promise<Tokens> {
  const { cert, key, certFile } = await makeAuthority(folder, 'tokens');
  const [issuer, service] = ['test issuer', 'test service'];
  const chain = new X509Certificate(cert).raw.toString('base64');
  const scopes: string[] = [];
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const tokenFor = (access: object[]) => {
    const now = Math.floor(Date.now() / 1_000);
    const claims = { iss: issuer, sub: username, aud: service, exp: now + 300, nbf: now - 10, iat: now };
    const text = `${encode({ typ: 'JWT', alg: 'ES256', x5c: [chain] })}.${encode({ ...claims, jti: randomBytes(8).toString('hex'), access })}`;
    const signature = sign('sha256', Buffer.from(text), {
      key: createPrivateKey(key),
      dsaEncoding: 'ieee-p1363',
    });
    return `${text}.${signature.toString('base64url')}`;
  };
  const server = createServer((request, response) => {
    const { searchParams } = new URL(request.url ?? '/', 'http://localhost');
    const expected = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
    if (request.headers.authorization !== expected || searchParams.get('service') !== service)
      return void response.writeHead(401).end();
    scopes.push(...searchParams.getAll('scope'));
    const access = searchParams.getAll('scope').map((scope) => {
      const [type, name, actions = ''] = scope.split(':');
      return { type, name, actions: actions.split(',') };
    });
    response.end(JSON.stringify({ token: tokenFor(access), expires_in: 300 }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const realm = `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`;
  return { server, scopes, configuration: { token: { realm, service, issuer, rootcertbundle: certFile } } };
}
