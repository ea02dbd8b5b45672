import { describe, expect, it } from 'vitest';
import { readConfig } from './document.ts';
import { parityOf } from './parity.ts';

const paths = [
  'app',
  'health.headers',
  'health.timeout',
  'health.url',
  'linux-host.env',
  'linux-host.env-file',
  'linux-host.instances',
  'watch',
];

async function parity(text: string, environments?: string[]) {
  const document = await readConfig(text, { file: 'deploy.yml', paths });
  expect(document.problems).toEqual([]);
  return parityOf(document, environments);
}

async function rows(text: string, environments?: string[]): Promise<string[]> {
  const found = await parity(text, environments);
  return found.rows.map(
    ({ path, verdict, expected }) => `${path} ${verdict}${expected === null ? '' : ` (${expected})`}`,
  );
}

describe('environments beside each other', () => {
  it('begin with what is likely a mistake', async () => {
    const text = `
app: helpdesk
environments:
  development: { health: { timeout: 1m, headers: { A: x } }, linux-host: { instances: 1 } }
  staging: { health: { timeout: 1m, url: https://staging/, headers: { A: x } }, linux-host: { env-file: /s, instances: 2 }, watch: 1m }
  production: { health: { timeout: 2m, url: https://production/ }, linux-host: { env-file: /p }, watch: 1m }
`;
    expect(await rows(text)).toEqual([
      'health.headers missing',
      // How many run is expected to differ, but that production alone does not say it is not.
      'linux-host.instances missing',
      'watch missing',
      'health.timeout differs',
      'health.url missing (an address)',
      'linux-host.env-file missing (environment variables)',
      'app same',
    ]);
  });

  it('tell what one alone lacks before what several lack', async () => {
    const text =
      'environments: { a: { app: x, watch: 1m }, b: { watch: 1m }, c: { }, d: { app: x, watch: 1m } }';
    expect(await rows(text, ['a', 'b', 'c', 'd'])).toEqual(['watch missing', 'app missing']);
  });

  it.each(['production', 'prod', 'eu-prod', 'PRODUCTION.eu'])('know %s for what people use', async (name) => {
    const text = `environments: { a: { health: { timeout: 1m } }, ${name}: { app: x } }`;
    expect(await rows(text)).toEqual(['health.timeout missing', 'app missing']);
  });

  it('are compared after inheritance, with the origin of each', async () => {
    const text =
      'watch: 1m\nenvironments:\n  staging: { watch: 2m }\n  production: { extends: staging }\n  review:\n';
    const { rows: found } = await parity(text);
    expect(found).toEqual([
      {
        path: 'watch',
        verdict: 'differs',
        expected: null,
        names: [],
        values: {
          staging: {
            shown: '2m',
            place: { line: 3, column: 21 },
            where: 'deploy.yml:3:21 environments.staging.watch',
          },
          production: {
            shown: '2m',
            place: { line: 3, column: 21 },
            where: 'deploy.yml:3:21 environments.staging.watch',
          },
          review: { shown: '1m', place: { line: 1, column: 8 }, where: 'deploy.yml:1:8 watch' },
        },
      },
    ]);
  });

  it('may lack what they unset', async () => {
    const text = 'watch: 1m\nenvironments: { staging: {}, production: { watch: ~ } }';
    expect(await rows(text)).toEqual(['watch missing (unset by `~`)']);
  });

  it('never show what a mapping holds, nor the password of a URL', async () => {
    const text = `
environments:
  a: { health: { headers: { Authorization: hunter2, B: same }, url: 'https://me:hunter2@host/' }, linux-host: { env: { KEY: hunter2 } } }
  b: { health: { headers: { Authorization: hunter3, B: same }, url: 'https://host/' }, linux-host: { env: { KEY: hunter2, MORE: x } } }
`;
    expect(JSON.stringify(await parity('environments: { a: { app: [{ KEY: hunter2 }, 1] } }'))).toContain(
      '[{KEY}, 1]',
    );
    const found = await parity(text);
    expect(JSON.stringify(found)).not.toMatch(/hunter/);
    expect(found.rows.map(({ path, names, values }) => [path, names, values['a']?.shown])).toEqual([
      ['health.headers', ['Authorization'], '{Authorization, B}'],
      ['health.url', [], 'https://***@host/'],
      ['linux-host.env', ['MORE'], '{KEY}'],
    ]);
  });

  it('are nothing to compare when there is one, or none', async () => {
    expect(await rows('app: x\nenvironments: { a: {} }')).toEqual(['app same']);
    expect(await parity('app: x')).toEqual({ environments: [], rows: [] });
  });
});
