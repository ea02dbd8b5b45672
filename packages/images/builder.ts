import { cancelled, DeployError, lastLines, runProcess } from '@deploy-actions/core';

export interface ProgramContext {
  environment: NodeJS.ProcessEnv;
  signal: AbortSignal;
  /** Where relative paths of a definition begin. */
  directory: string;
}

/** Who builds. */
export interface Builder {
  /** Of buildx: `0.38.2`. */
  version: string;
  name: string;
  /** `docker`, `docker-container`, `remote`, `kubernetes`. */
  driver: string;
  /** Of BuildKit, as it says it; empty where it does not. */
  buildkit: string;
  /** What it can build for: `linux/amd64`. */
  platforms: string[];
  /** Whether it is the engine with its own image store: one platform, no provenance, caches inside of images alone. */
  limited: boolean;
}

/** The first version with the progress that is read here. */
const leastVersion = [0, 13, 0] as const;
const patience = 60_000;

function ask(args: string[], { environment, signal, directory }: ProgramContext) {
  return runProcess({
    command: ['docker', ...args],
    cwd: directory,
    env: environment,
    signal,
    timeout: patience,
  });
}

/** The version of buildx. Throws `not_found` without it or without docker, `unsupported` for one that is too old. */
export async function buildxVersion(context: ProgramContext): Promise<string> {
  const { code, stdout, stderr } = await ask(['buildx', 'version'], context).catch((thrown: unknown) => {
    if (thrown instanceof DeployError && thrown.reasonCode === 'not_found') {
      throw new DeployError('not_found', 'There is no docker on PATH.', {
        remedy:
          'Install Docker with its plugin buildx; on a hosted runner of Linux both are there. `docker/setup-buildx-action` brings buildx.',
        cause: thrown,
      });
    }
    throw thrown;
  });
  if (code !== 0) {
    throw new DeployError('not_found', 'Docker has no plugin buildx.', {
      remedy: 'Use `docker/setup-buildx-action` in a step before, or install the plugin.',
      details: lastLines(stderr, 10),
    });
  }
  const version = /\bv?(\d+\.\d+\.\d+)/.exec(stdout)?.[1];
  if (version === undefined) {
    throw new DeployError('unsupported', `buildx does not say its version: ${stdout.trim().slice(0, 200)}`, {
      remedy: `Install a release of ${leastVersion.join('.')} or newer.`,
    });
  }
  const parts = version.split('.').map(Number);
  const difference = leastVersion
    .map((least, index) => (parts[index] ?? 0) - least)
    .find((each) => each !== 0);
  if ((difference ?? 0) < 0) {
    throw new DeployError(
      'unsupported',
      `buildx ${version} is too old; ${leastVersion.join('.')} is the oldest that can be used.`,
      { remedy: 'Use `docker/setup-buildx-action` in a step before, or install a newer plugin.' },
    );
  }
  return version;
}

/** The platforms of all nodes as `buildx inspect` lists them; those that somebody set have a `*`. */
function platformsSaid(stdout: string): string[] {
  return stdout
    .split('\n')
    .flatMap((line) => /^Platforms:\s*(.*)$/.exec(line)?.[1]?.split(',') ?? [])
    .map((platform) => platform.trim())
    .filter((platform) => platform !== '');
}

/** What Go, and so every image, calls the processor of this machine. */
function runnerPlatform(architecture: string): string {
  const names: Record<string, string> = { x64: 'amd64', ia32: '386', arm: 'arm/v7', ppc64: 'ppc64le' };
  return `linux/${names[architecture] ?? architecture}`;
}

/**
 * What a builder builds for when it is told no platform. It is asked and not started; where it does not say it, it is taken for one on
 * this machine. BuildKit lists its own first, but those that somebody set for the builder come before it: then it is that of the
 * machine, if it is among them.
 */
export async function nativePlatform(
  name: string | undefined,
  context: ProgramContext,
  architecture: string = process.arch,
): Promise<string> {
  const runner = runnerPlatform(architecture);
  try {
    const { code, stdout } = await ask(['buildx', 'inspect', ...(name === undefined ? [] : [name])], context);
    const said = code === 0 ? platformsSaid(stdout) : [];
    const wereSet = said.some((platform) => platform.endsWith('*'));
    const platforms = said.map((platform) => platform.replace(/\*$/, ''));
    return wereSet && platforms.includes(runner) ? runner : (platforms[0] ?? runner);
  } catch {
    if (context.signal.aborted) throw cancelled('asking the builder for its platform');
    // Whether there is a builder is said when one is needed: an image that did not change needs none.
    return runner;
  }
}

