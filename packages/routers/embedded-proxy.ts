import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import {
  canonicalJson,
  deadlineIn,
  DeployError,
  formatDuration,
  lastLines,
  messageOf,
  orUndefinedIfMissing,
  sleep,
  type Log,
} from '@deploy-actions/core';
import {
  adminClient,
  initialVersion,
  logPath,
  prepareConfig,
  proxyVersion,
  readConfig,
  type AdminAnswer,
  type ProxySettings,
  type ProxyState,
} from '@deploy-actions/proxy';
import type { Fence, Router, Target, Traffic } from '@deploy-actions/release-engine';
import { proxyProbe } from './proxy-probe.ts';
import { verifyByProbes } from './verify.ts';

export interface EmbeddedProxyOptions extends ProxySettings {
  /** Where the proxy keeps its configuration, socket and log; `embedded-proxy` makes it. */
  stateDirectory: string;
  /** Program and arguments that run the proxy; the state directory is appended. */
  command: string[];
  /** Path that probes ask for with GET. */
  verifyPath: string;
  log: Log;
}

export interface EmbeddedProxyRouter extends Router {
  /**
   * Starts the proxy unless it runs, and tells it the fence. Idempotent; of two calls at once one starts it; what an
   * earlier, killed call left half-way is finished. Throws `start_failed` with the proxy's last words, `lock_lost`,
   * `invalid_config` when it runs on another address than the one asked for, `cancelled`.
   */
  ensureRunning(fence: Fence, signal: AbortSignal): Promise<void>;
}

/** The version that `read` gives where no proxy was ever prepared. */
const absent = 'absent';
const startTime = 15_000;
const never = new AbortController().signal;

/**
 * A router that is a process of this suite's own. It outlives the action that starts it, keeps its own state, and
 * compares fencing tokens itself.
 */
export function createEmbeddedProxy(options: EmbeddedProxyOptions): EmbeddedProxyRouter {
  const stateDirectory = resolve(options.stateDirectory);
  const { log, verifyPath } = options;
  const admin = adminClient(stateDirectory);
  /** The fence of the run, once it has begun to write. */
  let holder: Fence | undefined;

  async function running(signal: AbortSignal): Promise<ProxyState | undefined> {
    try {
      return stateIn(await admin.state({ signal, timeout: 5_000 }));
    } catch (thrown) {
      if (thrown instanceof DeployError && thrown.reasonCode === 'unreachable') return undefined;
      throw thrown;
    }
  }

  async function ensureRunning(fence: Fence, signal: AbortSignal): Promise<void> {
    let state = await running(signal);
    if (state === undefined) {
      await fence.check();
      state = await start(signal);
    }
    for (const name of ['listen', 'metricsListen'] as const) {
      const wanted = options[name] ?? null;
      if (state[name] === wanted) continue;
      throw new DeployError(
        'invalid_config',
        `The proxy in ${stateDirectory} runs with ${name} ${state[name] ?? 'none'}; ${wanted ?? 'none'} is asked for.`,
        {
          remedy: `Ask for ${state[name] ?? 'none'}, or end the proxy (\`kill ${state.pid}\`) so that it is started anew.`,
        },
      );
    }
    if (state.proxyVersion !== proxyVersion) {
      log.warning(
        `The proxy that runs is version ${state.proxyVersion}; this suite brings ${proxyVersion}. It goes on as it is; end it (\`kill ${state.pid}\`) at a quiet time, and the next run starts the new one.`,
      );
    }
    if (state.fence !== fence.token) {
      await fence.check();
      accepted(await admin.raiseFence(fence.token, { signal }));
    }
    holder = fence;
  }

  /** Starts again a proxy that ended while this run is at work: nobody else does, and nothing is served until then. */
  async function revive(signal: AbortSignal): Promise<void> {
    if (holder === undefined || (await running(signal)) !== undefined) return;
    log.warning(
      `The proxy in ${stateDirectory} has ended; it is started again with the traffic that it had.`,
    );
    await ensureRunning(holder, signal);
  }

  async function start(signal: AbortSignal): Promise<ProxyState> {
    await prepareConfig(stateDirectory, options);
    const logged = await sizeOf(logPath(stateDirectory));
    const child = launch(options.command, stateDirectory);
    log.info(`Starting the proxy on ${options.listen}; its state and log are in ${stateDirectory}.`);
    const deadline = deadlineIn(startTime);
    // A proxy that ends at once may have lost to another that was started at the same time: that one will answer.
    let patience = deadline;
    while (!deadline.passed() && !patience.passed() && !child.missing()) {
      const state = await running(signal);
      if (state !== undefined) return state;
      if (child.failure() !== undefined && patience === deadline) patience = deadlineIn(2_000);
      log.progress({
        what: 'the proxy to answer',
        elapsed: deadline.elapsed(),
        remaining: deadline.remaining(),
      });
      await sleep(25, signal, 'starting the proxy');
    }
    throw new DeployError(
      'start_failed',
      `The proxy on ${options.listen} did not start${child.failure() === undefined ? ` within ${formatDuration(startTime)}` : `: it ${child.failure()}`}.`,
      {
        remedy: 'Its last words say why; a port that is taken needs another `listen` address.',
        details: await linesAfter(logPath(stateDirectory), logged),
      },
    );
  }

  /** The outcome of a write whose answer did not arrive: what the proxy has now, or would have after a start. */
  async function settled(targets: Target[], expected: number, cause: unknown): Promise<Traffic> {
    const config = (await running(never)) ?? (await readConfig(stateDirectory));
    const done =
      config !== undefined && config.version === expected + 1 && sameTargets(config.targets, targets);
    if (!done) throw cause;
    log.warning(`The proxy did not answer (${messageOf(cause)}), but the configuration is written.`);
    return { targets: config.targets, version: String(config.version) };
  }

  function accepted(answer: AdminAnswer): ProxyState {
    if (answer.status === 200) return stateIn(answer);
    switch (answer.status) {
      case 403:
        throw new DeployError('lock_lost', `The proxy refuses this run: ${answer.error}`, {
          remedy: 'A newer run took over; look at its result.',
        });
      case 409:
        throw new DeployError(
          'state_conflict',
          `The proxy's configuration was changed by someone else: ${answer.error}`,
          {
            remedy: 'Run this again: it will read the configuration anew.',
          },
        );
      case 422:
      case 507:
        throw new DeployError('router_rejected', `The proxy refuses the configuration: ${answer.error}`, {
          remedy:
            answer.status === 422
              ? 'Correct the targets; nothing was changed.'
              : `Make ${stateDirectory} writable and make room; nothing was changed.`,
        });
      default:
        throw new DeployError('internal', `The proxy answers ${answer.status}: ${answer.error}`);
    }
  }

  return {
    name: 'embedded-proxy',
    capabilities: { weights: true, keepAlive: 'lossless', fencing: 'atomic', drain: true },
    ensureRunning,
    revive,

    /** Reads the proxy's file where it does not run: that is what it serves once it does. Writes nothing. */
    async read() {
      const config = (await running(never)) ?? (await readConfig(stateDirectory));
      return config === undefined
        ? { targets: [], version: absent }
        : { targets: config.targets, version: String(config.version) };
    },

    async apply(targets, expected, fence) {
      await ensureRunning(fence, never);
      const version = expected === absent ? initialVersion : Number(expected);
      if (!Number.isSafeInteger(version)) {
        throw new DeployError('state_conflict', `"${expected}" is no version of this router.`, {
          remedy: 'Read the traffic, and apply with the version that was read.',
        });
      }
      await fence.check();
      let answer: AdminAnswer;
      try {
        answer = await admin.setTargets(targets, fence.token, version, { signal: never });
      } catch (thrown) {
        return settled(targets, version, thrown);
      }
      const state = accepted(answer);
      return { targets: state.targets, version: String(state.version) };
    },

    async verify(traffic, deadline, signal) {
      const config = await readConfig(stateDirectory);
      if (config === undefined) {
        return { matches: false, answers: {}, detail: `no proxy was ever started in ${stateDirectory}` };
      }
      const probe = proxyProbe(config, verifyPath);
      await revive(signal);
      return verifyByProbes({
        traffic,
        probe,
        sampled: false,
        deadline,
        signal,
        log,
        mend: () => revive(signal),
      });
    },

    async drain(slot, deadline, signal) {
      const what = `requests in flight to ${slot} to end`;
      await revive(signal);
      let inFlight = 0;
      do {
        // In rounds, so that the wait is seen.
        const round = Math.min(deadline.remaining(), 2_000);
        const answer = await admin.drain(slot, round, { signal });
        inFlight = Number(answer.body['inFlight']);
        if (answer.status !== 200 || !Number.isSafeInteger(inFlight)) {
          throw new DeployError('internal', `The proxy answers ${answer.status} to drain: ${answer.error}`);
        }
        log.progress({
          what,
          elapsed: deadline.elapsed(),
          remaining: deadline.remaining(),
          detail: `${inFlight} in flight`,
        });
      } while (inFlight > 0 && !deadline.passed());
      return { complete: inFlight === 0, inFlight, elapsed: deadline.elapsed() };
    },
  };
}

