import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { InputValues } from '@deploy-actions/action-kit';
import { afterEach, describe, expect, it } from 'vitest';
import { createTestContext } from '../../test/support/context.ts';
import type { definition } from './definition.ts';
import { run } from './run.ts';

type Inputs = InputValues<(typeof definition)['inputs']>;

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

async function serve(listener: RequestListener): Promise<URL> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/health/?token=secret`);
}

function inputsWith(changes: Partial<Inputs>): Inputs {
  return {
    url: undefined,
    command: undefined,
    'working-directory': process.cwd(),
    status: [200],
    json: undefined,
    body: undefined,
    headers: undefined,
    successes: 1,
    interval: 20,
    'request-timeout': 20_000,
    timeout: 20_000,
    steady: 0,
    environment: undefined,
    ...changes,
  };
}

describe('a URL', () => {
  it('is healthy at the first good answer, with its dependencies in the summary', async () => {
    const url = await serve((asked, response) => {
      const who = asked.headers['authorization'];
      response.end(
        JSON.stringify({ status: who === 'Bearer abc' ? 'ok' : 'who?', checks: { db: { status: 'up' } } }),
      );
    });
    const { context, masked, lines } = createTestContext();
    const outcome = await run(
      inputsWith({ url, json: { status: 'ok' }, headers: { Authorization: 'Bearer abc' } }),
      context,
    );
    expect(outcome).toMatchObject({
      result: 'succeeded',
      reasonCode: 'ok',
      outputs: { checks: 1, 'last-status': 200 },
    });
    expect(JSON.parse(String(outcome.outputs.dependencies))).toEqual([
      { name: 'db', status: 'up', seconds: null, error: null },
    ]);
    expect(context.summary.text()).toContain('| db | up |');
    expect(masked).toEqual(['Bearer abc']);
    expect(`${lines.join()}${context.summary.text()}${outcome.message}`).not.toContain('secret');
  });

  it('has to stay well for as long as it is watched, and a short break is forgiven', async () => {
    let count = 0;
    const url = await serve((_asked, response) => {
      count += 1;
      response.writeHead(count === 2 ? 503 : 200).end();
    });
    const started = performance.now();
    const outcome = await run(inputsWith({ url, steady: 300 }), createTestContext().context);
    expect(outcome).toMatchObject({ result: 'succeeded', reasonCode: 'ok' });
    expect(performance.now() - started).toBeGreaterThan(300);
    // Well, ill, and well at least twice: from one good answer alone nothing is known to have lasted.
    expect(count).toBeGreaterThanOrEqual(4);
  });

  it('ends as soon as it was ill for longer than `timeout` while it is watched', async () => {
    const started = performance.now();
    // Well for 200 ms, then ill: the hour that it has to stay well is not waited for.
    const url = await serve((_asked, response) => {
      response.writeHead(performance.now() - started < 200 ? 200 : 503).end();
    });
    const outcome = await run(
      inputsWith({ url, steady: 3_600_000, timeout: 300 }),
      createTestContext().context,
    );
    expect(outcome).toMatchObject({ result: 'failed', reasonCode: 'unhealthy' });
    expect(outcome.message).toContain('was not healthy for longer than 300ms');
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  it('with a timeout of 0, is watched until its first bad answer', async () => {
    let count = 0;
    const url = await serve((_asked, response) => {
      count += 1;
      response.writeHead(count === 3 ? 503 : 200).end();
    });
    const outcome = await run(inputsWith({ url, steady: 60_000, timeout: 0 }), createTestContext().context);
    expect(outcome).toMatchObject({ result: 'failed', outputs: { checks: 3 } });
  });

  it('has to be well several times in a row', async () => {
    let count = 0;
    const url = await serve((_asked, response) => {
      count += 1;
      // Well, well, ill, and well from then on.
      response.writeHead(count === 3 ? 503 : 200).end();
    });
    const outcome = await run(inputsWith({ url, successes: 3 }), createTestContext().context);
    expect(outcome).toMatchObject({ result: 'succeeded', outputs: { checks: 6 } });
  });

  it('says what it saw last when the time is over, and says so in time', async () => {
    const url = await serve((_asked, response) => response.writeHead(503).end('{"checks":{"db":"down"}}'));
    const start = performance.now();
    const { context } = createTestContext();
    const outcome = await run(inputsWith({ url, timeout: 200, interval: 60, successes: 2 }), context);
    expect(performance.now() - start).toBeLessThan(5_000);
    expect(outcome).toMatchObject({
      result: 'failed',
      reasonCode: 'unhealthy',
      outputs: { 'last-status': 503 },
    });
    expect(outcome.message).toMatch(
      /was not healthy within 200ms \(\d checks, 0 of 2 needed in a row\)\. Last seen: HTTP 503, expected 200; db is down\.$/,
    );
    expect(context.summary.text()).toContain('| db | down |');
  });

  it('looks once more at the deadline when the interval is longer than the time', async () => {
    let count = 0;
    const url = await serve((_asked, response) => {
      count += 1;
      response.writeHead(count === 1 ? 503 : 200).end();
    });
    const outcome = await run(
      inputsWith({ url, timeout: 200, interval: 60_000 }),
      createTestContext().context,
    );
    expect(outcome).toMatchObject({ result: 'succeeded', outputs: { checks: 2 } });
  });

  it('does not wait for a hanging answer beyond the deadline', async () => {
    const url = await serve(() => {});
    const start = performance.now();
    const outcome = await run(
      inputsWith({ url, timeout: 100, 'request-timeout': 60_000 }),
      createTestContext().context,
    );
    expect(performance.now() - start).toBeLessThan(5_000);
    expect(outcome.message).toContain('Last seen: no complete answer within');
    expect(outcome.outputs['last-status']).toBeUndefined();
  });

  it('is checked exactly once with a timeout of 0', async () => {
    let asked = 0;
    const url = await serve((_asked, response) => {
      asked += 1;
      setTimeout(() => response.writeHead(500).end(), 50);
    });
    const outcome = await run(inputsWith({ url, timeout: 0 }), createTestContext().context);
    expect(outcome).toMatchObject({ result: 'failed', outputs: { checks: 1, 'last-status': 500 } });
    expect(asked).toBe(1);
  });

  it('is cancelled, not unhealthy, when the run is', async () => {
    const controller = new AbortController();
    const url = await serve(() => controller.abort());
    await expect(
      run(inputsWith({ url, timeout: 0 }), createTestContext({ signal: controller.signal }).context),
    ).rejects.toMatchObject({ reasonCode: 'cancelled' });
  });
});

describe('a command', () => {
  const node = (script: string) => [process.execPath, '-e', script];

  it('is healthy when it exits with 0', async () => {
    const outcome = await run(inputsWith({ command: node('') }), createTestContext().context);
    expect(outcome).toMatchObject({ result: 'succeeded', outputs: { 'last-status': 0 } });
  });

  it('is asked for its exit code and last words', async () => {
    const script = 'console.error("no database"); process.exit(3)';
    const outcome = await run(inputsWith({ command: node(script), timeout: 0 }), createTestContext().context);
    expect(outcome).toMatchObject({ result: 'failed', outputs: { 'last-status': 3 } });
    expect(outcome.message).toContain('exit code 3: no database');
  });

  it('is ended when it hangs', async () => {
    const command = node('setTimeout(() => {}, 60_000)');
    const inputs = inputsWith({ command, timeout: 0, 'request-timeout': 200 });
    const outcome = await run(inputs, createTestContext().context);
    expect(outcome).toMatchObject({ result: 'failed', reasonCode: 'unhealthy' });
    expect(outcome.message).toContain('was ended after 200ms');
  });

  it('that does not exist is an error at once: it never gets better', async () => {
    await expect(
      run(inputsWith({ command: ['no-such-program'] }), createTestContext().context),
    ).rejects.toMatchObject({ reasonCode: 'not_found' });
  });
});
