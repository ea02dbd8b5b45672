import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, mkdir, mkdtemp, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  DeployError,
  type Log,
  messageOf,
  orUndefinedIfMissing,
  runProcess,
  sleep,
} from '@deploy-actions/core';

/** A program that is downloaded in a tar archive. */
export interface Tool {
  /** As it is called, and the name of its file in the archive: `trivy`. */
  name: string;
  version: string;
  /** Where the archive is; tried in this order. */
  urls: readonly string[];
  /** 64 hexadecimal digits: of the archive, kept in this repository or given by the user. */
  sha256: string;
  /** Hosts that a download may be redirected to, beside its own. */
  redirects: readonly string[];
}

export interface InstallOptions {
  /** Folder for installed tools; kept between jobs where the runner does so. */
  cache: string;
  log: Log;
  signal: AbortSignal;
  environment: NodeJS.ProcessEnv;
  /** Milliseconds without a byte after which a download is given up; default 30 s. */
  stall?: number;
  /** Milliseconds before each further attempt; default 1 s and 5 s. */
  pauses?: readonly number[];
}

const largest = 1024 ** 3;
const hops = 5;

/**
 * The path of the program, installed when it is not there yet. Nothing is executable, nor has the program's name, before the archive has
 * the digest that was asked for; of the archive only the one file is taken, whatever else it holds. The installed file is checked each
 * time against the digest noted beside it when it was unpacked, so that one that was cut or overwritten is not run; who may write to the
 * cache is trusted.
 *
 * Throws `tool_rejected` when what was downloaded is not what was asked for, `unreachable` when it could not be downloaded.
 */
