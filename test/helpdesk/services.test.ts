// The services around the backend do what they are for: as processes of this machine, without a container.

import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { promisify } from 'node:util';
import { lintBuilds } from '@deploy-actions/scanners';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { setupPython } from '../../scripts/setup-python.ts';
import { freePort } from '../support/ports.ts';
import {
  describe as describeTicket,
  inOrder,
  messageFor,
  type Ticket,
} from './customer-portal/src/tickets.ts';
import { type Instance, startInstance } from './instance.ts';
import { manageCommand } from './release.ts';
import { makePlatform, platformImages } from './platform.ts';
import { accessTo } from './realtime-service/hub.ts';

const secret = 'a secret of the tests, of forty characters';
const run = promisify(execFile);
let scratch = '';
let platform = '';
let python = '';

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'helpdesk-services-'));
  platform = join(scratch, 'platform');
  await makePlatform({ number: 2, directory: platform });
  ({ python } = await setupPython());
}, 300_000);
afterAll(() => rm(scratch, { recursive: true, force: true }));

describe('the Dockerfiles', () => {
  test('pass the lint of build-images, with the arguments that they have by default', async () => {
    const builds = Object.values(platformImages).map(({ context }) => ({
      dockerfile: join(context, 'Dockerfile'),
      args: { VERSION: '2.0.0' },
      target: undefined,
    }));
    expect(await lintBuilds(platform, builds)).toEqual([]);
  });
});

describe('the AI service', () => {
  let service: Instance;
  beforeAll(async () => {
    const port = await freePort();
    service = await startInstance([python, '-m', 'gunicorn'], {
      cwd: join(platform, 'ai-service'),
      env: { PATH: process.env['PATH'], PORT: String(port), PYTHONDONTWRITEBYTECODE: '1' },
      port,
    });
  });
  afterAll(() => service?.stop());

  const classify = async (body: string): Promise<{ status: number; json: unknown }> => {
    const answer = await fetch(`${service.origin}/classify`, { method: 'POST', body });
    return { status: answer.status, json: await answer.json() };
  };

  test('is healthy, and says its version', async () => {
    const answer = await fetch(`${service.origin}/health/`);
    expect(answer.status).toBe(200);
    expect(await answer.json()).toEqual({ status: 'healthy', version: 'unreleased' });
  });

  test.each([
    ['I forgot my password and cannot log in', 'account', 'normal'],
    ['The payment on our invoice is wrong', 'billing', 'normal'],
    ['The VPN is down for everyone', 'network', 'high'],
    ['The printer jams and is out of paper', 'hardware', 'normal'],
  ])('%s: %s, %s priority', async (text, category, priority) => {
    const { status, json } = await classify(JSON.stringify({ text }));
    expect({ status, json }).toMatchObject({ status: 200, json: { category, priority } });
    expect((json as { confidence: number }).confidence).toBeGreaterThan(0.5);
  });

  test.each([
    ['no JSON', 'text', 400],
    ['no text', '{"text": " "}', 400],
    ['a list', '[]', 400],
    ['too much', JSON.stringify({ text: 'a'.repeat(200_000) }), 413],
  ])('refuses %s', async (_what, body, status) => {
    expect((await classify(body)).status).toBe(status);
  });

  test('counts what it answered, and ends at SIGTERM with 0', async () => {
    expect((await fetch(`${service.origin}/classify`)).status).toBe(405);
    const metrics = await (await fetch(`${service.origin}/metrics`)).text();
    expect(metrics).toContain('ai_requests_total{status="200"} 4.0');
    expect(metrics).toContain('ai_requests_total{status="413"} 1.0');
    expect(await service.stop()).toBe(0);
  });
});

