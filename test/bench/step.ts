import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const dist = join(import.meta.dirname, '../../dist');

/** The folders and the environment that a runner gives a step: nothing of this process's own but PATH. */
export interface StepPlace {
  directory: string;
  environment(inputs: Record<string, string>): NodeJS.ProcessEnv;
  /** Forgets what was compiled, as at the first step of a job. */
  forgetCompiled(): void;
  remove(): void;
}

export function stepPlace(): StepPlace {
  const directory = mkdtempSync(join(tmpdir(), 'deploy-actions-bench-'));
  const workspace = join(directory, 'workspace');
  const temp = join(directory, 'temp');
  mkdirSync(workspace);
  mkdirSync(temp);
  for (const file of ['output', 'summary', 'state']) writeFileSync(join(directory, file), '');
  return {
    directory,
    environment: (inputs) => ({
      PATH: process.env['PATH'],
      HOME: directory,
      GITHUB_OUTPUT: join(directory, 'output'),
      GITHUB_STEP_SUMMARY: join(directory, 'summary'),
      GITHUB_STATE: join(directory, 'state'),
      GITHUB_WORKSPACE: workspace,
      RUNNER_TEMP: temp,
      ...Object.fromEntries(
        Object.entries(inputs).map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value]),
      ),
    }),
    forgetCompiled: () =>
      rmSync(join(temp, 'deploy-actions/compile-cache'), { recursive: true, force: true }),
    remove: () => rmSync(directory, { recursive: true }),
  };
}