function stateIn(answer: AdminAnswer): ProxyState {
  if (answer.state !== undefined) return answer.state;
  throw new DeployError('internal', `The proxy answers ${answer.status} without its state: ${answer.error}`);
}

interface Launched {
  /** How it ended, if it did. */
  failure(): string | undefined;
  /** There was nothing to run. */
  missing(): boolean;
}

/** Starts a process that outlives this one and inherits nothing from it: no secret, no job, no terminal. */
function launch(command: string[], stateDirectory: string): Launched {
  const [program = '', ...args] = command;
  const env: NodeJS.ProcessEnv = {
    // A runner ends all processes of a job that carry its tracking id.
    RUNNER_TRACKING_ID: '',
  };
  for (const name of ['PATH', 'HOME', 'LANG', 'TZ']) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  const output = openSync(logPath(stateDirectory), 'a', 0o600);
  let failure: string | undefined;
  let missing = false;
  try {
    const child = spawn(program, [...args, stateDirectory], {
      cwd: '/',
      env,
      detached: true,
      stdio: ['ignore', output, output],
    });
    child.once('error', (error) => {
      missing = true;
      failure = `cannot be run (${error.message})`;
    });
    child.once('exit', (code, signal) => (failure = `ended with ${signal ?? `exit code ${code}`}`));
    child.unref();
  } finally {
    closeSync(output);
  }
  return { failure: () => failure, missing: () => missing };
}

async function sizeOf(path: string): Promise<number> {
  return (await orUndefinedIfMissing(stat(path)))?.size ?? 0;
}

/** What was written to the log after it had this size. */
async function linesAfter(path: string, size: number): Promise<string[]> {
  const text = (await orUndefinedIfMissing(readFile(path))) ?? Buffer.alloc(0);
  return lastLines(text.subarray(text.length < size ? 0 : size).toString('utf8'), 20);
}

/** The proxy returns targets in the order they were given, so equal means equal text. */
function sameTargets(a: Target[], b: Target[]): boolean {
  return canonicalJson(a) === canonicalJson(b);
}
