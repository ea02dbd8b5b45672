import { fork } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Target } from '@deploy-actions/release-engine';
import { createNginx } from '@deploy-actions/routers';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { fence, routerConformance } from '../../packages/routers/conformance.ts';
import { requireNginx, startNginx } from '../support/nginx.ts';
import { freePort } from '../support/ports.ts';

/** A matcher of a part of a text, with a type. */
const containing = (part: string): unknown => expect.stringContaining(part);

const applyInChild = join(import.meta.dirname, '../../packages/routers/apply-in-child.fixture.ts');

beforeAll(() => {
  requireNginx();
}, 300_000);

/** An nginx of the test's own, with a public server whose upstream is the router's. */
async function startOwnNginx(foreign = '') {
  const home = await mkdtemp(join(tmpdir(), 'nginx-'));
  await chmod(home, 0o755);
  const folder = join(home, 'nginx');
  const address = `127.0.0.1:${await freePort()}`;
  const nginx = await startNginx(folder, address, foreign);
  const { options } = nginx;
  return {
    folder,
    options,
    // The log is a function, and cannot be sent to a child.
    plain: { ...options, log: undefined },
    address,
    stored: () => readFile(options.upstreamFile, 'utf8'),
    async dispose() {
      await nginx.stop();
      await rm(home, { recursive: true, force: true });
    },
  };
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
    const { folder, options, plain, address, stored, dispose } = await startOwnNginx(already);
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
    const made = await startOwnNginx();
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
    const version = requireNginx();
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
