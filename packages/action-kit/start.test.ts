import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runStep, type StepOptions } from '../../scripts/step.ts';

const fixture = join(import.meta.dirname, 'start.fixture.ts');

/** Lines that the runner would take for commands, by the name of the command. */
function commandsIn(text: string): string[] {
  return [...text.matchAll(/^\s*(?:::([a-z-]+)|##\[([a-z]+))/gm)].map(([, name, old]) => name ?? old ?? '');
}

async function step(way: string, options: StepOptions & { phase?: 'main' | 'post' } = {}) {
  const { phase = 'main', ...rest } = options;
  let report: Record<string, unknown> = {};
  let state = '';
  const ended = await runStep(fixture, {
    ...rest,
    args: [way, phase],
    async after({ temp, runner }) {
      const folder = join(temp, 'deploy-actions');
      const [file] = await readdir(folder).catch(() => []);
      if (file !== undefined)
        report = JSON.parse(await readFile(join(folder, file), 'utf8')) as Record<string, unknown>;
      state = await readFile(join(runner, 'state'), 'utf8');
    },
  });
  return { ...ended, report, state };
}

describe('main', () => {
  it('writes every output, the summary, the report and the state', async () => {
    const { code, outputs, summary, report, state, text } = await step('well');
    expect(code).toBe(0);
    expect(Object.fromEntries(outputs)).toEqual({
      seen: 'two\nlines',
      unseen: '',
      result: 'succeeded',
      'reason-code': 'ok',
      report: expect.stringMatching(/example-\d+-\d+\.json$/),
    });
    expect(summary).toContain('## ✅ Example: succeeded');
    expect(summary).toContain('&lt;b&gt;');
    expect(report).toMatchObject({ schema: 1, action: 'example', result: 'succeeded', facts: 1 });
    expect(state).toContain('r-1');
    expect(commandsIn(text)).toEqual([]);
  });

  it('says what to do next, with the last lines, when it fails', async () => {
    const { code, outputs, summary, text } = await step('refusing');
    expect(code).toBe(1);
    expect(outputs.get('result')).toBe('failed');
    expect(outputs.get('reason-code')).toBe('unhealthy');
    expect(text).toMatch(
      /::error title=Example%3A failed \(unhealthy\)::It is ill\.%0AWhat to do next: Look at its log\./,
    );
    expect(text).toContain('  | line 1');
    expect(commandsIn(text)).toEqual(['error']);
    expect(summary).toContain('**What to do next:** Look at its log.');
  });

  it.each([
    ['bug', 'x is not a function'],
    ['uncaught', 'nobody waits for this'],
  ])('has a result even for an error of its own (%s)', async (way, message) => {
    const { code, outputs, text } = await step(way);
    expect(code).toBe(1);
    expect(outputs.get('result')).toBe('error');
    expect(outputs.get('reason-code')).toBe('internal');
    expect(text).toContain(message);
    expect(text).not.toMatch(/^\s+at /m);
  });

  it('masks secrets line by line, and shows none', async () => {
    const { text, summary, report } = await step('well', {
      inputs: { token: 'first-secret\nsecond-secret' },
    });
    expect(text).toContain('::add-mask::first-secret%0Asecond-secret');
    expect(text).toContain('::add-mask::first-secret\n');
    expect(text).toContain('::add-mask::second-secret\n');
    expect(text.replaceAll(/^::add-mask::.*$/gm, '')).not.toContain('secret');
    expect(summary + JSON.stringify(report)).not.toContain('first-secret');
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('ends as cancelled after %s', async (signal) => {
    // Once: a second signal could meet a process that is ending and has no handlers any more.
    let sent = false;
    const { code, outputs, text } = await step('waiting', {
      onOutput: (child, output) => {
        if (!sent && output.includes('waiting')) sent = child.kill(signal);
      },
    });
    expect(code).toBe(1);
    expect(outputs.get('result')).toBe('cancelled');
    expect(text).toContain('Cancelled while waiting for the example.');
  });
});

describe('post', () => {
  it('gets what main remembered', async () => {
    const { code, text, outputs } = await step('well', {
      phase: 'post',
      environment: () => ({ STATE_release: 'r-1' }),
    });
    expect(code).toBe(0);
    expect(text).toContain('settling r-1');
    expect(outputs.size).toBe(0);
  });

  it('says that nothing could be settled', async () => {
    const { code, text } = await step('bug', { phase: 'post' });
    expect(code).toBe(1);
    expect(text).toContain('::error::Example could not be settled after the run: cannot be settled');
  });

  it('has nothing to settle when the inputs are not right', async () => {
    const { code, text } = await step('well', { phase: 'post', inputs: { nonsense: 'x' } });
    expect(code).toBe(0);
    expect(text).toBe('');
  });
});
