import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');

/** The files that ship, without their tests. */
async function sources(): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const folder of ['actions', 'packages']) {
    for (const path of await readdir(join(root, folder), { recursive: true })) {
      const file = join(folder, path);
      if (!file.endsWith('.ts') || /\.(?:test|fixture)\.ts$|node_modules|test-support|conformance/.test(file))
        continue;
      found.set(file, await readFile(join(root, file), 'utf8'));
    }
  }
  return found;
}

const files = await sources();

/** `packages/core` of `packages/core/time.ts`; `actions/canary` of its files. */
const unitOf = (file: string) => file.split('/').slice(0, 2).join('/');

function importsOf(text: string): string[] {
  const patterns = [/\bfrom '([^']+)'/g, /\bimport\('([^']+)'\)/g, /^import '([^']+)'/gm];
  return patterns.flatMap((pattern) => [...text.matchAll(pattern)].map(([, specifier = '']) => specifier));
}

/** Files of which a line matches, but for the ones that may. */
function filesWith(pattern: RegExp, allowed: (file: string) => boolean): string[] {
  return [...files].filter(([file, text]) => pattern.test(text) && !allowed(file)).map(([file]) => file);
}

describe('the direction of imports', () => {
  it('sees the sources', () => {
    expect(files.size).toBeGreaterThan(50);
    expect(importsOf(files.get('actions/registry.ts') ?? '')).toContain('@deploy-actions/action-kit');
  });

  it('reaches into no other package but by its index', () => {
    const wrong: string[] = [];
    for (const [file, text] of files) {
      for (const specifier of importsOf(text)) {
        const outside =
          specifier.startsWith('.') &&
          unitOf(relative(root, resolve(root, dirname(file), specifier))) !== unitOf(file);
        const deep = /^@deploy-actions\/[^/]+\//.test(specifier);
        // The registry, the entry, the list of the actions that the pipeline is made of, and that of all definitions: what
        // deploy.yml may say is what the inputs of every action allow.
        const wires = [
          'actions/registry.ts',
          'actions/main.ts',
          'actions/deploy/parts.ts',
          'actions/check-config/all-definitions.ts',
        ].includes(file);
        if ((outside && !wires) || deep) wrong.push(`${file} imports ${specifier}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('goes from actions to packages, never back', () => {
    expect(filesWith(/from '[^']*\/actions\//, (file) => file.startsWith('actions/'))).toEqual([]);
  });

  it('leads to @actions/* in action-kit and github alone', () => {
    expect(filesWith(/from '@actions\//, (file) => /^packages\/(?:action-kit|github)\//.test(file))).toEqual(
      [],
    );
  });
});

describe('the runner', () => {
  /** The start of an action; and what starts programs, which need PATH, HOME and the language of whoever started us. */
  const mayReadEnvironment = [
    'packages/action-kit/start.ts',
    'packages/platforms/linux-host/linux-host.ts',
    'packages/routers/embedded-proxy.ts',
    'packages/routers/nginx.ts',
  ];

  it('is read in one place', () => {
    expect(filesWith(/process\.env\b/, (file) => mayReadEnvironment.includes(file))).toEqual([]);
    expect(filesWith(/\bgetInput\b/, () => false)).toEqual([]);
    const variables = /['"`](?:GITHUB|RUNNER|INPUT|ACTIONS|STATE)_/;
    const known = [
      'packages/action-kit/inputs.ts',
      'packages/action-kit/runner.ts',
      'packages/action-kit/start.ts',
      // Clears RUNNER_TRACKING_ID for what must outlive the job.
      'packages/platforms/linux-host/release.ts',
    ];
    expect(filesWith(variables, (file) => known.includes(file))).toEqual([]);
  });

  it('is written to by action-kit alone', () => {
    const writers = /process\.stdout|console\./;
    expect(filesWith(writers, (file) => file.startsWith('packages/action-kit/'))).toEqual([]);
  });

  it('ends a process by its exit code, but for the proxy’s and for what nobody caught', () => {
    const may = ['packages/proxy/main.ts', 'packages/action-kit/start.ts'];
    expect(filesWith(/process\.exit\(/, (file) => may.includes(file))).toEqual([]);
  });
});