export async function installTool(tool: Tool, options: InstallOptions): Promise<string> {
  if (!/^[0-9a-f]{64}$/.test(tool.sha256)) {
    throw new DeployError(
      'invalid_input',
      `The SHA-256 of ${tool.name} ${tool.version} is not 64 hexadecimal digits.`,
    );
  }
  // Named by the digest: another archive is another tool.
  const folder = join(options.cache, tool.name, `${tool.version}-${tool.sha256.slice(0, 16)}`);
  const program = join(folder, tool.name);
  if (await isIntact(program)) return program;
  await mkdir(folder, { recursive: true });
  const work = await mkdtemp(join(folder, 'download-'));
  try {
    const archive = join(work, 'archive');
    await download(tool, archive, options);
    const found = await sha256Of(archive);
    if (found !== tool.sha256) {
      throw rejected(tool, `its archive has the SHA-256 ${found}, and not ${tool.sha256}`);
    }
    const unpacked = join(work, 'program');
    await unpack(tool, archive, unpacked, options);
    await put(unpacked, program);
    return program;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

const noteOf = (program: string) => `${program}.sha256`;

async function isIntact(program: string): Promise<boolean> {
  const noted = await orUndefinedIfMissing(readFile(noteOf(program), 'utf8'));
  return noted !== undefined && (await orUndefinedIfMissing(sha256Of(program))) === noted.trim();
}

/** Under its name from one moment to the next; another step may install the same at the same time. */
async function put(unpacked: string, program: string): Promise<void> {
  await chmod(unpacked, 0o755);
  await writeFile(noteOf(unpacked), `${await sha256Of(unpacked)}\n`);
  await rename(unpacked, program);
  await rename(noteOf(unpacked), noteOf(program));
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

function rejected(tool: Tool, why: string, cause?: unknown): DeployError {
  return new DeployError('tool_rejected', `${tool.name} ${tool.version} is not used: ${why}.`, {
    remedy:
      'Do not run what was downloaded. See whether the address is right and who can write there; then compare the digest with the one that its makers publish.',
    cause,
  });
}

/** One file to standard output: no path of the archive is written to, so none can lead out of the folder. */
async function unpack(tool: Tool, archive: string, to: string, options: InstallOptions): Promise<void> {
  const tar = (...args: string[]) =>
    runProcess({
      command: ['tar', ...args],
      env: options.environment,
      signal: options.signal,
      timeout: 300_000,
    });
  const listed = await tar('-tzf', archive);
  if (listed.code !== 0) throw rejected(tool, 'its archive cannot be read');
  const names = listed.stdout.split('\n').filter((name) => name !== '');
  const outside = names.find((name) => name.startsWith('/') || name.split('/').includes('..'));
  if (outside !== undefined)
    throw rejected(tool, `its archive has ${JSON.stringify(outside)}, which leads out of it`);
  const member = names.find((name) => name.replace(/^\.\//, '') === tool.name);
  if (member === undefined) throw rejected(tool, `its archive has no ${tool.name}`);
  const script = 'tar -xzOf "$1" -- "$2" > "$3"';
  const { code, stderr } = await runProcess({
    command: ['sh', '-c', script, 'sh', archive, member, to],
    env: options.environment,
    signal: options.signal,
    timeout: 300_000,
  });
  if (code !== 0 || (await stat(to)).size === 0)
    throw rejected(tool, `it cannot be unpacked: ${stderr.trim()}`);
}

async function download(tool: Tool, file: string, options: InstallOptions): Promise<void> {
  const pauses = [...(options.pauses ?? [1_000, 5_000])];
  for (;;) {
    const failures: string[] = [];
    for (const url of tool.urls) {
      try {
        options.log.info(`Downloading ${tool.name} ${tool.version} from ${new URL(url).host}.`);
        await fetchTo(tool, url, file, options);
        return;
      } catch (thrown) {
        if (thrown instanceof DeployError && thrown.reasonCode !== 'unreachable') throw thrown;
        failures.push(`${url}: ${messageOf(thrown)}`);
      }
    }
    const pause = pauses.shift();
    if (pause === undefined) {
      throw new DeployError('unreachable', `${tool.name} ${tool.version} could not be downloaded.`, {
        remedy: `Install it on the runner, or name a mirror that the runner reaches.`,
        details: failures,
      });
    }
    options.log.warning(`Trying again to download ${tool.name}: ${failures.at(-1) ?? ''}`);
    await sleep(pause, options.signal, `downloading ${tool.name}`);
  }
}

function isAllowed(url: URL): boolean {
  return url.protocol === 'https:' || ['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname);
}

/** Redirects are followed by hand, to hosts that were named alone. */
async function fetchTo(tool: Tool, from: string, file: string, options: InstallOptions): Promise<void> {
  const { stall = 30_000 } = options;
  const first = new URL(from);
  let url = first;
  for (let hop = 0; hop <= hops; hop += 1) {
    if (!isAllowed(url)) throw rejected(tool, `${url.href} is not https`);
    if (url.host !== first.host && !tool.redirects.includes(url.host)) {
      throw rejected(
        tool,
        `${first.host} sends the download to ${url.host}, which is not one of its known hosts`,
      );
    }
    const watchdog = new AbortController();
    let timer = setTimeout(() => watchdog.abort(), stall);
    try {
      const answer = await fetch(url, {
        redirect: 'manual',
        signal: AbortSignal.any([options.signal, watchdog.signal]),
      });
      const location = answer.headers.get('location');
      if (answer.status >= 300 && answer.status < 400 && location !== null) {
        await answer.body?.cancel();
        url = new URL(location, url);
        continue;
      }
      if (!answer.ok || answer.body === null) throw unreachable(`${url.host} answers ${answer.status}`);
      const target = await open(file, 'w', 0o600);
      let size = 0;
      try {
        for await (const chunk of answer.body as ReadableStream<Uint8Array>) {
          clearTimeout(timer);
          timer = setTimeout(() => watchdog.abort(), stall);
          size += chunk.length;
          if (size > largest) throw rejected(tool, 'its archive is larger than 1 GiB');
          await target.write(chunk);
          options.log.progress({
            what: `downloading ${tool.name}`,
            elapsed: 0,
            detail: `${(size / 1024 ** 2).toFixed(0)} MiB`,
          });
        }
      } finally {
        await target.close();
      }
      const length = answer.headers.get('content-length');
      if (length !== null && answer.headers.get('content-encoding') === null && Number(length) !== size) {
        throw unreachable(`the download ended after ${size} of ${length} bytes`);
      }
      return;
    } catch (thrown) {
      if (thrown instanceof DeployError) throw thrown;
      if (options.signal.aborted)
        throw new DeployError('cancelled', `Cancelled while downloading ${tool.name}.`);
      throw unreachable(
        watchdog.signal.aborted ? `no byte for ${stall / 1_000} s` : messageOf(thrown),
        thrown,
      );
    } finally {
      clearTimeout(timer);
    }
  }
  throw rejected(tool, `${first.host} redirects more than ${hops} times`);
}

function unreachable(message: string, cause?: unknown): DeployError {
  return new DeployError('unreachable', message, { cause });
}
