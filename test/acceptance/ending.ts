// What holds for every ending of every action, whatever it did.

import { readFile } from 'node:fs/promises';
import { expect } from 'vitest';
import type { Job, StepOptions, StepResult } from '../support/runner.ts';

const good = ['succeeded', 'unchanged', 'planned'];

/** Runs a step and looks at how it ended. */
export async function ending(
  job: Job,
  action: string,
  inputs: Record<string, string>,
  options?: StepOptions,
): Promise<StepResult> {
  return expectEnding(job, await job.step(action, inputs, options));
}

export async function expectEnding(job: Job, step: StepResult): Promise<StepResult> {
  const { outputs, annotations, summary, exitCode, log } = step;
  const { outputs: declared } = await job.manifest(step.action);
  expect(Object.keys(outputs).toSorted(), log).toEqual(declared.toSorted());
  const result = outputs['result'] ?? '';
  expect(exitCode, log).toBe(good.includes(result) ? 0 : 1);
  expect(summary.split('\n')[0]).toMatch(/^## (?:✅|❌|⏹️) .+: /u);
  expect(summary).toContain(`: ${result}\n`);
  expect(summary).not.toMatch(/undefined|NaN|\[object/);

  const report = JSON.parse(await readFile(outputs['report'] ?? '', 'utf8')) as Record<string, unknown>;
  expect(report).toMatchObject({ action: step.action, result, reasonCode: outputs['reason-code'] });

  const errors = annotations.filter(({ level }) => level === 'error');
  if (exitCode === 0) expect(errors).toEqual([]);
  else {
    expect(errors).toHaveLength(1);
    expect(errors[0]?.title).toContain(`: ${result} (${outputs['reason-code']})`);
    expect(summary).toContain(`Reason code: \`${outputs['reason-code']}\``);
  }
  return step;
}

/** The one error annotation of a step that failed. */
export function errorOf(step: StepResult): string {
  return step.annotations.find(({ level }) => level === 'error')?.message ?? '';
}