/** Asks a builder what it is, and starts it. Throws `not_found` for one that is not there, `unreachable` where it does not answer. */
export async function inspectBuilder(name: string | undefined, context: ProgramContext): Promise<Builder> {
  const version = await buildxVersion(context);
  const { code, stdout, stderr } = await ask(
    ['buildx', 'inspect', '--bootstrap', ...(name === undefined ? [] : [name])],
    context,
  );
  const field = (label: string) => new RegExp(`^${label}:[ \\t]*(.*)$`, 'm').exec(stdout)?.[1]?.trim() ?? '';
  const problem = [...lastLines(stderr, 5), field('Error')].filter((line) => line !== '').join(' ');
  if (/no builder ".*" found/.test(problem)) {
    throw new DeployError('not_found', `There is no builder ${name ?? ''}.`, {
      remedy: 'Create it with `docker/setup-buildx-action`, or leave `builder` out.',
      details: lastLines(stderr, 10),
    });
  }
  if (code !== 0 || field('Error') !== '') {
    throw new DeployError('unreachable', `The builder ${name ?? 'of docker'} does not answer: ${problem}.`, {
      remedy: 'Look whether the Docker daemon runs, whether this user may use its socket, and DOCKER_HOST.',
      details: lastLines(`${stderr}\n${stdout}`.trim(), 20),
    });
  }
  const driver = field('Driver');
  const platforms = platformsSaid(stdout).map((platform) => platform.replace(/\*$/, ''));
  return {
    version,
    name: field('Name'),
    driver,
    buildkit: field('BuildKit version'),
    platforms: [...new Set(platforms)],
    limited: driver === 'docker' && !(await usesContainerd(context)),
  };
}

/** With containerd's image store the engine can do what other builders can. */
async function usesContainerd(context: ProgramContext): Promise<boolean> {
  const { stdout } = await ask(['info', '--format', '{{json .DriverStatus}}'], context);
  return stdout.includes('io.containerd.snapshotter');
}

/** Whether a version as programs say theirs, `v0.34.2` or `0.38.2+azure`, is this one or newer. One that says none is old. */
function isAtLeast(version: string, major: number, minor: number): boolean {
  const [ownMajor = 0, ownMinor = 0] = /(\d+)\.(\d+)/.exec(version)?.slice(1).map(Number) ?? [];
  return ownMajor > major || (ownMajor === major && ownMinor >= minor);
}

/** Whether times of the commit can be set into files: by BuildKit from 0.13, but not by the one inside of old engines. */
export function canRewriteTimestamps({ limited, buildkit }: Builder): boolean {
  return !limited && isAtLeast(buildkit, 0, 13);
}

/** Whether steps can have a weight of their own: with buildx from 0.35 and BuildKit from 0.31. */
export function canWeighSteps({ version, buildkit }: Builder): boolean {
  return isAtLeast(version, 0, 35) && isAtLeast(buildkit, 0, 31);
}

/** What is asked of a builder. */
export interface Demands {
  platforms: readonly string[];
  caches: readonly string[];
  provenance: string;
}

/** Throws `unsupported` for all that a builder is known not to be able to do. */
export function refuseDemands(builder: Builder, { platforms, caches, provenance }: Demands): void {
  const problems: string[] = [];
  if (builder.limited) {
    if (platforms.length > 1) problems.push(`build for several platforms (${platforms.join(', ')})`);
    const cache = caches.find((kind) => kind !== 'none');
    if (cache !== undefined) problems.push(`write a cache \`${cache}\``);
    if (provenance !== 'none') problems.push('say the provenance of what it builds');
  }
  if (problems.length === 0) return;
  throw new DeployError(
    'unsupported',
    `The builder ${builder.name} (driver ${builder.driver}) cannot ${problems.join(', nor ')}.`,
    {
      remedy:
        'Use `docker/setup-buildx-action` in a step before: its builder can. Or leave out what is asked for.',
    },
  );
}
