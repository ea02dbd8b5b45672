import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Context } from '@deploy-actions/action-kit';
import { DeployError, type Log, orUndefinedIfMissing, replaceFile, secretsOf } from '@deploy-actions/core';
import { createLinuxHost, type KubernetesRelease, type LinuxHostRelease } from '@deploy-actions/platforms';
import {
  acquireLease,
  type Fence,
  isSettled,
  type Journal,
  type Lease,
  peekJournal,
  type Platform,
  readLease,
  requireOwn,
  type Router,
  type RunIdentity,
  thisProcess,
} from '@deploy-actions/release-engine';
import { createEmbeddedProxy, createNginx } from '@deploy-actions/routers';
import {
  type DeliveryInputs,
  type GitHubInputs,
  type LinuxHostInputs,
  parsePortRange,
  type TargetInputs,
} from './inputs.ts';
import {
  type KubernetesAdoptInputs,
  type KubernetesFollowerInputs,
  type KubernetesReleaseInputs,
  type KubernetesTargetInputs,
  textOfImage,
} from './kubernetes-inputs.ts';
import type { PodMetrics } from './pod-endpoint.ts';
import { openState, type State, stateDirectoryOf } from './state.ts';

/** The two slots of a host: while one serves, the other is free for the next version. */
export const slots = ['blue', 'green'];

/** A version on whatever platform. A target is opened with the platform, router and state of one of them. */
export type TargetRelease = LinuxHostRelease | KubernetesRelease;

/** An environment, opened: what runs there, who gets the traffic, and where the state of releases is kept. */
export interface Target extends State {
  /** `helpdesk in production`, for messages. */
  label: string;
  platform: Platform<TargetRelease>;
  router: Router;
  run: RunIdentity;
  /** The folder on this host that is written to; undefined where nothing is kept on it. */
  stateDirectory: string | undefined;
  /** Brings what was deployed by other means into the form that releases need. */
  adoption?: {
    /** A step a line; empty when there is nothing to do. */
    plan(): Promise<string[]>;
    run(
      fence: Fence,
      timeouts: { ready: number; verify: number; drain: number },
      signal: AbortSignal,
    ): Promise<void>;
  };
  /** Where the router counts requests by slot, when it does; on Kubernetes how pods are asked for what they count. */
  ownMetrics: string | PodMetrics | undefined;
}

export function runIdentity(context: Context): RunIdentity {
  const { facts } = context;
  return {
    id: facts.runId === '' ? `local-${process.pid}` : `${facts.runId}.${facts.runAttempt}`,
    url: facts.runUrl,
    actor: facts.actor,
  };
}

/**
 * The program of the proxy, as a copy in the state folder: the proxy outlives the job, and runners remove the
 * downloaded action between jobs.
 */
async function installProxy(stateDirectory: string, program: string): Promise<void> {
  const text = await readFile(program);
  const copy = proxyProgram(stateDirectory);
  const installed = await orUndefinedIfMissing(readFile(copy));
  if (installed?.equals(text) === true) return;
  await mkdir(dirname(copy), { recursive: true, mode: 0o700 });
  await replaceFile(copy, text.toString('utf8'));
}

function proxyProgram(stateDirectory: string): string {
  return join(stateDirectory, 'proxy', 'program.mjs');
}

async function openRouter(inputs: TargetInputs, context: Context, stateDirectory: string): Promise<Router> {
  const { log, signal } = context;
  switch (inputs.router) {
    case 'embedded-proxy': {
      const router = createEmbeddedProxy({
        stateDirectory: join(stateDirectory, 'proxy'),
        listen: inputs.listen ?? '',
        ...(inputs['metrics-listen'] === undefined ? {} : { metricsListen: inputs['metrics-listen'] }),
        command: [process.execPath, proxyProgram(stateDirectory)],
        verifyPath: inputs['verify-path'],
        log,
      });
      return {
        ...router,
        async claim(fence) {
          await installProxy(stateDirectory, context.asset('proxy.mjs'));
          await router.ensureRunning(fence, signal);
        },
      };
    }
    case 'service-selector':
    case 'replica-weight':
      throw new DeployError('invalid_input', `Router ${inputs.router} goes with platform kubernetes.`, {
        remedy: 'Routers of a Linux host are embedded-proxy and nginx.',
      });
    case 'nginx':
      return createNginx({
        upstreamFile: inputs['nginx-upstream-file'] ?? '',
        upstreamName: inputs['nginx-upstream-name'] ?? inputs.app,
        nginxCommand: inputs['nginx-command'],
        pidFile: inputs['nginx-pid-file'],
        verifySocket: join(stateDirectory, 'nginx-verify.sock'),
        verifyPath: inputs['verify-path'],
        log,
      });
  }
}

export type OpenInputs = TargetInputs &
  GitHubInputs &
  Pick<DeliveryInputs, 'supervisor'> &
  Partial<
    KubernetesTargetInputs &
      KubernetesReleaseInputs &
      KubernetesAdoptInputs &
      KubernetesFollowerInputs &
      Pick<LinuxHostInputs, 'readiness-path'>
  >;

