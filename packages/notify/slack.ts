import { printable } from '@deploy-actions/core';
import { headlineOf, type Notification } from './model.ts';

/** Slack refuses a header above 150 characters, and a section's text above 3,000. */
const limits = { header: 150, text: 3_000 } as const;

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };

/**
 * Text of others as Slack shows it and does nothing else: links, and names that would be notified, are written in angle
 * brackets. Cut to `limit` characters, never within an entity.
 * https://docs.slack.dev/messaging/formatting-message-text#escaping
 */
export function slackText(text: string, limit: number = limits.text): string {
  let written = '';
  for (const character of printable(text)) {
    const next = entities[character] ?? character;
    if (written.length + next.length > limit - 1) return `${written}…`;
    written += next;
  }
  return written;
}

/** A message for an incoming webhook: blocks, and the same as one text for where blocks are not shown. */
export function slackMessage(notification: Notification): object {
  const { environment, version, reasonCode, message, remedy, serving, run, actor } = notification;
  const headline = headlineOf(notification);
  const field = (title: string, value: string) => ({
    type: 'mrkdwn',
    text: `*${title}*\n${slackText(value, 500)}`,
  });
  const section = (text: string) => ({
    type: 'section',
    // Verbatim: no channel or name in it becomes a link.
    text: { type: 'mrkdwn', text, verbatim: true },
  });
  return {
    text: `${slackText(headline, 500)}\n${slackText(message, 2_000)}`,
    blocks: [
      { type: 'header', text: { type: 'plain_text', text: slackText(headline, limits.header) } },
      section(slackText(message)),
      ...(remedy === undefined ? [] : [section(`*What to do next*\n${slackText(remedy, 2_900)}`)]),
      {
        type: 'section',
        fields: [
          field('Environment', environment),
          field('Version', version),
          field('Serving now', serving === '' ? 'not known' : serving),
          field('Reason code', reasonCode),
          ...(actor === '' ? [] : [field('Started by', actor)]),
        ],
      },
      ...(run === '' ? [] : [section(`<${linkTarget(run)}|The run>`)]),
    ],
  };
}

/** What would end a link is percent-encoded in it. */
function linkTarget(url: string): string {
  return slackText(url.replaceAll('|', '%7C').replaceAll('>', '%3E').replaceAll('<', '%3C'));
}
