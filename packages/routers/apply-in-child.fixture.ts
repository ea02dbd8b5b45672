import { silentLog } from '@deploy-actions/core';
import type { Target } from '@deploy-actions/release-engine';
import { createEmbeddedProxy, type EmbeddedProxyOptions } from './embedded-proxy.ts';
import { createNginx, type NginxOptions } from './nginx.ts';

/** A run in a process of its own, to be killed: applies the targets when it is sent a message. */
type Run = { targets: Target[] } & (
  | { router: 'embedded-proxy'; options: Omit<EmbeddedProxyOptions, 'log'> }
  | { router: 'nginx'; options: Omit<NginxOptions, 'log'> }
);

const run = JSON.parse(process.argv[2] ?? '') as Run;
const router =
  run.router === 'nginx'
    ? await createNginx({ ...run.options, log: silentLog })
    : createEmbeddedProxy({ ...run.options, log: silentLog });
const { version } = await router.read();
process.once('message', () => {
  void router
    .apply(run.targets, version, { token: 1, check: async () => {} })
    .then(() => process.disconnect());
});
process.send?.('ready');
