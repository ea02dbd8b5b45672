import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { parseStat, processStat, readProcessFile } from './process-stat.ts';

/** As the kernel writes it, up to the field that is read last. */
const line = (name: string, state: string, threads: number): string =>
  `41 (${name}) ${state} 1 41 40 0 -1 4194560 9 0 0 0 1 2 0 0 20 0 ${threads} 0 777 0`;

describe('the stat of a process', () => {
  it('has its session and its start, whatever its name is', () => {
    for (const name of ['node', 'a b', 'tmux: server) Z (x', '']) {
      expect(parseStat(line(name, 'S', 7))).toEqual({ session: 40, startTime: '777' });
    }
  });

  it('is none of a process of which nothing but its exit status is left', () => {
    expect(parseStat(line('node', 'Z', 1))).toBeUndefined();
    expect(parseStat(line('node', 'X', 0))).toBeUndefined();
  });

  it('is there while any thread of it is, and then not', async () => {
    const script = [
      'import ctypes, os, sys, threading',
      'threading.Thread(target=lambda: sys.stdin.read()).start()',
      'print(os.getpid(), flush=True)',
      'ctypes.CDLL(None).pthread_exit(None)',
    ].join('\n');
    const child = spawn('python3', ['-c', script], { stdio: ['pipe', 'pipe', 'inherit'] });
    const ended = once(child, 'exit');
    const pid = child.pid ?? 0;
    await once(child.stdout, 'data');
    await expect.poll(() => readProcessFile(pid, 'stat')).toMatch(/\) Z /);
    expect(processStat(pid)?.startTime).toMatch(/^\d+$/);
    child.stdin.end();
    await ended;
    expect(processStat(pid)).toBeUndefined();
  });

  it('is none of a process that never was', () => {
    expect(processStat(2 ** 22 + 1)).toBeUndefined();
  });
});
