// The sample platform as images: built from its Dockerfiles, pushed, and started on a real engine as a hardened platform would start
// them: no root, no capability, no new privileges, nothing to write on but /tmp.

import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { baseArguments, makePlatform, platformImages } from '../helpdesk/platform.ts';
import { freePort } from '../support/ports.ts';
import { type Engine, openEngine } from './engine/engine.ts';
import { manifestAt } from './engine/registry-client.ts';

type ImageName = keyof typeof platformImages;
const names = Object.keys(platformImages) as ImageName[];
const version = '2.0.0';
const say = (line: string): void => void process.stderr.write(`${line}\n`);
const hardened = [
  '--read-only',
  '--tmpfs',
  '/tmp',
  '--cap-drop',
  'ALL',
  '--security-opt',
  'no-new-privileges',
];

let engine: Engine;
let folder = '';
let network = '';
const digests: Record<string, string> = {};

interface Running {
  id: string;
  /** Where its port is published; '' when it has none. */
  origin: string;
}

beforeAll(async () => {
  engine = await openEngine(say);
  folder = await mkdtemp(join(tmpdir(), 'platform-'));
  network = `platform-${randomBytes(4).toString('hex')}`;
  await engine.docker('network', 'create', network);
  await makePlatform({ number: 2, directory: join(folder, 'platform') });
  await build();
});
afterAll(async () => {
  if (network !== '') {
    const left = await engine.docker('ps', '--all', '--quiet', '--filter', `network=${network}`);
    if (left !== '') await engine.docker('rm', '--force', '--volumes', ...left.split('\n'));
    await engine.docker('network', 'rm', network);
  }
  await engine?.end();
  await rm(folder, { recursive: true, force: true });
});

/** Builds and pushes the four images from one definition. */
async function build(): Promise<void> {
  const secrets = Object.entries(engine.secrets);
  const args = {
    VERSION: version,
    ...Object.fromEntries(Object.entries(baseArguments).map(([name, image]) => [name, engine.bases[image]])),
  };
  const target = Object.fromEntries(
    names.map((name) => [
      name,
      {
        context: join(folder, 'platform', platformImages[name].context),
        args,
        secret: secrets.map(([id, file]) => `type=file,id=${id},src=${file}`),
        tags: [`${engine.registry}/helpdesk-${name}:${version}`],
        output: ['type=registry'],
      },
    ]),
  );
  const [definition, metadata] = [join(folder, 'bake.json'), join(folder, 'metadata.json')];
  await writeFile(definition, JSON.stringify({ group: { default: { targets: names } }, target }));
  const reads = [folder, ...secrets.map(([, file]) => file)].map((path) => `--allow=fs.read=${path}`);
  await engine.docker('buildx', 'bake', '--file', definition, '--metadata-file', metadata, ...reads);
  const told = JSON.parse(await readFile(metadata, 'utf8')) as Record<string, Record<string, string>>;
  for (const name of names) digests[name] = told[name]?.['containerimage.digest'] ?? '';
}

const imageOf = (name: ImageName): string => `${engine.registry}/helpdesk-${name}@${digests[name]}`;

/** Starts a container in the test's network, where others find it by `name`. */
async function run(
  name: string,
  image: string,
  options: { env?: Record<string, string>; port?: number; args?: string[]; command?: string[] } = {},
): Promise<Running> {
  const { env = {}, port, args = [], command = [] } = options;
  const published = port === undefined ? undefined : await freePort();
  const id = await engine.docker(
    ...['run', '--detach', '--network', network, '--network-alias', name, ...args],
    ...(published === undefined ? [] : ['--publish', `127.0.0.1:${published}:${port}`]),
    ...Object.entries(env).flatMap(([key, value]) => ['--env', `${key}=${value}`]),
    image,
    ...command,
  );
  return { id, origin: published === undefined ? '' : `http://127.0.0.1:${published}` };
}

/** Waits until a container's own health check passes. Throws with its logs when it fails, or takes more than a minute. */
async function healthy({ id }: Running): Promise<void> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    const state = await engine.docker(
      'inspect',
      '--format',
      '{{.State.Status}} {{.State.Health.Status}}',
      id,
    );
    if (state === 'running healthy') return;
    if (!/^running starting$/.test(state) || performance.now() > deadline)
      throw new Error(`${state}:\n${await engine.docker('logs', '--tail', '30', id)}`);
    await delay(250);
  }
}

