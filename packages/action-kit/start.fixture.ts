// Run by start.test.ts as a step of its own: node start.fixture.ts <how it goes> [main | post]
import { setTimeout as delay } from 'node:timers/promises';
import { DeployError, sleep } from '@deploy-actions/core';
import { actionModule, type Context, defineAction, type Outcome, startAction } from './index.ts';

const definition = defineAction({
  name: 'example',
  title: 'Example',
  description: '',
  icon: 'box',
  color: 'blue',
  mutates: true,
  permissions: {},
  inputs: { token: { kind: 'secret', description: '' } },
  outputs: { seen: { description: '' }, unseen: { description: '' } },
});
type Ended = Outcome<(typeof definition)['outputs']>;

const succeeded: Ended = {
  result: 'succeeded',
  reasonCode: 'ok',
  message: 'Done <b>well</b>.\n::error::not a command',
  outputs: { seen: 'two\nlines', unseen: undefined },
  report: { facts: 1 },
};

const ways: Record<string, (context: Context) => Promise<Ended>> = {
  async well({ remember, log }) {
    remember('release', 'r-1');
    log.info('::add-mask::x\n  ::warning::y\n##[group]z\nplain');
    return succeeded;
  },
  async refusing() {
    throw new DeployError('unhealthy', 'It is ill.', {
      remedy: 'Look at its log.',
      details: ['line 1', '::error::2'],
    });
  },
  async bug() {
    throw new TypeError('x is not a function');
  },
  async uncaught() {
    void Promise.reject(new Error('nobody waits for this'));
    await delay(60_000, undefined, { ref: false });
    return succeeded;
  },
  async waiting({ signal, log }) {
    log.info('waiting');
    await sleep(60_000, signal, 'waiting for the example');
    return succeeded;
  },
};

const [way = '', phase = 'main'] = process.argv.slice(2);
await startAction(
  actionModule(
    async () => ({ definition }),
    async () => ({
      run: (_inputs, context) => ways[way]?.(context) ?? Promise.reject(new Error(`no such way: ${way}`)),
      async post(_inputs, { recall, log }) {
        if (way === 'bug') throw new Error('cannot be settled');
        log.info(`settling ${recall('release')}`);
      },
    }),
  ),
  phase === 'post' ? 'post' : 'main',
  '/bundle',
  async () => () => undefined,
);
