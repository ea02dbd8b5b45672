import { isRecord } from '@deploy-actions/core';

export interface Counts {
  passed: number;
  failed: number;
}

/**
 * What a step says with the file that it wrote, vitest's JSON report or `{passed, failed}`, and how it ended. A file of tests that
 * could not be started is a failure, though no test of it failed. A step that ended badly has at least one, whatever it wrote; without
 * a file, or with one that counts nothing, a step that ended well counts as one.
 *
 * @param written undefined where the step wrote nothing
 * @param code its exit code; null when a signal ended it
 */
export function countsOf(written: string | undefined, code: number | null): Counts {
  const { passed, failed } = told(written);
  if (code !== 0) return { passed, failed: Math.max(failed, 1) };
  return passed + failed === 0 ? { passed: 1, failed: 0 } : { passed, failed };
}

function told(written = ''): Counts {
  const report = parsed(written);
  if (!isRecord(report)) return { passed: 0, failed: 0 };
  const passed = numberIn(report, 'numPassedTests') ?? numberIn(report, 'passed') ?? 0;
  const failed = numberIn(report, 'numFailedTests') ?? numberIn(report, 'failed') ?? 0;
  return { passed, failed: failed + recordsIn(report['testResults']).filter(couldNotStart).length };
}

/** The tests that failed by vitest's JSON report, each with the first lines of why; and the files that could not be started. */
export function failuresIn(written = ''): string[] {
  const report = parsed(written);
  if (!isRecord(report)) return [];
  return recordsIn(report['testResults']).flatMap((file) => {
    const name = String(file['name']);
    if (couldNotStart(file)) return [`${name}: ${beginningOf(file['message'])}`];
    return recordsIn(file['assertionResults'])
      .filter(({ status }) => status === 'failed')
      .map(({ fullName, failureMessages }) => {
        const messages: unknown[] = Array.isArray(failureMessages) ? failureMessages : [];
        return `${name}: ${String(fullName)}: ${beginningOf(messages[0])}`;
      });
  });
}

function recordsIn(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}

const beginningOf = (message: unknown): string => String(message).split('\n', 12).join('\n').slice(0, 1_500);

/** A step that was killed may have left half of a file. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function numberIn(report: Record<string, unknown>, name: string): number | undefined {
  const value = report[name];
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : undefined;
}

function couldNotStart(file: Record<string, unknown>): boolean {
  if (file['status'] !== 'failed') return false;
  return !recordsIn(file['assertionResults']).some(({ status }) => status === 'failed');
}
