// build-images as a step runs it, on the engine of these tests.

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { asStepEnvironment, describeProblem, type Outcome, readInputs } from '@deploy-actions/action-kit';
import { definition } from '../../../actions/build-images/definition.ts';
import { run } from '../../../actions/build-images/run.ts';
import { createTestContext } from '../../support/context.ts';
import type { Engine } from '../engine/engine.ts';

export interface BuildStep {
  outcome: Outcome;
  /** What the summary of the job shows. */
  summary: string;
  /** What was logged. */
  lines: string[];
  /** The output `details`. */
  details: Record<
    string,
    {
      digest: string;
      reference: string;
      platforms: string[];
      size: number;
      cached: 'unchanged' | 'merged' | number;
      seconds: number;
      tags: string[];
    }
  >;
  rebuilt: string[];
  /** Milliseconds. */
  took: number;
}

export interface Workspace {
  folder: string;
  write(files: Record<string, string>): Promise<void>;
  /** Runs the action with these inputs; objects are written as JSON. Throws what it throws. */
  build(inputs: Record<string, unknown>, own?: { signal?: AbortSignal; sha?: string }): Promise<BuildStep>;
  remove(): Promise<void>;
}

let runs = 0;

export async function createWorkspace(engine: Engine, files: Record<string, string>): Promise<Workspace> {
  const folder = await mkdtemp(join(tmpdir(), 'build-images-'));
  const workspace: Workspace = {
    folder,
    async write(changed) {
      for (const [path, text] of Object.entries(changed)) {
        await mkdir(dirname(join(folder, path)), { recursive: true });
        await writeFile(join(folder, path), text);
      }
    },
    async build(inputs, own = {}) {
      runs += 1;
      const given = Object.entries({ limits: 'none', sarif: 'false', ...inputs }).map(
        ([name, value]): [string, string] => [
          name,
          typeof value === 'string' ? value : JSON.stringify(value),
        ],
      );
      const read = await readInputs(definition, {
        environment: asStepEnvironment(Object.fromEntries(given)),
        workspace: folder,
        config: async () => () => undefined,
        mask: () => {},
      });
      if (!read.ok) throw new Error(read.problems.map(describeProblem).join('\n'));
      const test = createTestContext({
        environment: { ...process.env, ...engine.env, SOURCE_DATE_EPOCH: '1700000000' },
        ...(own.signal === undefined ? {} : { signal: own.signal }),
      });
      Object.assign(test.context.facts, {
        workspace: folder,
        temp: join(folder, '.temp'),
        repository: 'acme/helpdesk',
        sha: own.sha ?? '4f9c1e7ab2d86035c4e1f7a9d3b25e608c7f1a42',
        ref: 'refs/heads/main',
        runId: String(runs),
        runUrl: `https://github.com/acme/helpdesk/actions/runs/${runs}`,
      });
      const began = performance.now();
      const outcome = await run(read.inputs, test.context);
      const { details, rebuilt } = outcome.outputs;
      return {
        outcome,
        summary: test.context.summary.text(),
        lines: test.lines,
        details: details === undefined ? {} : (JSON.parse(String(details)) as BuildStep['details']),
        rebuilt: String(rebuilt ?? '')
          .split(',')
          .filter((name) => name !== ''),
        took: performance.now() - began,
      };
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
  await workspace.write({ '.dockerignore': '.temp\n', ...files });
  return workspace;
}
