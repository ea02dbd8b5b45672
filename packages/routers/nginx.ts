import { lookup } from 'node:dns/promises';
import { readFile, realpath, rm, stat } from 'node:fs/promises';
import { request, type RequestOptions } from 'node:http';
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import {
  canonicalJson,
  deadlineIn,
  DeployError,
  lastLines,
  messageOf,
  orUndefinedIfMissing,
  runProcess,
  sleep,
  type Log,
  type ProcessResult,
  replaceFile,
} from '@deploy-actions/core';
import { parseAddress, problemsOfTargets } from '@deploy-actions/proxy';
import type { Capabilities, Fence, Router, Target, Traffic } from '@deploy-actions/release-engine';
import { exclusively } from './exclusive.ts';
import {
  digestOfText,
  digestPath,
  parseFile,
  problemsOfSettings,
  renderFile,
  upstreamAddress,
  upstreamHeader,
  type NginxFile,
} from './nginx-file.ts';
import { masterPid, workersOf } from './nginx-workers.ts';
import { verifyByProbes, type Probe } from './verify.ts';

export interface NginxOptions {
  /** The file that nginx.conf includes in `http`; this router writes it. */
  upstreamFile: string;
  /** The name that the user's servers have in `proxy_pass http://<name>`. */
  upstreamName: string;
  /** nginx with the arguments it is always run with, such as `['sudo', 'nginx']`. */
  nginxCommand?: string[];
  /** `-c` of nginx. */
  configFile?: string;
  /** `-p` of nginx. */
  prefix?: string;
  pidFile: string;
  /** Where the private server listens that verification asks: an absolute path, or a loopback `host:port`. */
  verifySocket: string;
  /** Path that probes ask for with GET. */
  verifyPath: string;
  log: Log;
}

export interface NginxRouter extends Router {
  /**
   * Writes the file without targets where it has no block yet, so that an nginx whose servers name the upstream can
   * be started before the first release. Does not need nginx to run.
   */
  prepare(fence: Fence): Promise<void>;
}

const absent = 'absent';
const commandTime = 30_000;
const reloadTime = 15_000;
/** For an answer of the private server, once the new workers are there. */
const answerTime = 2_000;
const never = new AbortController().signal;

/**
 * nginx on this host (Linux). One file is this router's; a change is: write it, have nginx test it, reload, wait for
 * the new workers. Workers of the configuration before finish what they have; drain waits for their end. Errors here:
 * `invalid_config`, `not_found` without the program, `unsupported` elsewhere than on Linux.
 */
