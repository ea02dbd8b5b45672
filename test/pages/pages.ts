// The pages that are looked at: what the code writes, not samples of it. One more is one more entry. They are written one
// after another, for a release goes on from the one before.

import { join } from 'node:path';
import { commentOn, findings, hostileFindings, reported } from './findings.ts';
import { firstBuild, laterBuild, mergedRelease } from './builds.ts';
import { many } from '../../packages/findings/testdata/samples.ts';
import type { Place } from './github-page.ts';
import type { Stage } from './outcomes.ts';

export interface PageSource {
  /** Names its pictures. */
  name: string;
  place: Place;
  /** Its content is long on purpose: its tables may scroll on a desktop, too. */
  hostile?: boolean;
  /** Resolves to its Markdown. */
  write(stage: Stage): string | Promise<string>;
}

/** As the version of a build often is: its commit. */
const commit = '4f9c1e7ab2d86035c4e1f7a9d3b25e608c7f1a42';
const analysis = {
  ...{ 'min-requests': '20', 'analysis-interval': '500ms', pause: '1500ms', 'hold-timeout': '20s' },
  // Generous, for this is about how it looks on a machine that may be busy.
  'max-response-time': '5s',
};
const probe = ({ host }: Stage) => ({ 'probe-url': `${host.url}/health/`, 'probe-rate': '20' });
const switching = { action: 'blue-green-switch', result: 'succeeded' };
const canary = { action: 'canary', result: 'succeeded' };

/** deploy.yml for the small application; `health` is what is asked for after the shift. */
function pipelineOf({ host }: Stage, health: Record<string, unknown>) {
  const { listen, command, directory, 'port-range': range } = host.inputs('');
  return {
    ...{ app: 'helpdesk', platform: 'linux-host', 'state-directory': host.stateDirectory },
    router: { type: 'embedded-proxy', listen },
    ...{ strategy: 'blue-green', watch: '500ms', 'ready-timeout': '10s' },
    'linux-host': {
      ...{ directory, command, 'port-range': range, 'readiness-path': '/health/', supervisor: 'process' },
      env: { VERSION: '1.6.0' },
    },
    health: { url: `${host.url}/health/`, timeout: '3s', ...health },
    environments: { production: {} },
  };
}

/** What says which environment is meant. */
function targetOf({ host }: Stage): Record<string, string> {
  const names = ['app', 'environment', 'platform', 'router', 'listen', 'state-directory'];
  return Object.fromEntries(Object.entries(host.inputs('')).filter(([name]) => names.includes(name)));
}

const releases = (stage: Stage, inputs: Record<string, string>, result: string) => {
  const { app = '', environment = '', platform = '', 'state-directory': state = '' } = targetOf(stage);
  const where = { app, environment, platform, 'state-directory': state };
  return stage.summary({ action: 'releases', inputs: { ...where, ...inputs }, result });
};

