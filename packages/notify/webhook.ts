import { createHmac } from 'node:crypto';
import type { Notification } from './model.ts';

/** Lower-case hexadecimal HMAC-SHA256 of the body's bytes with the shared secret, after `sha256=`. */
export const signatureHeader = 'x-deploy-actions-signature-256';

/**
 * The body of a generic webhook. `id` is the same when it is sent again, so that a receiver can drop what it has;
 * `sentAt` (ISO 8601) lets it refuse what is old. Both are signed with the rest.
 */
export function webhookBody(notification: Notification, id: string, sentAt: string): string {
  return JSON.stringify({ schema: 1, id, sentAt, ...notification });
}

export function signatureOf(body: string, secret: string): string {
  return `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;
}