export async function createNginx(options: NginxOptions): Promise<NginxRouter> {
  const problems = problemsOfSettings(options);
  if (problems.length > 0) {
    throw new DeployError('invalid_config', `The router nginx cannot be used: ${problems.join('; ')}.`);
  }
  if (process.platform !== 'linux') {
    throw new DeployError('unsupported', `The router nginx needs Linux; this is ${process.platform}.`, {
      remedy: 'Use the router embedded-proxy.',
    });
  }
  const { log, pidFile } = options;
  const given = resolve(options.upstreamFile);
  // A rename must replace the file, not a link to it.
  const path = (await orUndefinedIfMissing(realpath(given))) ?? given;

  function nginx(...args: string[]): Promise<ProcessResult> {
    const { PATH, HOME, LANG } = process.env;
    return runProcess({
      command: [
        ...(options.nginxCommand ?? ['nginx']),
        ...(options.prefix === undefined ? [] : ['-p', options.prefix]),
        ...(options.configFile === undefined ? [] : ['-c', options.configFile]),
        ...args,
      ],
      env: { PATH, HOME, LANG },
      signal: never,
      timeout: commandTime,
    });
  }

  async function readNow(): Promise<{ text: string | undefined; file: NginxFile; traffic: Traffic }> {
    const text = await orUndefinedIfMissing(readFile(path, 'utf8'));
    const file = parseFile(text ?? '', path);
    const version = text === undefined ? absent : digestOfText(text);
    return { text, file, traffic: { targets: file.block?.targets ?? [], version } };
  }

  /** Puts the content in the file, or takes the file away where there was none. */
  async function put(text: string | undefined): Promise<void> {
    if (text === undefined) return rm(path, { force: true });
    const mode = (await orUndefinedIfMissing(stat(path)))?.mode ?? 0o644;
    await replaceFile(path, text, mode & 0o777);
  }

  async function runningMaster(): Promise<number> {
    const master = await masterPid(pidFile);
    if (master !== undefined) return master;
    throw new DeployError('unreachable', `No nginx runs by ${pidFile}.`, {
      remedy: 'Start nginx, or correct the path of its pid file.',
    });
  }

  async function test(): Promise<void> {
    const result = await nginx('-t');
    if (result.code !== 0) throw refused('nginx refuses the configuration', result);
    await runningMaster();
  }

  /** Has nginx take over what is in its files. Resolves when only ending workers still have the configuration before. */
  async function reload(digest: string): Promise<void> {
    const master = await runningMaster();
    const old = new Set((await workersOf(master)).map(({ pid }) => pid));
    const sent = await nginx('-s', 'reload');
    if (sent.code !== 0) throw refused('nginx cannot be reloaded', sent);

    const deadline = deadlineIn(reloadTime);
    let patience = deadline;
    let inForce: string | undefined;
    while (!deadline.passed() && !patience.passed()) {
      const workers = await workersOf(master);
      const renewed =
        workers.some(({ pid, ending }) => !ending && !old.has(pid)) &&
        workers.every(({ pid, ending }) => ending || !old.has(pid));
      if (renewed) {
        inForce = await digestInForce();
        if (inForce === digest) return;
        if (patience === deadline) patience = deadlineIn(answerTime);
      }
      log.progress({ what: 'nginx to reload', elapsed: deadline.elapsed(), remaining: deadline.remaining() });
      await sleep(20, never);
    }
    const seen =
      inForce === undefined
        ? `its private server on ${options.verifySocket} does not answer`
        : 'another configuration is in force';
    throw new DeployError('router_rejected', `nginx was reloaded, but did not take over ${path}: ${seen}.`, {
      remedy: `Include ${path} in the http block of nginx.conf, and look into nginx's error log.`,
    });
  }

  async function digestInForce(): Promise<string | undefined> {
    const answer = await ask(options.verifySocket, digestPath, AbortSignal.timeout(answerTime)).catch(
      () => undefined,
    );
    return answer?.status === 200 ? answer.body : undefined;
  }

  async function write(
    current: Awaited<ReturnType<typeof readNow>>,
    targets: Target[],
    fence: Fence,
  ): Promise<Traffic> {
    const text = renderFile(current.file, options, targets, fence.token);
    if (current.text !== undefined) await replaceFile(`${path}.previous`, current.text, 0o600);
    await fence.check();
    await put(text);
    let tested = false;
    try {
      await test();
      tested = true;
      await reload(parseFile(text, path).block?.digest ?? '');
    } catch (thrown) {
      // The master keeps what it had, but a file that it refuses would stop its next start.
      await put(current.text);
      if (tested) await nginx('-s', 'reload');
      throw thrown;
    }
    const now = await readNow();
    if (now.text !== text) {
      throw new DeployError('state_conflict', `${path} was changed by someone else while it was written.`, {
        remedy: 'Run this again: it will read the configuration anew.',
      });
    }
    await fence.check();
    return now.traffic;
  }

  return {
    name: 'nginx',
    capabilities: await capabilitiesOf(nginx),

    async prepare(fence) {
      await fence.check();
      await exclusively(path, commandTime, async () => {
        const { file } = await readNow();
        if (file.block === undefined) await put(renderFile(file, options, [], fence.token));
      });
    },

    async read() {
      return (await readNow()).traffic;
    },

    async apply(targets, expected, fence) {
      const wrong = problemsOfTargets(targets);
      if (wrong.length > 0) {
        throw new DeployError(
          'router_rejected',
          `nginx cannot be given these targets: ${wrong.join('; ')}.`,
          {
            remedy: 'Correct the targets; nothing was changed.',
          },
        );
      }
      await fence.check();
      return exclusively(path, commandTime, async () => {
        const current = await readNow();
        if (current.traffic.version !== expected) {
          throw new DeployError('state_conflict', `${path} is not what it was when it was read.`, {
            remedy: 'Another run, or somebody by hand, changed it. Run this again: it will read it anew.',
          });
        }
        const { block } = current.file;
        if (block !== undefined && block.fence > fence.token) {
          throw new DeployError(
            'lock_lost',
            `${path} was written by a run that took over (fence ${block.fence}).`,
            {
              remedy: 'Look at the result of that run.',
            },
          );
        }
        if (block === undefined || canonicalJson(targets) !== canonicalJson(block.targets)) {
          return write(current, targets, fence);
        }
        // A run that was killed after its write may have left nginx with what was before.
        if ((await digestInForce()) !== block.digest) {
          await test();
          await fence.check();
          await reload(block.digest);
        }
        return current.traffic;
      });
    },

    async verify(traffic, deadline, signal) {
      const probe = await upstreamProbe(options.verifySocket, options.verifyPath, traffic.targets);
      return verifyByProbes({ traffic, probe, sampled: true, deadline, signal, log });
    },

    /** nginx counts no requests by slot: `inFlight` is the number of old workers, each of which has one at least. */
    async drain(_slot, deadline, signal) {
      const what = "nginx's old workers to end";
      for (;;) {
        const master = await masterPid(pidFile);
        const ending =
          master === undefined ? [] : (await workersOf(master)).filter((worker) => worker.ending);
        if (ending.length === 0 || deadline.passed()) {
          return { complete: ending.length === 0, inFlight: ending.length, elapsed: deadline.elapsed() };
        }
        log.progress({
          what,
          elapsed: deadline.elapsed(),
          remaining: deadline.remaining(),
          detail: `${ending.length} left: process ${ending.map(({ pid }) => pid).join(', ')}`,
        });
        await sleep(Math.min(100, deadline.remaining()), signal, `waiting for ${what}`);
      }
    },
  };
}

