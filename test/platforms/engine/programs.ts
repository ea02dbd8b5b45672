// What the engine is made of: Debian's dockerd and registry; buildx and BuildKit, whose newest versions Debian does not have, from
// their Go modules.

import { join } from 'node:path';
import { type Say } from '../../cluster/cache.ts';
import { buildPrograms } from '../../cluster/go.ts';
import { requirePackages } from '../../cluster/packages.ts';

const buildxVersion = '0.38.2';
const buildkitVersion = '0.34.2';

const flagsOf = (variable: string, version: string): string[] => [
  ...['-trimpath', '-mod=readonly', '-ldflags'],
  `-s -w -X ${variable}=v${version}`,
];

/** Debian's packages, each with a file that it brings. dockerd's own client is named: a machine may have another on PATH. */
const packages = {
  'docker.io': '/usr/bin/docker',
  'docker-registry': '/usr/bin/docker-registry',
  containerd: 'containerd',
  runc: 'runc',
  iproute2: 'ip',
  'util-linux': 'flock',
  // What the images' root of Debian is made by.
  debootstrap: 'debootstrap',
};

/** Installs Debian's part: half a minute. Before all else, for others may want to install something in the meantime. */
export const installEnginePackages = (say: Say): Promise<void> => requirePackages(say, packages);

export interface Programs {
  docker: string;
  dockerd: string;
  registry: string;
  buildx: string;
  buildkitd: string;
  /** What `# syntax=docker/dockerfile:1` names. */
  frontEnd: string;
}

/** The first time they are built and installed: about four minutes on two cores. */
export async function enginePrograms(say: Say): Promise<Programs> {
  await installEnginePackages(say);
  const buildx = await buildPrograms({
    name: `buildx-${buildxVersion}`,
    title: `buildx ${buildxVersion} from its Go module: about two minutes on two cores`,
    sources: join(import.meta.dirname, 'buildx'),
    flags: flagsOf('github.com/docker/buildx/version.Version', buildxVersion),
    packages: ['github.com/docker/buildx/cmd/buildx'],
    say,
  });
  const buildkit = await buildPrograms({
    name: `buildkit-${buildkitVersion}`,
    title: `BuildKit ${buildkitVersion} from its Go module: about two minutes on two cores`,
    sources: join(import.meta.dirname, 'buildkit'),
    flags: flagsOf('github.com/moby/buildkit/version.Version', buildkitVersion),
    packages: ['cmd/buildkitd', 'frontend/dockerfile/cmd/dockerfile-frontend'].map(
      (name) => `github.com/moby/buildkit/${name}`,
    ),
    say,
  });
  return {
    docker: '/usr/bin/docker',
    dockerd: '/usr/sbin/dockerd',
    registry: '/usr/bin/docker-registry',
    buildx: join(buildx, 'buildx'),
    buildkitd: join(buildkit, 'buildkitd'),
    frontEnd: join(buildkit, 'dockerfile-frontend'),
  };
}
