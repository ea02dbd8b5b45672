import { fork, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { silentLog } from '@deploy-actions/core';
import type { Target } from '@deploy-actions/release-engine';
import { createNginx, type NginxOptions } from '@deploy-actions/routers';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { fence, routerConformance } from '../../packages/routers/conformance.ts';

/** A matcher of a part of a text, with a type. */
const containing = (part: string): unknown => expect.stringContaining(part);

const applyInChild = join(import.meta.dirname, '../../packages/routers/apply-in-child.fixture.ts');

/** Debian's nginx, put there when this is root; its own service is not started. */
beforeAll(() => {
  if (spawnSync('nginx', ['-v']).status === 0) return;
  if (process.getuid?.() !== 0)
    throw new Error('nginx is missing: `apt-get install nginx-light` installs it.');
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  for (const args of [
    ['update', '-q'],
    ['install', '-qy', '--no-install-recommends', 'nginx-light'],
  ]) {
    const { status, stderr } = spawnSync('apt-get', args, { env, encoding: 'utf8' });
    if (status !== 0) throw new Error(`apt-get ${args.join(' ')}: ${stderr}`);
  }
}, 300_000);

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** An nginx of the test's own, with a public server whose upstream is the router's. */
async function startNginx(foreign = '') {
  const folder = await mkdtemp(join(tmpdir(), 'nginx-'));
  await chmod(folder, 0o755);
  const address = `127.0.0.1:${await freePort()}`;
  const plain = {
    upstreamFile: join(folder, 'app.upstream.conf'),
    upstreamName: 'app',
    configFile: join(folder, 'nginx.conf'),
    prefix: folder,
    pidFile: join(folder, 'nginx.pid'),
    verifySocket: join(folder, 'verify.sock'),
    verifyPath: '/',
  };
  const options: NginxOptions = { ...plain, log: silentLog };
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  await writeFile(
    options.configFile ?? '',
    `daemon off;
pid ${options.pidFile};
error_log ${folder}/error.log;
worker_processes 2;
events { worker_connections 256; }
http {
    access_log off;
    ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join('\n    ')}
    include ${options.upstreamFile};
    server {
        listen ${address};
        location / { proxy_pass http://app; }
    }
}
`,
  );
  if (foreign !== '') await writeFile(options.upstreamFile, foreign);
  await (await createNginx(options)).prepare(fence(0));
  const nginx = spawn('nginx', ['-p', folder, '-c', options.configFile ?? '', '-e', `${folder}/error.log`], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = once(nginx, 'exit');
  for (let tries = 0; !(await readFile(options.pidFile, 'utf8').catch(() => '')).trim(); tries++) {
    if (tries > 100) throw new Error(`nginx did not start: ${String(nginx.stderr.read())}`);
    await delay(50);
  }
  const dispose = async () => {
    nginx.kill('SIGTERM');
    await ended;
    await rm(folder, { recursive: true, force: true });
  };
  const stored = () => readFile(options.upstreamFile, 'utf8');
  return { folder, options, plain, address, stored, dispose };
}

/** A stand-in for the nginx program that ends the run which called it, before or after it did what it was told. */
async function murderous(folder: string, argument: string, when: 'before' | 'after'): Promise<string> {
  const script = join(folder, `kill-${when}${argument.trim()}.sh`);
  const kill = 'kill -9 $PPID';
  await writeFile(
    script,
    `#!/bin/sh
case "$*" in
  *"${argument}"*) ${when === 'before' ? `${kill}; exit 1` : `nginx "$@"; ${kill}`} ;;
  *) exec nginx "$@" ;;
esac
`,
    { mode: 0o755 },
  );
  return script;
}

const foreign = '# a map of ours, with no newline at the end, and CR LF\r\nmap $host $ours { default 1; }';

describe.each(['', foreign])('with a file that has %j already', (already) => {
  routerConformance('nginx', async () => {
    const { folder, options, plain, address, stored, dispose } = await startNginx(already);
    const router = await createNginx(options);
    return {
      connect: () => router,
      address,
      stored,
      foreign: {
        put: async () => writeFile(options.upstreamFile, `${await stored()}# after\tthe block\n\n`),
        kept: async () => {
          const text = await stored();
          return text.startsWith(already) && text.endsWith('# after\tthe block\n\n');
        },
      },
      async *kill(targets: Target[]) {
        for (const when of ['before', 'after'] as const) {
          for (const argument of [' -t', ' -s reload']) {
            const nginxCommand = [await murderous(folder, argument, when)];
            const run = fork(applyInChild, [
              JSON.stringify({ router: 'nginx', options: { ...plain, nginxCommand }, targets }),
            ]);
            await once(run, 'message');
            run.send('apply');
            expect((await once(run, 'exit'))[1]).toBe('SIGKILL');
            yield `${when} nginx${argument}`;
          }
        }
      },
      dispose,
    };
  });
});

describe('nginx', { timeout: 30_000 }, () => {
  const targets = (address: string): Target[] => [{ slot: 'blue', weight: 100, addresses: [address] }];

  async function started() {
    const made = await startNginx();
    onTestFinished(made.dispose);
    return { ...made, router: await createNginx(made.options) };
  }

  test("a configuration that nginx refuses is taken back, with nginx's words", async () => {
    const { router, stored } = await started();
    const first = await router.apply(targets('127.0.0.1:9'), (await router.read()).version, fence());
    const before = await stored();
    await expect(
      router.apply(targets('no-such-host.invalid:80'), first.version, fence()),
    ).rejects.toMatchObject({
      reasonCode: 'router_rejected',
      message: containing('host not found in upstream "no-such-host.invalid:80"'),
    });
    expect(await stored()).toBe(before);
  });

  test('a block that was changed by hand is a conflict that says so', async () => {
    const { router, stored, options } = await started();
    const { version } = await router.apply(targets('127.0.0.1:9'), (await router.read()).version, fence());
    const edited = (await stored()).replace('weight=1', 'weight=3');
    await writeFile(options.upstreamFile, edited);
    const changed = { reasonCode: 'state_conflict', message: containing('changed by hand') };
    await expect(router.read()).rejects.toMatchObject(changed);
    await expect(router.apply(targets('127.0.0.1:10'), version, fence())).rejects.toMatchObject(changed);
    expect(await stored()).toBe(edited);
  });

  test('a deposed run is refused by the token in the file too', async () => {
    const { router } = await started();
    const { version } = await router.apply(targets('127.0.0.1:9'), (await router.read()).version, fence(5));
    await expect(router.apply(targets('127.0.0.1:10'), version, fence(4))).rejects.toMatchObject({
      reasonCode: 'lock_lost',
    });
  });

  test('a file that nginx.conf does not include is taken back', async () => {
    const { options, folder } = await started();
    const elsewhere = {
      ...options,
      upstreamFile: join(folder, 'elsewhere.conf'),
      verifySocket: join(folder, 'e.sock'),
    };
    const router = await createNginx(elsewhere);
    await expect(router.apply(targets('127.0.0.1:9'), 'absent', fence())).rejects.toMatchObject({
      reasonCode: 'router_rejected',
      remedy: containing(`Include ${elsewhere.upstreamFile}`),
    });
    expect((await router.read()).version).toBe('absent');
  });

  test('keep-alive is declared by version, and no nginx is said', async () => {
    const { router, options } = await started();
    const version =
      /nginx\/(\d+\.\d+\.\d+)/.exec(spawnSync('nginx', ['-v'], { encoding: 'utf8' }).stderr)?.[1] ?? '';
    const [, minor = 0, patch = 0] = version.split('.').map(Number);
    if (minor < 27 || (minor === 27 && patch < 4)) expect(router.capabilities.keepAlive).toBe('closes-idle');
    await expect(createNginx({ ...options, nginxCommand: ['/nonexistent/nginx'] })).rejects.toMatchObject({
      reasonCode: 'not_found',
    });
    const newer = join(options.prefix ?? '', 'newer.sh');
    await writeFile(
      newer,
      `#!/bin/sh\ncase "$*" in *-v) echo "nginx version: nginx/1.29.0" >&2 ;; *) echo "  keepalive_min_timeout 5s;" ;; esac\n`,
      { mode: 0o755 },
    );
    const { capabilities } = await createNginx({ ...options, nginxCommand: [newer] });
    expect(capabilities.keepAlive).toBe('lossless');
  });
});
