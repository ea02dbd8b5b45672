import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog } from '@deploy-actions/core';
import { expect, onTestFinished, test } from 'vitest';
import { startFakePrometheus } from '../../test/support/prometheus-double.ts';
import { analysisOf, checkMetrics } from './analysis.ts';
import { limitInputs, type LimitInputs } from './inputs.ts';

const never = new AbortController().signal;
const names = { slot: 'blue', version: 'v1' };

/** The defaults, and what a test is about. */
function inputsOf(own: Partial<LimitInputs>): LimitInputs {
  return {
    ...{
      'max-error-rate': 5,
      'max-response-time': 1_000,
      'response-time-percentile': 95,
      'min-requests': 50,
    },
    ...{
      strict: false,
      confidence: 99,
      'on-inconclusive': 'hold',
      'hold-timeout': 0,
      'analysis-interval': 1_000,
    },
    ...{ metrics: 'scrape', 'metrics-url': undefined, 'prometheus-allow-warnings': false },
    ...{ 'prometheus-url': undefined, 'prometheus-token': undefined, 'prometheus-ca-file': undefined },
    ...{ 'prometheus-username': undefined, 'prometheus-password': undefined },
    'requests-metric': limitInputs['requests-metric'].default,
    'errors-metric': limitInputs['errors-metric'].default,
    'response-time-metric': limitInputs['response-time-metric'].default,
    ...own,
  };
}

const prometheus = (own: Partial<LimitInputs> = {}) =>
  inputsOf({ metrics: 'prometheus', 'prometheus-url': new URL('http://127.0.0.1:1/'), ...own });

test('figures come from endpoints, from the router, or from a server', () => {
  expect(() => analysisOf(inputsOf({}), undefined, names, 1)).toThrow('`metrics-url` is missing');
  expect(analysisOf(inputsOf({}), 'http://127.0.0.1:1/metrics', names, 1).source.name).toBe('scrape');
  const { source, criteria } = analysisOf(prometheus(), undefined, names, 1);
  expect(source.name).toBe('prometheus');
  expect(criteria[0]?.query).toMatchObject({
    kind: 'ratio',
    total: 'deploy_actions_proxy_requests_total{slot="blue"}',
  });
});

test('expressions are asked as they are, with slot and version', () => {
  const expression = 'sum(increase(x{slot="{slot}",v="{version}"}[{window}]))';
  const { criteria } = analysisOf(
    prometheus({ 'requests-metric': expression, 'errors-metric': expression }),
    undefined,
    names,
    1,
  );
  expect(criteria[0]?.query).toMatchObject({
    kind: 'counts',
    total: 'sum(increase(x{slot="blue",v="v1"}[{window}]))',
  });
});

test('a file with authorities has to be there and to hold one', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ca-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, 'ca.pem');
  const made = () => analysisOf(prometheus({ 'prometheus-ca-file': file }), undefined, names, 1);
  expect(made).toThrow(`${file} cannot be read (ENOENT)`);
  await writeFile(file, 'no certificate');
  expect(made).toThrow('holds no certificate in PEM');
});

test('what somebody has to put right stops a run before anything moves; what may pass is warned of', async () => {
  const fake = await startFakePrometheus();
  onTestFinished(() => fake.close());
  const inputs = prometheus({ 'prometheus-url': new URL(fake.url), 'prometheus-token': 'one' });
  const warnings: string[] = [];
  const check = () =>
    checkMetrics(inputs, never, { ...silentLog, warning: (text) => void warnings.push(text) });
  await check();
  expect(fake.asked[0]?.headers.authorization).toBe('Bearer one');
  fake.instead = (_, response) => {
    response.writeHead(401).end();
    return true;
  };
  await expect(check()).rejects.toMatchObject({ reasonCode: 'permission_denied' });
  expect(warnings).toEqual([]);
  await fake.close();
  await check();
  expect(warnings).toEqual([expect.stringMatching(/ECONNREFUSED/)]);
});
