import { randomUUID } from 'node:crypto';
import { codeOf, type Log } from '@deploy-actions/core';
import type { Notification } from './model.ts';
import { slackMessage } from './slack.ts';
import { signatureHeader, signatureOf, webhookBody } from './webhook.ts';

/** Where notifications go; each address is a secret, for whoever has it can write there. */
export interface Channels {
  slack?: string;
  webhook?: string;
  /** Signs what is sent to `webhook`. */
  webhookSecret?: string;
}

export interface SendOptions {
  log: Log;
  /** Takes secrets out of a text: what is sent elsewhere than to the log, the runner does not mask. */
  redact(text: string): string;
  /** Milliseconds for one answer; default 5 s. */
  timeout?: number;
  /** Default 2: it is tried once more when nothing arrived, the receiver failed or asks for less. */
  attempts?: number;
  /** Milliseconds between attempts; default 1 s. */
  pause?: number;
}

interface Message {
  /** For the warning. */
  to: string;
  /** The input that has the address. */
  input: string;
  url: string;
  body: string;
  headers: Record<string, string>;
}

/**
 * Tells every channel, at once. What cannot be told is a warning: how a deployment ended does not depend on who hears of
 * it. Never throws.
 */
export async function sendNotification(
  notification: Notification,
  channels: Channels,
  options: SendOptions,
): Promise<void> {
  const clean = redacted(notification, options.redact);
  const messages: Message[] = [];
  if (channels.slack !== undefined) {
    messages.push({
      to: 'Slack',
      input: 'slack-webhook',
      url: channels.slack,
      body: JSON.stringify(slackMessage(clean)),
      headers: {},
    });
  }
  if (channels.webhook !== undefined) {
    const { webhook: url, webhookSecret: secret } = channels;
    const body = webhookBody(clean, randomUUID(), new Date().toISOString());
    messages.push({
      to: 'the webhook',
      input: 'webhook-url',
      url,
      body,
      headers: secret === undefined ? {} : { [signatureHeader]: signatureOf(body, secret) },
    });
  }
  await Promise.all(messages.map((message) => deliver(message, options)));
}

function redacted(notification: Notification, redact: (text: string) => string): Notification {
  const entries = Object.entries(notification).map(([name, value]: [string, string | boolean]) => [
    name,
    typeof value === 'string' ? redact(value) : value,
  ]);
  // The same names with the same kinds of values.
  return Object.fromEntries(entries) as Notification;
}

async function deliver(message: Message, options: SendOptions): Promise<void> {
  const { log, timeout = 5_000, attempts = 2, pause = 1_000 } = options;
  for (let attempt = 1; ; attempt += 1) {
    const failure = await post(message, timeout);
    if (failure === undefined) return log.info(`Notified ${message.to}.`);
    if (!failure.passing || attempt >= attempts) {
      log.warning(
        `The notification to ${message.to} was not delivered; this does not change the result: ${failure.said}. Look at the secret that \`${message.input}\` is given, and at the receiver.`,
      );
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

interface Failed {
  /** Never with the address: it is a secret. */
  said: string;
  /** Whether a second attempt may go better. */
  passing: boolean;
}

async function post({ url, body, headers }: Message, timeout: number): Promise<Failed | undefined> {
  try {
    const answer = await fetch(url, {
      method: 'POST',
      body,
      headers: {
        'content-type': 'application/json; charset=utf-8',
        'user-agent': 'deploy-actions',
        ...headers,
      },
      // What is sent is for the address that was given, not for where it points.
      redirect: 'manual',
      signal: AbortSignal.timeout(timeout),
    });
    if (answer.ok) {
      await answer.body?.cancel();
      return undefined;
    }
    const passing = answer.status === 429 || answer.status >= 500;
    return { said: `it answers ${answer.status}${wordOf(await answer.text())}`, passing };
  } catch (thrown) {
    return { said: reasonOf(thrown, timeout), passing: true };
  }
}

/** Slack says why in one word, such as `no_service`; other text could be anything. */
function wordOf(text: string): string {
  return /^[a-z_]{2,40}$/.test(text) ? ` (${text})` : '';
}

/** Without the message of the error: it may name the address. */
function reasonOf(thrown: unknown, timeout: number): string {
  if (thrown instanceof Error && thrown.name === 'TimeoutError')
    return `no answer within ${timeout / 1_000} s`;
  // fetch has the code of the system error as its cause.
  const code = thrown instanceof Error ? (codeOf(thrown.cause) ?? codeOf(thrown)) : undefined;
  return code === undefined ? 'it could not be reached' : `it could not be reached (${code})`;
}
