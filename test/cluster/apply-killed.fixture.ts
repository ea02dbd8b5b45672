// Gives all traffic to a slot in a process of its own, which crash.mjs may kill:
// node apply-killed.fixture.ts KUBECONFIG NAMESPACE SERVICE SLOT VERSION TOKEN
import { silentLog } from '@deploy-actions/core';
import { createClient, loadKubeconfig } from '@deploy-actions/kubernetes';
import { createServiceSelector } from '@deploy-actions/routers';

const [file = '', namespace = '', service = '', slot = '', version = '', token = ''] = process.argv.slice(2);
const client = createClient({
  connection: await loadKubeconfig({ file, environment: {} }),
  namespace,
  log: silentLog,
});
const router = createServiceSelector({ client, service, log: silentLog });
const fence = { token: Number(token), check: async () => {} };
await router.apply([{ slot, weight: 100, addresses: [] }], version, fence);
client.close();
