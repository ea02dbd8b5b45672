import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog } from '@deploy-actions/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { installPythonTool } from './python-tool.ts';

// The real pip, and a folder with a wheel of our own instead of an index.

let folder = '';
let digest = '';

const makeWheel = `
import sys, zipfile
with zipfile.ZipFile(sys.argv[1] + '/hello_tool-1.0-py3-none-any.whl', 'w') as wheel:
    wheel.writestr('hello_tool.py', 'print("hello")')
    wheel.writestr('hello_tool-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: hello-tool\\nVersion: 1.0\\n')
    wheel.writestr('hello_tool-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    wheel.writestr('hello_tool-1.0.dist-info/RECORD', '')
`;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'python-tool-'));
  execFileSync('python3', ['-c', makeWheel, folder]);
  digest = createHash('sha256')
    .update(readFileSync(join(folder, 'hello_tool-1.0-py3-none-any.whl')))
    .digest('hex');
});
afterAll(() => rmSync(folder, { recursive: true }));

async function attempt(
  requirements: string,
  cache = mkdtempSync(join(folder, 'cache-')),
  path = process.env['PATH'],
) {
  const made = await installPythonTool(
    { name: 'hello-tool', module: 'hello_tool', version: '1.0', requirements },
    {
      cache,
      log: silentLog,
      signal: new AbortController().signal,
      environment: { PATH: path, HOME: folder, PIP_NO_INDEX: '1', PIP_FIND_LINKS: folder },
    },
  ).catch((thrown: unknown) => thrown);
  return { made, cache };
}

/** Nothing is left that could be taken for the tool. */
const leftIn = (cache: string) =>
  existsSync(join(cache, 'hello-tool')) ? readdirSync(join(cache, 'hello-tool')) : [];

describe('a tool of Python', { timeout: 120_000 }, () => {
  it('is installed once and runs', async () => {
    const requirements = `hello-tool==1.0 --hash=sha256:${digest}`;
    const { made, cache } = await attempt(requirements);
    const [program = '', ...args] = made as string[];
    expect(execFileSync(program, args, { encoding: 'utf8' })).toBe('hello\n');
    // Without Python on PATH it could not be installed again.
    expect((await attempt(requirements, cache, '/nowhere')).made).toEqual(made);
    expect(leftIn(cache)).toHaveLength(1);
  });

  it('is refused when its wheel is another', async () => {
    const { made, cache } = await attempt(`hello-tool==1.0 --hash=sha256:${'0'.repeat(64)}`);
    expect(made).toMatchObject({ reasonCode: 'tool_rejected' });
    expect(leftIn(cache)).toEqual([]);
  });

  it.each([
    ['its wheel is not to be had', () => `hello-tool==2.0 --hash=sha256:${digest}`],
    ['it has no digest', () => 'hello-tool==1.0'],
  ])('is not there when %s', async (_what, requirements) => {
    const { made, cache } = await attempt(requirements());
    expect(made).toMatchObject({ reasonCode: 'unreachable' });
    expect(leftIn(cache)).toEqual([]);
  });

  it('needs Python', async () => {
    expect((await attempt('hello-tool==1.0', undefined, '/nowhere')).made).toMatchObject({
      reasonCode: 'not_found',
    });
  });
});