/** Tries until it does not throw, for 30 s. */
async function eventually<T>(work: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await delay(250);
    }
  }
}

/** Sends SIGTERM (or the image's own signal): its exit code, and how many seconds it took. */
async function stop({ id }: Running): Promise<{ code: number; seconds: number }> {
  const began = performance.now();
  await engine.docker('stop', '--time', '20', id);
  const seconds = (performance.now() - began) / 1_000;
  return { code: Number(await engine.docker('inspect', '--format', '{{.State.ExitCode}}', id)), seconds };
}

// Seconds apart, so that a test need not wait for the image's own interval.
const often = ['--health-interval', '1s'];

describe('the four images', () => {
  it.each(names)('%s is at the registry as it was built, hardened, with no secret in it', async (name) => {
    const manifest = await manifestAt(engine.registry, `helpdesk-${name}`, version);
    expect(manifest?.digest).toBe(digests[name]);
    await engine.docker('pull', '--quiet', imageOf(name));
    const [image] = JSON.parse(await engine.docker('image', 'inspect', imageOf(name))) as {
      Config: { User: string; Healthcheck?: { Test: string[] }; Env: string[] };
    }[];
    expect(image?.Config.User).toMatch(/^\d+:\d+$/);
    expect(image?.Config.User).not.toMatch(/^0:/);
    expect(image?.Config.Healthcheck?.Test.length).toBeGreaterThan(1);
    const history = await engine.docker('history', '--no-trunc', '--format', '{{.CreatedBy}}', imageOf(name));
    for (const file of Object.values(engine.secrets))
      expect(`${history}${JSON.stringify(image?.Config.Env)}`).not.toContain(file);
    const look =
      'ls /run/secrets /etc/pip.conf /var/lib/apt/lists/*_Packages 2>/dev/null; ls -d /app/customer-portal /app/.dockerignore /app/Dockerfile 2>/dev/null; id -u';
    const seen = await engine.docker('run', '--rm', '--entrypoint', 'sh', imageOf(name), '-c', look);
    expect(seen).toBe(image?.Config.User.split(':')[0]);
  });

  it('the AI service classifies, and ends at SIGTERM', async () => {
    const ai = await run('ai', imageOf('ai'), {
      port: platformImages.ai.port,
      args: [...hardened, ...often],
    });
    await healthy(ai);
    expect(await (await fetch(`${ai.origin}/version`)).json()).toEqual({ version });
    const body = JSON.stringify({ text: 'The VPN is down' });
    const answer = await fetch(`${ai.origin}/classify`, { method: 'POST', body });
    expect(await answer.json()).toMatchObject({ category: 'network', priority: 'high' });
    const { code, seconds } = await stop(ai);
    expect(code).toBe(0);
    expect(seconds).toBeLessThan(10);
  });

  it('the realtime service is healthy, and ends at SIGTERM', async () => {
    const env = { REALTIME_SECRET: randomBytes(24).toString('hex') };
    const port = platformImages.realtime.port;
    const realtime = await run('realtime', imageOf('realtime'), { env, port, args: [...hardened, ...often] });
    await healthy(realtime);
    const health = await (await fetch(`${realtime.origin}/health/`)).json();
    expect(health).toEqual({ status: 'healthy', version, listeners: 0 });
    const answer = await fetch(`${realtime.origin}/events`, {
      method: 'POST',
      headers: { authorization: `Bearer ${env.REALTIME_SECRET}` },
      body: JSON.stringify({ ticket: 1, type: 'comment' }),
    });
    expect(answer.status).toBe(202);
    expect(await stop(realtime)).toMatchObject({ code: 0 });
  });

  it('the portal serves its page, its version, and files that may be kept', async () => {
    const port = platformImages.frontend.port;
    const portal = await run('portal', imageOf('frontend'), { port, args: [...hardened, ...often] });
    await healthy(portal);
    const health = await fetch(`${portal.origin}/health/`);
    expect(health.headers.get('content-type')).toContain('application/json');
    expect(await health.json()).toEqual({ status: 'healthy', version });
    const page = await fetch(`${portal.origin}/tickets/7`);
    expect(page.status).toBe(200);
    expect(page.headers.get('content-security-policy')).toContain("default-src 'self'");
    expect(page.headers.get('cache-control')).toBe('no-cache');
    const script = /\/assets\/portal-\w+\.js/.exec(await page.text())?.[0] ?? '';
    const asset = await fetch(`${portal.origin}${script}`);
    expect(asset.headers.get('cache-control')).toContain('immutable');
    expect(await asset.text()).toContain(version);
    expect((await fetch(`${portal.origin}/assets/none.js`)).status).toBe(404);
    expect(await stop(portal)).toMatchObject({ code: 0 });
  });
});