function refused(what: string, { stderr, code }: ProcessResult): DeployError {
  const lines = lastLines(stderr, 20);
  const reason = lines.find((line) => /\[(emerg|alert|crit|error)\]/.test(line)) ?? `exit code ${code}`;
  return new DeployError('router_rejected', `${what}: ${reason}`, {
    remedy: 'The file is again what it was before, and the traffic was not moved. Correct what nginx names.',
    details: lines,
  });
}

/**
 * Before 1.27.4 a reload closes idle client connections at once; from then on `keepalive_min_timeout` gives clients
 * that are just sending the time for it.
 */
async function capabilitiesOf(nginx: (...args: string[]) => Promise<ProcessResult>): Promise<Capabilities> {
  const { stderr } = await nginx('-v');
  const version = /nginx\/(\d+)\.(\d+)\.(\d+)/.exec(stderr)?.slice(1).map(Number);
  if (version === undefined) {
    throw new DeployError(
      'unsupported',
      `This nginx does not tell its version: ${lastLines(stderr, 1).join('')}`,
    );
  }
  const [major = 0, minor = 0, patch = 0] = version;
  const knowsIt = major * 1e6 + minor * 1e3 + patch >= 1_027_004;
  const configured = knowsIt && /^\s*keepalive_min_timeout\s+[1-9]/m.test((await nginx('-T')).stdout);
  return {
    weights: true,
    keepAlive: configured ? 'lossless' : 'closes-idle',
    fencing: 'checked',
    drain: true,
  };
}

/** Asks the private server, which uses the same upstream in the same workers as the public ones. */
async function upstreamProbe(socket: string, path: string, targets: Target[]): Promise<Probe> {
  const slots = await slotsByAddress(targets);
  return async (signal) => {
    try {
      const { headers, status } = await ask(socket, path, signal);
      const [address = '', time = '-'] = String(headers[upstreamHeader] ?? '').split(' ');
      if (address === '')
        return { problem: `${socket} is not answered by the private server of this router` };
      const slot = slots.get(address);
      if (time === '-')
        return { problem: `${status} from nginx: ${slot ?? address} (${address}) gave no answer` };
      return slot === undefined ? { problem: `${address} answered, which is in no slot` } : { slot };
    } catch (thrown) {
      return { problem: `nginx does not answer on ${socket}: ${messageOf(thrown)}` };
    }
  };
}

/** nginx resolves names when it reads its configuration, and names instances by number. */
async function slotsByAddress(targets: Target[]): Promise<Map<string, string>> {
  const slots = new Map<string, string>();
  for (const { slot, addresses } of targets) {
    for (const text of addresses) {
      const address = parseAddress(text);
      if (address === undefined) continue;
      const numbers = isIP(address.host)
        ? [{ address: address.host }]
        : await lookup(address.host, { all: true }).catch(() => []);
      for (const number of numbers) slots.set(upstreamAddress(number.address, address.port), slot);
    }
  }
  return slots;
}

interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: string;
}

function ask(socket: string, path: string, signal: AbortSignal): Promise<Answer> {
  const where: RequestOptions = parseAddress(socket) ?? { socketPath: socket };
  return new Promise((done, failed) => {
    request({ ...where, path, agent: false, signal }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (text: string) => {
        if (body.length < 200) body += text;
      });
      response.on('error', failed);
      response.on('end', () => done({ status: response.statusCode ?? 0, headers: response.headers, body }));
    })
      .on('error', failed)
      .end();
  });
}
