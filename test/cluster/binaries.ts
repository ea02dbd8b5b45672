// The programs of Kubernetes and the test server, built from Go modules: there are no packages of them that every machine can
// have. Versions and checksums of everything in them are in kubernetes/go.mod and go.sum.

import { join } from 'node:path';
import { cached, type Say } from './cache.ts';
import { buildPrograms, go, keyOf } from './go.ts';

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
  return buildPrograms({
    name: `kubernetes-${kubernetesVersion}`,
    title: `Kubernetes ${kubernetesVersion} from its Go modules: about 10 minutes on two cores`,
    sources,
    flags,
    packages: programs.map((name) => `k8s.io/kubernetes/cmd/${name}`),
    say,
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