describe('backend and worker', () => {
  const password = randomBytes(12).toString('hex');
  const base = (name: string): string => {
    const reference = engine.bases[name] ?? '';
    return `${engine.registry}/library/${reference}`;
  };
  const environment = () => ({
    DATABASE_URL: `postgresql://helpdesk:${password}@db/helpdesk`,
    REDIS_URL: 'redis://redis:6379/0',
    SECRET_KEY: secretKey,
    ALLOWED_HOSTS: '127.0.0.1',
    SECURE_SSL_REDIRECT: 'false',
  });
  const secretKey = randomBytes(40).toString('base64url');

  beforeAll(async () => {
    const env = { POSTGRES_USER: 'helpdesk', POSTGRES_DB: 'helpdesk', POSTGRES_PASSWORD: password };
    const db = await run('db', base('postgres:15'), { env });
    await run('redis', base('redis:7-alpine'));
    await eventually(() =>
      engine.docker('exec', db.id, 'pg_isready', '--host', '127.0.0.1', '--timeout', '1'),
    );
    const migrate = ['python', 'manage.py', 'migrate', '--verbosity', '0'];
    await engine.docker(
      ...['run', '--rm', '--network', network, ...hardened],
      ...Object.entries(environment()).flatMap(([key, value]) => ['--env', `${key}=${value}`]),
      imageOf('backend'),
      ...migrate,
    );
  });

  it('the backend answers with its database and Redis, and ends at SIGTERM', async () => {
    const port = platformImages.backend.port;
    const args = [...hardened, ...often];
    const backend = await run('backend', imageOf('backend'), { env: environment(), port, args });
    await healthy(backend);
    expect(await (await fetch(`${backend.origin}/health/`)).json()).toMatchObject({
      status: 'healthy',
      version,
      checks: { database: { status: 'healthy' }, redis: { status: 'healthy' } },
    });
    expect(await engine.docker('exec', backend.id, 'sh', '-c', 'touch /app/x 2>&1 || id -u')).toContain(
      '10001',
    );
    expect(await stop(backend)).toMatchObject({ code: 0 });
  });

  it('the worker is the same image with another command: it does tasks, and shuts down warm', async () => {
    const ping = 'celery -A config inspect ping --timeout 5 --destination worker@$HOSTNAME';
    const worker = await run('worker', imageOf('backend'), {
      env: environment(),
      args: [
        ...hardened,
        ...often,
        '--health-cmd',
        ping,
        '--health-timeout',
        '20s',
        '--health-start-period',
        '30s',
      ],
      command: [
        'celery',
        '-A',
        'config',
        'worker',
        '--loglevel',
        'info',
        '--concurrency',
        '1',
        '-n',
        'worker@%h',
      ],
    });
    await healthy(worker);
    const ask =
      'from apps.tickets.tasks import resolve_stale; print(resolve_stale.delay(days=30).get(timeout=30))';
    const said = await engine.docker(
      'exec',
      worker.id,
      'python',
      'manage.py',
      'shell',
      '--no-imports',
      '-c',
      ask,
    );
    expect(said.split('\n').at(-1)).toBe('0');
    const logs = await engine.docker('logs', worker.id);
    expect(logs).toContain('"message": "stale tickets resolved"');
    const { code, seconds } = await stop(worker);
    expect(code).toBe(0);
    expect(seconds).toBeLessThan(15);
  });
});
