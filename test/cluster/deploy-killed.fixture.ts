// Deploys to a slot in a process of its own, which crash.mjs may kill: node deploy-killed.fixture.ts KUBECONFIG NAMESPACE SERVICE SLOT RELEASE
import { silentLog } from '@deploy-actions/core';
import { createClient, loadKubeconfig } from '@deploy-actions/kubernetes';
import { createKubernetes, type KubernetesRelease } from '@deploy-actions/platforms';

const [file = '', namespace = '', service = '', slot = '', release = ''] = process.argv.slice(2);
const client = createClient({
  connection: await loadKubeconfig({ file, environment: {} }),
  namespace,
  log: silentLog,
});
const platform = createKubernetes({ client, service, log: silentLog });
await platform.deploy(slot, JSON.parse(release) as KubernetesRelease, { token: 1, check: async () => {} });
client.close();
