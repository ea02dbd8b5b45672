import { DeployError } from '@deploy-actions/core';

/** SHA-256 of the release archives that this repository vouches for, by version and machine. */
const archives: Record<string, Record<string, { file: string; sha256: string }>> = {
  // The last release before the one that was tampered with (GHSA-69fq-xp46-6x23).
  '0.69.3': {
    'linux-x64': {
      file: 'trivy_0.69.3_Linux-64bit.tar.gz',
      sha256: '1816b632dfe529869c740c0913e36bd1629cb7688bd5634f4a858c1d57c88b75',
    },
    'linux-arm64': {
      file: 'trivy_0.69.3_Linux-ARM64.tar.gz',
      sha256: '7e3924a974e912e57b4a99f65ece7931f8079584dae12eb7845024f97087bdfd',
    },
    'darwin-arm64': {
      file: 'trivy_0.69.3_macOS-ARM64.tar.gz',
      sha256: 'a2f2179afd4f8bb265ca3c7aefb56a666bc4a9a411663bc0f22c3549fbc643a5',
    },
  },
};

export const trivyVersion = '0.69.3';

/** Releases with code in them that steals secrets: never run, whoever vouches for them. */
const tampered = /^0\.69\.[456]$/;

export interface Archive {
  version: string;
  url: string;
  sha256: string;
}

/**
 * The archive of a version for a machine (`linux-x64`). Of a version that this repository does not know, the caller has to give the digest.
 * Throws `tool_rejected`: an unknown version is refused, not downloaded and hoped for.
 */
export function trivyArchive(
  version: string,
  machine: string,
  given: string | undefined,
  mirror: string,
): Archive {
  if (tampered.test(version)) {
    throw new DeployError(
      'tool_rejected',
      `Trivy ${version} is not used: this release was tampered with (GHSA-69fq-xp46-6x23).`,
      {
        remedy: `Use ${trivyVersion}.`,
      },
    );
  }
  const known = archives[version]?.[machine];
  const sha256 = given ?? known?.sha256;
  if (sha256 === undefined) {
    throw new DeployError(
      'tool_rejected',
      `The SHA-256 of Trivy ${version} for ${machine} is not known here, so it is not downloaded.`,
      {
        remedy: `Use ${Object.keys(archives).join(', ')}, give \`trivy-sha256\`, or install Trivy on the runner.`,
      },
    );
  }
  const file = known?.file ?? fileOf(version, machine);
  return { version, url: `${mirror.replace(/\/$/, '')}/v${version}/${file}`, sha256 };
}

function fileOf(version: string, machine: string): string {
  const [system = '', processor = ''] = machine.split('-');
  const names: Record<string, string> = { linux: 'Linux', darwin: 'macOS', x64: '64bit', arm64: 'ARM64' };
  return `trivy_${version}_${names[system] ?? system}-${names[processor] ?? processor}.tar.gz`;
}

/** Where releases are, and where GitHub sends downloads of them. */
export const trivyReleases = 'https://github.com/aquasecurity/trivy/releases/download';
export const releaseHosts = ['release-assets.githubusercontent.com', 'objects.githubusercontent.com'];

/** Whether a Trivy that was found on this machine may be used. */
export function refuseTampered(version: string, program: string): void {
  if (!tampered.test(version.replace(/^v/, ''))) return;
  throw new DeployError(
    'tool_rejected',
    `${program} is Trivy ${version}, a release that was tampered with (GHSA-69fq-xp46-6x23).`,
    {
      remedy: 'Remove it, and treat every secret that it could read as known to others.',
    },
  );
}
