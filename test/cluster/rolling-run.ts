// A rolling update or its rollback as the actions make it, with the rights of the example's Role. Run as a program, it is one that
// can be killed: node test/cluster/rolling-run.ts KUBECONFIG NAMESPACE WORKLOAD IMAGE

import type { Outcome } from '@deploy-actions/action-kit';
import { parseImageReference } from '@deploy-actions/core';
import { loadRolling, type RollingRequest, type RollingRequestInputs } from '@deploy-actions/targets';
import { rollBackWorkload } from '../../actions/rollback/workload.ts';
import { createTestContext } from '../support/context.ts';

export interface Update {
  kubeconfig: string;
  namespace: string;
  workload: string;
  image: string;
  drain?: number;
  watch?: number;
  onFailure?: RollingRequest['onFailure'];
  inputs?: Partial<RollingRequestInputs>;
  signal?: AbortSignal;
}

export interface Updated {
  outcome: Outcome;
  lines: string[];
  summary: string;
}

/** What the actions read of their inputs. */
function inputsOf({ kubeconfig, namespace, workload, inputs }: Omit<Update, 'image'>) {
  return {
    app: workload.slice(workload.indexOf('/') + 1),
    environment: '',
    platform: 'kubernetes' as const,
    router: '',
    state: 'platform' as const,
    kubeconfig,
    namespace,
    images: undefined,
    notes: undefined,
    'break-freeze': undefined,
    'github-token': undefined,
    'environment-url': undefined,
    'probe-url': undefined,
    'probe-rate': 10,
    'ready-timeout': 60_000,
    'lock-timeout': 0,
    'dry-run': false,
    ...inputs,
  };
}

/** `version` is what `rollback` is given. */
export async function rollBack(update: Omit<Update, 'image'>, version = 'previous'): Promise<Updated> {
  const { context, lines } = createTestContext();
  const outcome = await rollBackWorkload(update.workload, { ...inputsOf(update), version }, context);
  return { outcome, lines, summary: context.summary.text() };
}

export async function rollTo(update: Update): Promise<Updated> {
  const { workload, image } = update;
  const { openWorkload, runRolling } = await loadRolling();
  const { context, lines } = createTestContext(update.signal === undefined ? {} : { signal: update.signal });
  const inputs = inputsOf(update);
  const target = await openWorkload(workload, inputs, context);
  const outcome = await runRolling(context, {
    target,
    inputs,
    strategy: 'rolling',
    release: {
      version: parseImageReference(image)?.tag ?? image,
      images: [image],
      container: null,
      replicas: null,
    },
    template: null,
    drain: update.drain ?? 5,
    watch: update.watch ?? 0,
    onFailure: update.onFailure ?? 'rollback',
  }).finally(() => target.client.close());
  return { outcome, lines, summary: context.summary.text() };
}

const [, program, kubeconfig, namespace, workload, image] = process.argv;
if (program === import.meta.filename && image !== undefined) {
  const { outcome } = await rollTo({
    kubeconfig: kubeconfig ?? '',
    namespace: namespace ?? '',
    workload: workload ?? '',
    image,
  });
  process.stdout.write(`${JSON.stringify(outcome.outputs)}\n`);
}