describe('the realtime service', () => {
  let service: Instance;
  let port = 0;
  const start = async (): Promise<void> => {
    port = await freePort();
    service = await startInstance([process.execPath, 'server.ts'], {
      cwd: join(import.meta.dirname, 'realtime-service'),
      env: { PATH: process.env['PATH'], PORT: String(port), REALTIME_SECRET: secret },
      port,
    });
  };
  beforeAll(start);
  afterAll(() => service?.stop());

  const listen = async (ticket: number, access = accessTo(ticket, secret)) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/ws?ticket=${ticket}&access=${access}`);
    const got: unknown[] = [];
    socket.on('message', (data: Buffer) => got.push(JSON.parse(data.toString('utf8'))));
    const opened = await Promise.race([
      once(socket, 'open').then(() => 'open'),
      once(socket, 'unexpected-response').then(([, answer]) => (answer as { statusCode: number }).statusCode),
    ]);
    return { socket, got, opened };
  };
  const publish = (event: unknown, authorization = `Bearer ${secret}`): Promise<Response> =>
    fetch(`${service.origin}/events`, {
      method: 'POST',
      headers: { authorization },
      body: JSON.stringify(event),
    });

  test('sends an event to those who listen to its ticket, and to nobody else', async () => {
    const [first, second, other] = [await listen(7), await listen(7), await listen(8)];
    const answer = await publish({ ticket: 7, type: 'comment', author: 'ada' });
    expect(answer.status).toBe(202);
    expect(await answer.json()).toEqual({ listeners: 2 });
    const event = { ticket: 7, type: 'comment', author: 'ada' };
    await vi.waitFor(() => expect([first.got, second.got]).toEqual([[event], [event]]), { timeout: 10_000 });
    expect(other.got).toEqual([]);
    for (const { socket } of [first, second, other]) socket.close();
    await vi.waitFor(
      async () =>
        expect(await (await fetch(`${service.origin}/health/`)).json()).toMatchObject({ listeners: 0 }),
      { timeout: 10_000 },
    );
  });

  test('lets nobody listen or publish without the right to', async () => {
    expect((await listen(7, accessTo(8, secret))).opened).toBe(403);
    expect((await publish({ ticket: 7, type: 'comment' }, 'Bearer guessed')).status).toBe(401);
    expect((await publish({ ticket: 'seven', type: 'comment' })).status).toBe(400);
    expect((await publish({ ticket: 7, type: 'comment', text: 'a'.repeat(100_000) })).status).toBe(413);
  });

  test('does not start without a secret', async () => {
    const started = run(process.execPath, ['server.ts'], {
      cwd: join(import.meta.dirname, 'realtime-service'),
      env: { PATH: process.env['PATH'] },
    });
    await expect(started).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('REALTIME_SECRET'),
    });
  });

  test('at SIGTERM tells listeners to come back, and ends with 0', async () => {
    const { socket } = await listen(7);
    const closed = once(socket, 'close');
    expect(await service.stop()).toBe(0);
    expect((await closed)[0]).toBe(1001);
  });
});

describe('the customer portal', () => {
  const ticket = (id: number, fields: Partial<Ticket> = {}): Ticket => ({
    id,
    title: `Ticket ${id}`,
    status: 'open',
    priority: 'normal',
    created_at: '2026-03-01T10:00:00Z',
    ...fields,
  });

  test('shows what is urgent first, and what is resolved last', () => {
    const tickets = [
      ticket(1),
      ticket(2, { status: 'resolved', priority: 'high' }),
      ticket(3, { priority: 'high' }),
      ticket(4, { priority: 'low' }),
      ticket(5),
    ];
    expect(inOrder(tickets).map(({ id }) => id)).toEqual([3, 5, 1, 4, 2]);
    const now = new Date('2026-03-02T11:00:00Z');
    expect(describeTicket(ticket(7, { title: 'Printer jams' }), now)).toBe(
      '#7 Printer jams: open, normal priority, since 1 day',
    );
    expect(describeTicket(ticket(8, { status: 'resolved' }), now)).toBe('#8 Ticket 8: resolved');
    expect(messageFor(401)).not.toBe(messageFor(503));
  });

  test('is built with its version, into files that are named for their content', async () => {
    const folder = join(import.meta.dirname, 'customer-portal');
    const build = async (version: string): Promise<string[]> => {
      const target = join(scratch, `portal-${version}`);
      await run(process.execPath, ['build.mjs', target], {
        cwd: folder,
        env: { PATH: process.env['PATH'], VERSION: version },
      });
      const [page, health] = await Promise.all(
        ['index.html', 'health.json'].map((name) => readFile(join(target, name), 'utf8')),
      );
      expect(JSON.parse(health ?? '')).toEqual({ status: 'healthy', version });
      const assets = await readdir(join(target, 'assets'));
      for (const name of assets) expect(page).toContain(`/assets/${name}"`);
      // The style, then the script.
      return assets.toSorted((a, b) => extname(a).localeCompare(extname(b)));
    };
    const [one, again, two] = [await build('1.0.0'), await build('1.0.0'), await build('2.0.0')];
    expect(again).toEqual(one);
    expect(one[0]).toBe(two[0]); // the style is the same
    expect(one[1]).not.toBe(two[1]); // the script shows the version
    await expect(run(process.execPath, ['build.mjs'], { cwd: folder, env: {} })).rejects.toMatchObject({
      code: 2,
    });
  });
});

describe('the worker', () => {
  test('has the task that resolves stale tickets, which is scheduled daily', async () => {
    const env = { PATH: process.env['PATH'], DATABASE_URL: `sqlite:///${join(scratch, 'worker.sqlite3')}` };
    const manage = async (...command: string[]): Promise<string> => {
      const [program = '', ...args] = manageCommand(python, ...command);
      return (await run(program, args, { cwd: platform, env })).stdout.trim();
    };
    await manage('migrate', '--verbosity', '0');
    const script = `
from datetime import timedelta
from django.utils import timezone
from apps.organizations.models import Organization
from apps.tickets.models import Comment, Ticket
from apps.tickets.tasks import resolve_stale
from apps.users.models import User
from config.celery import app
organization = Organization.objects.get(slug="default")
user = User.objects.create(email="ada@example.org", organization=organization)
def ticket(title, days):
    made = Ticket.objects.create(organization=organization, requester=user, title=title)
    Ticket.objects.filter(pk=made.pk).update(created_at=timezone.now() - timedelta(days=days))
    return made
ticket("old", 40); ticket("new", 2)
Comment.objects.create(ticket=ticket("old, but written to", 40), author=user, body="still there")
print(resolve_stale(days=30), resolve_stale(days=30), Ticket.objects.get(status="resolved").title)
print([one["task"] for one in app.conf.beat_schedule.values()], "apps.tickets.tasks.resolve_stale" in app.tasks)
`;
    const lines = (await manage('shell', '--no-imports', '--command', script)).split('\n');
    const said = lines.filter((line) => !line.startsWith('{'));
    expect(said).toEqual(['1 0 old', "['apps.tickets.tasks.resolve_stale'] True"]);
  });
});
