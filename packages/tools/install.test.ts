import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Log } from '@deploy-actions/core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { installTool, type Tool } from './install.ts';

let folder = '';
let archive: Buffer = Buffer.alloc(0);
const servers: Server[] = [];
const log: Log = { info: () => {}, warning: () => {}, debug: () => {}, progress: () => {} };

/** An archive with a program that says hello, and what else is asked for. */
function pack(...more: string[]): Buffer {
  const content = mkdtempSync(join(folder, 'content-'));
  writeFileSync(join(content, 'scan'), '#!/bin/sh\necho hello\n');
  chmodSync(join(content, 'scan'), 0o755);
  writeFileSync(join(content, 'LICENSE'), 'free');
  writeFileSync(join(folder, 'outside'), 'x');
  const file = join(folder, `archive-${Math.random()}.tar.gz`);
  execFileSync('tar', ['-czPf', file, '-C', content, ...more, 'LICENSE', 'scan']);
  return readFileSync(file);
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tools-'));
  archive = pack();
});
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/scan.tar.gz`;
}

const digestOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

async function attempt(
  urls: string[],
  own: Partial<Tool> = {},
  cache = mkdtempSync(join(folder, 'cache-')),
  stall = 10_000,
) {
  const tool: Tool = {
    name: 'scan',
    version: '1.0.0',
    urls,
    sha256: digestOf(archive),
    redirects: [],
    ...own,
  };
  const controller = new AbortController();
  const made = await installTool(tool, {
    cache,
    log,
    signal: controller.signal,
    environment: { PATH: process.env['PATH'] },
    stall,
    pauses: [10],
  }).catch((thrown: unknown) => thrown);
  return { made, cache };
}

/** Everything that anybody could run. */
function executables(cache: string): string[] {
  return readdirSync(cache, { recursive: true, encoding: 'utf8' })
    .map((name) => join(cache, name))
    .filter((path) => statSync(path).isFile() && (statSync(path).mode & 0o111) !== 0);
}

describe('a tool', () => {
  it('is installed once and runs', async () => {
    let asked = 0;
    const url = await serve((_request, response) => {
      asked += 1;
      response.end(archive);
    });
    const { made, cache } = await attempt([url]);
    expect(execFileSync(String(made), { encoding: 'utf8' })).toBe('hello\n');
    expect((await attempt([url], {}, cache)).made).toBe(made);
    expect(asked).toBe(1);
  });

  it('that was changed after it was installed is installed again', async () => {
    const url = await serve((_request, response) => response.end(archive));
    const { made, cache } = await attempt([url]);
    writeFileSync(String(made), '#!/bin/sh\necho other\n');
    const { made: again } = await attempt([url], {}, cache);
    expect(execFileSync(String(again), { encoding: 'utf8' })).toBe('hello\n');
  });

  it('is had from the next mirror, and again after a failure that passes', async () => {
    let asked = 0;
    const broken = await serve((_request, response) => response.writeHead(503).end());
    const flaky = await serve((_request, response) => {
      asked += 1;
      if (asked === 1) response.writeHead(429).end();
      else response.end(archive);
    });
    const { made } = await attempt([broken, flaky]);
    expect(existsSync(String(made))).toBe(true);
    expect(asked).toBe(2);
  });

  it('by twenty at once is one', async () => {
    const url = await serve((_request, response) => response.end(archive));
    const cache = mkdtempSync(join(folder, 'cache-'));
    const all = await Promise.all(Array.from({ length: 20 }, () => attempt([url], {}, cache)));
    expect([...new Set(all.map(({ made }) => String(made)))]).toEqual([expect.stringMatching(/\/scan$/)]);
    expect(execFileSync(String(all[0]?.made), { encoding: 'utf8' })).toBe('hello\n');
    expect(executables(cache)).toHaveLength(1);
  });
});

describe('refused before anything is executable', () => {
  const answering = (bytes: Buffer) => serve((_request, response) => response.end(bytes));

  it('a flipped byte', async () => {
    const flipped = Buffer.from(archive);
    flipped[100] = (flipped[100] ?? 0) ^ 1;
    const { made, cache } = await attempt([await answering(flipped)]);
    expect(made).toMatchObject({
      reasonCode: 'tool_rejected',
      message: expect.stringContaining(digestOf(archive)),
    });
    expect(executables(cache)).toEqual([]);
  });

  it('a redirect to a host that was not named', async () => {
    const elsewhere = (await answering(archive)).replace('127.0.0.1', 'localhost');
    const url = await serve((_request, response) => response.writeHead(302, { location: elsewhere }).end());
    const { made, cache } = await attempt([url]);
    expect(made).toMatchObject({
      reasonCode: 'tool_rejected',
      message: expect.stringContaining('localhost'),
    });
    expect(executables(cache)).toEqual([]);
    const { made: allowed } = await attempt([url], { redirects: [new URL(elsewhere).host] });
    expect(existsSync(String(allowed))).toBe(true);
  });

  it('a redirect to plain http, and one without end', async () => {
    const plain = await serve((_request, response) =>
      response.writeHead(302, { location: 'http://tools.example/' }).end(),
    );
    expect((await attempt([plain], { redirects: ['tools.example'] })).made).toMatchObject({
      reasonCode: 'tool_rejected',
      message: expect.stringContaining('not https'),
    });
    const endless = await serve((_request, response) =>
      response.writeHead(302, { location: '/again' }).end(),
    );
    expect((await attempt([endless])).made).toMatchObject({ reasonCode: 'tool_rejected' });
  });

  it.each([
    [
      'a cut download',
      (response: Parameters<RequestListener>[1]) => {
        response.writeHead(200, { 'content-length': archive.length });
        response.write(archive.subarray(0, 100), () => response.destroy());
      },
    ],
    ['an answer of 404', (response: Parameters<RequestListener>[1]) => void response.writeHead(404).end()],
  ])('%s', async (_what, answer) => {
    const url = await serve((_request, response) => answer(response));
    const { made, cache } = await attempt([url]);
    expect(made).toMatchObject({ reasonCode: 'unreachable', details: [expect.stringContaining(url)] });
    expect(executables(cache)).toEqual([]);
  });

  it('a download that stalls', async () => {
    const url = await serve((_request, response) => void response.write(archive.subarray(0, 100)));
    const { made, cache } = await attempt([url], {}, undefined, 300);
    expect(made).toMatchObject({
      reasonCode: 'unreachable',
      details: [expect.stringMatching(/no byte for 0\.3 s$/)],
    });
    expect(executables(cache)).toEqual([]);
  });

  it('a path that leaves the archive, also where the digest is right', async () => {
    for (const outside of ['../outside', join(folder, 'outside')]) {
      const bytes = pack(outside);
      const { made, cache } = await attempt([await answering(bytes)], { sha256: digestOf(bytes) });
      expect(made).toMatchObject({
        reasonCode: 'tool_rejected',
        message: expect.stringContaining('leads out of it'),
      });
      expect(executables(cache)).toEqual([]);
    }
  });

  it('an archive without the program, and what is no archive', async () => {
    expect((await attempt([await answering(archive)], { name: 'other' })).made).toMatchObject({
      reasonCode: 'tool_rejected',
      message: expect.stringContaining('has no other'),
    });
    const bytes = Buffer.from('no archive');
    expect((await attempt([await answering(bytes)], { sha256: digestOf(bytes) })).made).toMatchObject({
      reasonCode: 'tool_rejected',
      message: expect.stringContaining('cannot be read'),
    });
  });

  it('a digest that is none', async () => {
    expect((await attempt(['https://example.com/'], { sha256: 'abc' })).made).toMatchObject({
      reasonCode: 'invalid_input',
    });
  });
});
