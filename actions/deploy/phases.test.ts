import { parseConfig } from '@deploy-actions/config';
import { describe, expect, it } from 'vitest';
import { partsOf } from './phases.ts';

const given = { environment: 'production', version: '2', strategy: 'blue-green', 'dry-run': false } as const;
const phasesFor = async (config: string, more: Partial<Parameters<typeof partsOf>[0]> = {}) =>
  partsOf({ ...given, ...more }, await parseConfig(config, 'production')).map(
    ({ name, action }) => `${name}: ${action}`,
  );

const database = 'database: { migrator: django }';
const health = 'health: { url: "http://127.0.0.1:8080/health/" }';

describe('the phases of a deployment', () => {
  it('are those that deploy.yml names something for, in order', async () => {
    expect(await phasesFor('app: helpdesk')).toEqual(['shift: blue-green-switch']);
    expect(await phasesFor(`${health}\n${database}`)).toEqual([
      'migrate: migrate-db',
      'shift: blue-green-switch',
      'check: health-check',
    ]);
  });

  it('shift by the strategy that was asked for', async () => {
    expect(await phasesFor('app: helpdesk', { strategy: 'canary' })).toEqual(['shift: canary']);
  });

  it('check nothing in a plan: the new version does not run yet', async () => {
    expect(await phasesFor(`${database}\n${health}`, { 'dry-run': true })).toEqual([
      'migrate: migrate-db',
      'shift: blue-green-switch',
    ]);
  });

  it('give the plan to every phase that changes something', async () => {
    const parts = partsOf({ ...given, 'dry-run': true }, await parseConfig(database, 'production'));
    expect(parts.map(({ inputs }) => inputs['dry-run'])).toEqual(['true', 'true']);
  });
});
