// A Chromium of the machine's own, or Debian's where this may be installed; run without its own traffic and with nothing kept.

import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Browser, chromium } from 'playwright-core';

const names = ['chromium', 'chromium-browser', 'google-chrome'];
/** With the fonts that pages are set in, so that widths are the same on every machine that this installs on. */
const packages = ['chromium', 'fonts-liberation', 'fonts-noto-color-emoji'];
const flags = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export async function findProgram(wanted: readonly string[], path: string): Promise<string | undefined> {
  for (const name of wanted) {
    for (const folder of path.split(delimiter).filter((entry) => entry !== '')) {
      const file = join(folder, name);
      const there = await access(file, constants.X_OK).then(
        () => true,
        () => false,
      );
      if (there) return file;
    }
  }
  return undefined;
}

/** Lines of a program that show that it gets on; rejects with its last ones when it fails. */
async function show(say: (line: string) => void, command: string, ...args: string[]): Promise<void> {
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    timeout: 300_000,
  });
  const last: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface(stream).on('line', (line) => {
      last.push(line);
      if (last.length > 10) last.shift();
      if (/^(?:Get:|Unpacking|Setting up) ?/.test(line)) say(`  ${line}`);
    });
  }
  const { promise, resolve, reject } = Promise.withResolvers<number | string | null>();
  child.once('error', reject).once('close', (code, signal) => resolve(code ?? signal));
  const ended = await promise;
  if (ended !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${ended}:\n${last.join('\n')}`);
}

/** The path of a Chromium. Throws with what to do where there is none and none can be installed. */
export async function requireChromium(say: (line: string) => void): Promise<string> {
  const path = process.env['PATH'] ?? '';
  const found = await findProgram(names, path);
  if (found !== undefined) return found;
  const todo = `Put one of ${names.join(', ')} on PATH.`;
  if (process.getuid?.() !== 0 || (await findProgram(['apt-get'], path)) === undefined) {
    throw new Error(
      `There is no Chromium, and only root on Debian can have it installed here. ${todo} On Debian: apt-get install ${packages.join(' ')}`,
    );
  }
  say(`Installing ${packages.join(', ')} with apt-get …`);
  try {
    await show(say, 'apt-get', 'update');
    await show(say, 'apt-get', 'install', '--yes', '--no-install-recommends', ...packages);
  } catch (thrown) {
    throw new Error(`Chromium could not be installed. ${todo}`, { cause: thrown });
  }
  const installed = await findProgram(names, path);
  if (installed === undefined) throw new Error(`apt-get installed no Chromium that is on PATH. ${todo}`);
  return installed;
}

/** In an empty profile of its own, which is removed with the browser. */
export async function startChromium(executablePath: string): Promise<Browser> {
  return chromium.launch({ executablePath, headless: true, chromiumSandbox: false, args: flags });
}
