import { join } from 'node:path';
import { DeployError, runProcess } from '@deploy-actions/core';

/** The DeployError that a promise is rejected with; anything else is an error of the test. */
export async function failure(promise: Promise<unknown>): Promise<DeployError> {
  const thrown: unknown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(thrown instanceof DeployError)) throw new Error(`expected a DeployError, got ${String(thrown)}`);
  return thrown;
}

/** What psql prints for the SQL, unaligned. */
export async function sqlWith(
  pgBin: string,
  environment: Record<string, string>,
  text: string,
): Promise<string> {
  const { stdout, stderr, code } = await runProcess({
    command: [join(pgBin, 'psql'), '-XAtq', '-v', 'ON_ERROR_STOP=1'],
    env: environment,
    input: text,
    signal: new AbortController().signal,
    timeout: 20_000,
  });
  if (code !== 0) throw new Error(stderr);
  return stdout.trim();
}
