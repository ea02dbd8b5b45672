import { DeployError } from '@deploy-actions/core';

/** The error for people that the work ends with; throws when it ends well, or with anything else. */
export async function failureOf(work: Promise<unknown>): Promise<DeployError> {
  const thrown: unknown = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (thrown instanceof DeployError) return thrown;
  throw new Error(`no DeployError: ${String(thrown)}`, { cause: thrown });
}
