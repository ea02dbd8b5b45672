import { type Context, goodResults, type Outcome } from '@deploy-actions/action-kit';
import { type Channels, isWanted, type Notification, sendNotification } from '@deploy-actions/notify';
import type { Inputs } from './phase.ts';

/** A cancelled run has no time for a receiver that does not answer. */
const whenCancelled = { timeout: 1_000, attempts: 1 };

function channelsOf(inputs: Inputs): Channels {
  const { 'slack-webhook': slack, 'webhook-url': webhook, 'webhook-secret': webhookSecret } = inputs;
  return {
    ...(slack === undefined ? {} : { slack }),
    ...(webhook === undefined ? {} : { webhook }),
    ...(webhookSecret === undefined ? {} : { webhookSecret }),
  };
}

/** Tells how it ended, where the step asks for that. Changes nothing about it. */
export async function notify(
  inputs: Inputs,
  context: Context,
  app: string,
  outcome: Outcome,
  lastFailed: boolean,
): Promise<void> {
  const { result, reasonCode, message, remedy, outputs } = outcome;
  const { facts, log, redact, signal } = context;
  const good = goodResults.includes(result);
  const notification: Notification = {
    app,
    environment: inputs.environment,
    version: inputs.version,
    result,
    good,
    recovered: good && lastFailed && result === 'succeeded',
    reasonCode,
    message,
    ...(remedy === undefined ? {} : { remedy }),
    serving: String(outputs['version'] ?? ''),
    run: facts.runUrl,
    actor: facts.actor,
  };
  if (!isWanted(inputs['notify-on'], notification)) return;
  await sendNotification(notification, channelsOf(inputs), {
    ...{ log, redact },
    ...(signal.aborted ? whenCancelled : {}),
  });
}
