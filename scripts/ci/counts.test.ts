import { describe, expect, it } from 'vitest';
import { countsOf } from './counts.ts';

const file = (status: string, ...tests: string[]) => ({
  status,
  assertionResults: tests.map((one) => ({ status: one })),
});
const vitest = (numPassedTests: number, numFailedTests: number, ...testResults: object[]) =>
  JSON.stringify({ numPassedTests, numFailedTests, testResults });

describe('what a step counts', () => {
  it.each([
    ['its own file', '{"passed":9,"failed":0}', 0, 9, 0],
    ['its own file, with failures', '{"passed":7,"failed":2}', 1, 7, 2],
    ['the report of vitest', vitest(5, 0, file('passed', 'passed')), 0, 5, 0],
    ['failed tests once', vitest(5, 1, file('failed', 'passed', 'failed')), 1, 5, 1],
    ['a file that could not be started', vitest(5, 0, file('failed')), 1, 5, 1],
    [
      'a file that could not be started beside failed tests',
      vitest(5, 1, file('failed', 'failed'), file('failed')),
      1,
      5,
      2,
    ],
    ['a step without a file as one', undefined, 0, 1, 0],
    ['a failed step without a file as one', undefined, 1, 0, 1],
    ['a file without counts as none', '{"figures":[]}', 0, 1, 0],
    ['a step that failed though nothing of it did', '{"passed":9,"failed":0}', 1, 9, 1],
    ['a step that was ended', '{"passed":9,"failed":0}', null, 9, 1],
    ['half of a file as none', '{"passed":9,"fai', null, 0, 1],
    ['failures that it did not exit with', '{"passed":1,"failed":3}', 0, 1, 3],
  ])('%s', (_what, written, code, passed, failed) => {
    expect(countsOf(written, code)).toEqual({ passed, failed });
  });
});
