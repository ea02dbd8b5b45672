import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text as readText } from 'node:stream/consumers';
import type { Log } from '@deploy-actions/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isWanted, type Notification } from './model.ts';
import { sendNotification } from './send.ts';
import { slackMessage, slackText } from './slack.ts';

const notification: Notification = {
  app: 'helpdesk',
  environment: 'production',
  version: '1.4.2',
  result: 'rolled-back',
  good: false,
  recovered: false,
  reasonCode: 'limit_exceeded',
  message: '1.4.2 was taken back: the error rate is 7 % > 5 %.',
  remedy: 'Look at the errors of 1.4.2.',
  serving: '1.4.1',
  run: 'https://github.example/acme/helpdesk/actions/runs/7',
  actor: 'mona',
};

interface Received {
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

/** A receiver that answers each request in turn: a status with a text, or not at all. The last answer is for all others. */
async function startReceiver(...answers: { status?: number; text?: string; location?: string }[]) {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    void readText(request).then((body) => {
      received.push({ path: request.url ?? '', headers: request.headers, body });
      const answer = answers[Math.min(received.length, answers.length) - 1] ?? { status: 200 };
      if (answer.status === undefined) return;
      response
        .writeHead(answer.status, answer.location === undefined ? {} : { location: answer.location })
        .end(answer.text ?? 'ok');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

let lines: string[] = [];
const log: Log = {
  info: (message) => void lines.push(`info: ${message}`),
  warning: (message) => void lines.push(`warning: ${message}`),
  debug: () => {},
  progress: () => {},
};
const options = { log, redact: (text: string) => text.replaceAll('hunter2', '***'), pause: 5 };
let open: Awaited<ReturnType<typeof startReceiver>>[] = [];
async function receiver(...answers: Parameters<typeof startReceiver>) {
  const started = await startReceiver(...answers);
  open.push(started);
  return started;
}
beforeEach(() => {
  lines = [];
});
afterEach(async () => {
  await Promise.all(open.map((one) => one.stop()));
  open = [];
});

describe('a notification', () => {
  it('reaches Slack and the webhook, signed', async () => {
    const { url, received } = await receiver();
    await sendNotification(
      notification,
      { slack: `${url}/slack`, webhook: `${url}/hook`, webhookSecret: 'shared' },
      options,
    );
    const slack = received.find(({ path }) => path === '/slack');
    const hook = received.find(({ path }) => path === '/hook');
    expect(JSON.parse(slack?.body ?? '')).toEqual(slackMessage(notification));
    expect(JSON.parse(hook?.body ?? '')).toMatchObject({ schema: 1, ...notification });
    expect(hook?.headers['x-deploy-actions-signature-256']).toBe(
      `sha256=${createHmac('sha256', 'shared')
        .update(hook?.body ?? '')
        .digest('hex')}`,
    );
    expect(lines.toSorted()).toEqual(['info: Notified Slack.', 'info: Notified the webhook.']);
  });

  it('has no signature without a secret', async () => {
    const { url, received } = await receiver();
    await sendNotification(notification, { webhook: url }, options);
    expect(received[0]?.headers).not.toHaveProperty('x-deploy-actions-signature-256');
  });

  it('says no secret', async () => {
    const { url, received } = await receiver();
    const secret = { ...notification, message: 'It said hunter2.', remedy: 'Not hunter2.' };
    await sendNotification(secret, { slack: url, webhook: url }, options);
    expect(received).toHaveLength(2);
    for (const { body } of received) {
      expect(body).not.toContain('hunter2');
      expect(body).toContain('It said ***.');
    }
  });

  it.each([503, 429])('is sent again after %i, with the same id', async (status) => {
    const { url, received } = await receiver({ status }, { status: 200 });
    await sendNotification(notification, { webhook: url }, options);
    const ids = received.map(({ body }) => (JSON.parse(body) as { id: string }).id);
    expect(ids).toHaveLength(2);
    expect(ids[0]).toBe(ids[1]);
    expect(lines).toEqual(['info: Notified the webhook.']);
  });
});

describe('a notification that fails is a warning', () => {
  const warning = async (url: string, more: object = {}) => {
    await sendNotification(notification, { slack: `${url}/T0/B0/secret` }, { ...options, ...more });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^warning: .* this does not change the result: .*`slack-webhook`/);
    expect(lines[0]).not.toContain('secret/');
    expect(lines[0]).not.toContain('T0/B0');
    return lines[0];
  };

  it('when it is refused, at once and in the receiver’s word', async () => {
    const { url, received } = await receiver({ status: 404, text: 'no_service' });
    expect(await warning(url)).toContain('it answers 404 (no_service)');
    expect(received).toHaveLength(1);
  });

  it('after one more attempt when the receiver is down', async () => {
    const { url, received } = await receiver({ status: 500, text: '<html>' });
    expect(await warning(url)).toContain('it answers 500.');
    expect(received).toHaveLength(2);
  });

  it('when no answer comes in time', async () => {
    const { url, received } = await receiver({});
    expect(await warning(url, { timeout: 1_500 })).toContain('no answer within 1.5 s');
    expect(received).toHaveLength(2);
  });

  it('when nobody listens', async () => {
    const { url, stop } = await receiver();
    await stop();
    open = [];
    expect(await warning(url)).toContain('could not be reached (ECONNREFUSED)');
  });

  it('when it is sent on to somewhere else: nothing goes there', async () => {
    const other = await receiver();
    const { url } = await receiver({ status: 307, location: other.url });
    expect(await warning(url)).toContain('it answers 307');
    expect(other.received).toEqual([]);
  });

  it('when the address is none', async () => {
    expect(await warning('not-an-address')).toContain('could not be reached');
  });
});

describe('text for Slack', () => {
  it('notifies nobody and links nowhere', () => {
    const text = 'a < b & <!channel> <@U123> <https://evil.example|click>';
    expect(slackText(text)).toBe(
      'a &lt; b &amp; &lt;!channel&gt; &lt;@U123&gt; &lt;https://evil.example|click&gt;',
    );
  });

  it('is cut within its limit, never within an entity', () => {
    const cut = slackText('<'.repeat(2_000), 150);
    expect(cut).toMatch(/^(?:&lt;)+…$/);
    expect(cut.length).toBeLessThanOrEqual(150);
  });

  it('stays within what Slack takes, however long the message', () => {
    const long = {
      ...notification,
      message: '&'.repeat(9_000),
      remedy: '>'.repeat(9_000),
      version: 'v'.repeat(128),
    };
    const { blocks } = slackMessage(long) as {
      blocks: { text?: { text: string }; fields?: { text: string }[] }[];
    };
    for (const { text, fields = [] } of blocks) {
      expect(text?.text.length ?? 0).toBeLessThanOrEqual(3_000);
      for (const field of fields) expect(field.text.length).toBeLessThanOrEqual(2_000);
    }
    expect(blocks[0]?.text?.text.length).toBeLessThanOrEqual(150);
  });
});

describe('notify.on', () => {
  const endings = {
    succeeded: { result: 'succeeded', good: true, recovered: false },
    recovered: { result: 'succeeded', good: true, recovered: true },
    unchanged: { result: 'unchanged', good: true, recovered: false },
    'rolled-back': { result: 'rolled-back', good: false, recovered: false },
    cancelled: { result: 'cancelled', good: false, recovered: false },
  };
  it.each([
    ['failure', ['recovered', 'rolled-back', 'cancelled']],
    ['change', ['succeeded', 'recovered', 'rolled-back', 'cancelled']],
    ['always', Object.keys(endings)],
  ] as const)('%s tells of %j', (on, told) => {
    const wanted = Object.entries(endings).filter(([, ending]) => isWanted(on, ending));
    expect(wanted.map(([name]) => name)).toEqual(told);
  });
});
