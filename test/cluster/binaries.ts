// The programs of Kubernetes and the test server, built from Go modules: there are no packages of them that every machine can
// have. Versions and checksums of everything in them are in kubernetes/go.mod and go.sum.

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cached, type Say } from './cache.ts';
import { end, output } from '../support/command.ts';
import { withProgress } from './progress.ts';

export const kubernetesVersion = '1.34.4';

const programs = [
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kubelet',
  'kube-proxy',
  'kubectl',
] as const;

const [major, minor] = kubernetesVersion.split('.');
const stamps = ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'].flatMap((name) => [
  `-X ${name}.gitVersion=v${kubernetesVersion}`,
  `-X ${name}.gitMajor=${major}`,
  `-X ${name}.gitMinor=${minor}`,
]);
const flags = ['-trimpath', '-mod=readonly', '-ldflags', ['-s -w', ...stamps].join(' ')];
const sources = join(import.meta.dirname, 'kubernetes');

/**
 * The folder with kube-apiserver, kube-controller-manager, kube-scheduler, kubelet, kube-proxy and kubectl. The first time they
 * are built, at low priority: minutes. Throws with what to do when there is no Go, or with its last lines.
 */
export async function kubernetesBinaries(say: Say): Promise<string> {
  const key = await keyOf(sources, flags);
  return cached(join(`kubernetes-${kubernetesVersion}`, key), say, async (folder) => {
    say(`Building Kubernetes ${kubernetesVersion} from its Go modules: about 10 minutes on two cores, once`);
    // -v names each package as its compilation ends.
    let [compiled, last] = [0, 'starting'];
    const at = (): string => `${compiled} packages compiled, ${last}`;
    const packages = programs.map((name) => `k8s.io/kubernetes/cmd/${name}`);
    const args = ['build', '-v', '-o', `${folder}/`, ...flags, ...packages];
    const seconds = await withProgress(say, at, () =>
      go(args, sources, (line) => {
        if (!line.startsWith('go: ')) compiled += 1;
        last = line;
      }),
    );
    say(`Built Kubernetes ${kubernetesVersion} in ${seconds} s`);
  });
}

/** The test server of server/main.go: one static program. */
export async function testServer(say: Say): Promise<string> {
  const source = join(import.meta.dirname, 'server');
  const serverFlags = ['-trimpath', '-ldflags', '-s -w'];
  const folder = await cached(`test-server-${await keyOf(source, serverFlags)}`, say, (made) =>
    go(['build', '-o', join(made, 'server'), ...serverFlags, '.'], source).then(() => {}),
  );
  return join(folder, 'server');
}

/** Changes with all that a build is made of. */
async function keyOf(folder: string, buildFlags: string[]): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify([buildFlags, process.platform, process.arch]));
  for (const name of ['go.mod', 'go.sum', 'programs.go', 'main.go', 'worker.go'])
    hash.update(await readFile(join(folder, name)).catch(() => ''));
  return hash.digest('hex').slice(0, 16);
}

async function go(args: string[], cwd: string, onLine?: Say): Promise<void> {
  const there = await end('go', ['version']).catch(() => undefined);
  if (there === undefined)
    throw new Error(
      'Go 1.24 or newer is needed to build Kubernetes, and there is no `go` on PATH: https://go.dev/dl',
    );
  await output('nice', ['-n', '19', 'go', ...args], {
    cwd,
    env: { ...process.env, CGO_ENABLED: '0' },
    ...(onLine === undefined ? {} : { onLine }),
  });
}