/** Opens an environment without changing anything. */
export async function openTarget(inputs: OpenInputs, context: Context): Promise<Target> {
  switch (inputs.platform) {
    case 'linux-host':
      return openLinuxHost(inputs, context);
    case 'kubernetes':
      // Loaded where it is needed: what speaks to a cluster is large.
      return (await import('./open-kubernetes.ts')).openKubernetes(inputs, context);
  }
}

/** How the pods behind a Service are asked for their metrics; undefined without one. */
export async function openMetrics(
  inputs: Partial<KubernetesTargetInputs>,
  context: Context,
): Promise<PodMetrics | undefined> {
  const [service] = inputs.service ?? [];
  if (service === undefined) return undefined;
  return (await import('./open-kubernetes.ts')).openPodMetrics({ ...inputs, service }, context);
}

async function openLinuxHost(inputs: OpenInputs, context: Context): Promise<Target> {
  const stateDirectory = stateDirectoryOf(inputs, context.environment);
  const { log } = context;
  return {
    label: `${inputs.app} in ${inputs.environment}`,
    platform: createLinuxHost({ stateDir: stateDirectory, slots, log, supervisor: inputs.supervisor }),
    router: await openRouter(inputs, context, stateDirectory),
    ...(await openState(inputs, context)),
    run: runIdentity(context),
    stateDirectory,
    ownMetrics:
      inputs.router === 'embedded-proxy'
        ? `unix:${join(stateDirectory, 'proxy', 'proxy.sock')}:/metrics`
        : undefined,
  };
}

/** Fails before anything is changed where the state cannot be written. */
export async function requireWritable(target: Target): Promise<void> {
  const { stateDirectory } = target;
  if (stateDirectory === undefined) return;
  try {
    await mkdir(stateDirectory, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new DeployError('permission_denied', `The state folder ${stateDirectory} cannot be made.`, {
      remedy: 'Give the user that the runner works as the right to, or set `state-directory`.',
      cause,
    });
  }
}

/** Runs `work` while holding the environment's lease, and gives it back however that ends. */
export async function withLease<T>(
  target: Pick<Target, 'label' | 'store' | 'run' | 'isAlive'>,
  wait: number,
  signal: AbortSignal,
  log: Log,
  work: (lease: Lease) => Promise<T>,
): Promise<T> {
  const lease = await acquireLease({
    store: target.store,
    run: target.run,
    process: thisProcess(),
    isAlive: target.isAlive,
    wait,
    signal,
    log,
  });
  log.debug(`Holding the lease of ${target.label} (fencing token ${lease.fence.token}).`);
  try {
    return await work(lease);
  } finally {
    await lease.release();
  }
}

/**
 * Throws `unfinished_release` where the journal is of a release that another action has to go on with, before anything is written.
 * While whoever began it may be at work, its lease is waited for instead: what is left then is looked at under the lease.
 */
export async function refuseLeftByOthers(
  { label, store, isAlive }: Pick<Target, 'label' | 'store' | 'isAlive'>,
  isOwn: (journal: Journal) => boolean,
): Promise<void> {
  const journal = await peekJournal(store);
  if (journal === null || isSettled(journal) || isOwn(journal)) return;
  const held = await readLease(store);
  if (held !== null && (await isAlive(held.holder)) !== false) return;
  requireOwn(journal, label, isOwn);
}

/** What the inputs say is to be released, on the platform that they name. */
export function releaseOf(
  inputs: Pick<TargetInputs, 'platform'> & LinuxHostInputs & KubernetesReleaseInputs,
  context: Context,
): TargetRelease {
  switch (inputs.platform) {
    case 'linux-host':
      return linuxHostRelease(inputs, context);
    case 'kubernetes':
      return kubernetesRelease(inputs, context);
  }
}

export function kubernetesRelease(inputs: KubernetesReleaseInputs, { log }: Context): KubernetesRelease {
  const { image } = inputs;
  if (image === undefined) throw new DeployError('invalid_input', 'image is missing.');
  const moving = image.find(({ digest, tag }) => digest === undefined && (tag ?? 'latest') === 'latest');
  if (moving !== undefined) {
    log.warning(
      `${textOfImage(moving)} may stand for another image at any time: what was released cannot be told from what is asked for, nor gone back to. Give a tag of its own, or a digest.`,
    );
  }
  return {
    version: inputs.version,
    images: image.map(textOfImage),
    container: inputs.container ?? null,
    replicas: inputs.replicas ?? null,
  };
}

export function linuxHostRelease(inputs: LinuxHostInputs, context: Context): LinuxHostRelease {
  for (const secret of secretsOf(inputs.env ?? {})) context.mask(secret);
  const portRange = parsePortRange(inputs['port-range']);
  if (portRange === undefined) throw new DeployError('invalid_input', 'port-range is not a range.');
  return {
    version: inputs.version,
    directory: inputs.directory.replaceAll('{version}', inputs.version),
    command: inputs.command,
    environment: inputs.env ?? {},
    instances: inputs.instances,
    ...(inputs['env-file'] === undefined ? {} : { environmentFile: inputs['env-file'] }),
    ...(inputs['readiness-path'] === undefined ? {} : { readinessPath: inputs['readiness-path'] }),
    stopTimeout: inputs['stop-timeout'],
    portRange,
  };
}