export const pages: PageSource[] = [
  { name: 'build-images', place: 'summary', write: firstBuild },
  { name: 'build-images-later', place: 'summary', write: laterBuild },
  { name: 'build-images-merged', place: 'summary', write: mergedRelease },
  {
    name: 'switch-first',
    place: 'summary',
    write: (stage) => stage.release('1.4.2', { ...switching, inputs: { watch: '0' } }),
  },
  {
    name: 'switch-plan',
    place: 'summary',
    write: (stage) =>
      stage.release(commit, { ...switching, inputs: { 'dry-run': 'true' }, result: 'planned' }),
  },
  {
    name: 'switch',
    place: 'summary',
    write: (stage) => stage.release(commit, { ...switching, inputs: { watch: '1s', ...probe(stage) } }),
  },
  {
    name: 'switch-unchanged',
    place: 'summary',
    write: (stage) => stage.release(commit, { ...switching, inputs: { watch: '1s' }, result: 'unchanged' }),
  },
  {
    name: 'canary',
    place: 'summary',
    write: (stage) =>
      stage.underLoad(60, () =>
        stage.release('1.5.0', {
          ...canary,
          inputs: {
            ...analysis,
            weights: '1,2,5,10,20,30,40,50,60,80',
            pause: '1s',
            'min-requests': '2',
            ...probe(stage),
          },
        }),
      ),
  },
  {
    name: 'canary-rolled-back',
    place: 'summary',
    write: (stage) =>
      stage.underLoad(60, () =>
        stage.release(
          commit,
          {
            ...canary,
            inputs: { ...analysis, weights: '20,50', pause: '30s', ...probe(stage) },
            result: 'rolled-back',
          },
          { ERROR_EVERY: '2' },
        ),
      ),
  },
  {
    name: 'canary-inconclusive',
    place: 'summary',
    write: (stage) =>
      stage.release('1.5.2', {
        ...canary,
        inputs: { ...analysis, weights: '50', pause: '1s', 'hold-timeout': '1s' },
        result: 'inconclusive',
      }),
  },
  {
    name: 'canary-refused',
    place: 'summary',
    write: (stage) =>
      stage.release(
        '1.5.3',
        { ...canary, inputs: { ...analysis, weights: '50', 'ready-timeout': '2s' }, result: 'refused' },
        { NEVER_READY: '1' },
      ),
  },
  {
    name: 'wrong-inputs',
    place: 'summary',
    write: (stage) =>
      stage.release('1.5.3', {
        ...canary,
        inputs: { weights: '5,abc', pause: 'two lightyears', 'probe-url': 'ftp://x', strategie: 'x' },
        result: 'refused',
      }),
  },
  {
    name: 'rollback',
    place: 'summary',
    write: (stage) =>
      stage.summary({
        action: 'rollback',
        inputs: { ...targetOf(stage), watch: '1s' },
        result: 'succeeded',
      }),
  },
  {
    name: 'releases-list',
    place: 'summary',
    write: (stage) => releases(stage, { command: 'list' }, 'succeeded'),
  },
  {
    name: 'releases-show',
    place: 'summary',
    write: (stage) => releases(stage, { command: 'show', version: '1.5.0' }, 'succeeded'),
  },
  {
    name: 'releases-freeze',
    place: 'summary',
    write: (stage) =>
      releases(
        stage,
        { command: 'freeze', reason: 'Year-end closing: ask the finance team first' },
        'succeeded',
      ),
  },
  {
    name: 'frozen',
    place: 'summary',
    write: (stage) => stage.release('1.5.4', { ...switching, result: 'refused', inputs: {} }),
  },
  {
    name: 'releases-unfreeze',
    place: 'summary',
    write: (stage) => releases(stage, { command: 'unfreeze', reason: 'The closing is done' }, 'succeeded'),
  },
  {
    name: 'canary-analyze',
    place: 'summary',
    write: (stage) =>
      stage.underLoad(60, () =>
        stage.summary({
          action: 'canary-analyze',
          inputs: {
            'metrics-url': `unix:${join(stage.host.stateDirectory, 'proxy/proxy.sock')}:/metrics`,
            ...{
              slot: 'green',
              window: '2s',
              'hold-timeout': '10s',
              'min-requests': '20',
              'max-response-time': '5s',
            },
          },
          result: 'succeeded',
        }),
      ),
  },
  {
    name: 'health-check',
    place: 'summary',
    write: (stage) =>
      stage.summary({
        action: 'health-check',
        inputs: { url: `${stage.host.url}/health/`, json: 'status=healthy' },
        result: 'succeeded',
      }),
  },
  {
    name: 'health-check-failed',
    place: 'summary',
    write: (stage) =>
      stage.summary({
        action: 'health-check',
        inputs: { url: `${stage.host.url}/health/`, body: 'never said', timeout: '1s', interval: '200ms' },
        result: 'failed',
      }),
  },
  {
    name: 'migrate-plan',
    place: 'summary',
    write: async (stage) =>
      stage.summary({
        action: 'migrate-db',
        inputs: { ...(await stage.database()), 'dry-run': 'true' },
        result: 'planned',
      }),
  },
  {
    name: 'migrate',
    place: 'summary',
    write: async (stage) =>
      stage.summary({
        action: 'migrate-db',
        inputs: { ...(await stage.database()), target: 'shop', backup: 'restore', 'on-unsafe': 'warn' },
        result: 'succeeded',
      }),
  },
  {
    name: 'migrate-failed',
    place: 'summary',
    write: async (stage) =>
      stage.summary({
        action: 'migrate-db',
        inputs: { ...(await stage.database()), target: 'odd', backup: 'none', 'on-unsafe': 'warn' },
        result: 'failed',
      }),
  },
  {
    name: 'pipeline',
    place: 'summary',
    write: (stage) => stage.pipeline('1.6.0', pipelineOf(stage, {}), 'succeeded'),
  },
  {
    name: 'pipeline-plan',
    place: 'summary',
    write: (stage) => stage.pipeline('1.6.1', pipelineOf(stage, {}), 'planned', { 'dry-run': 'true' }),
  },
  {
    name: 'pipeline-back',
    place: 'summary',
    write: (stage) => stage.pipeline('1.6.1', pipelineOf(stage, { body: 'never said' }), 'rolled-back'),
  },
  {
    name: 'check-config',
    place: 'summary',
    write: (stage) =>
      stage.config(
        {
          ...pipelineOf(stage, { timeout: '10' }),
          environments: {
            staging: { 'linux-host': { instances: 1, env: { LOG_LEVEL: 'debug' } }, strategie: 'canary' },
            production: { 'linux-host': { instances: 4 }, probe: { url: 'https://helpdesk.example.com/' } },
          },
        },
        'refused',
      ),
  },
  { name: 'findings-0', place: 'comment', write: () => commentOn([]) },
  { name: 'findings-3', place: 'comment', write: () => commentOn(findings(3)) },
  { name: 'findings-40', place: 'comment', write: () => commentOn(findings(40)) },
  { name: 'findings-10000', place: 'comment', write: () => commentOn(many()) },
  {
    name: 'findings-hostile',
    place: 'comment',
    hostile: true,
    write: async () => (await reported(hostileFindings())).comment,
  },
  { name: 'check-40', place: 'check', write: async () => (await reported(findings(40))).check },
  {
    name: 'check-hostile',
    place: 'check',
    hostile: true,
    write: async () => (await reported(hostileFindings())).check,
  },
];
