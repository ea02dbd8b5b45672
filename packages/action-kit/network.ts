import * as http from 'node:http';
import * as tls from 'node:tls';
import { readFileSync } from 'node:fs';
import { messageOf } from '@deploy-actions/core';

/**
 * Makes every request of this process use the proxies of HTTPS_PROXY, HTTP_PROXY and NO_PROXY, and trust the
 * certificates of SSL_CERT_FILE beside Node's own. (NODE_EXTRA_CA_CERTS is read by Node itself.) Loopback addresses
 * are never sent through a proxy.
 */
export function useEnvironmentNetwork(environment: NodeJS.ProcessEnv, warn: (message: string) => void): void {
  const proxied = ['HTTP_PROXY', 'HTTPS_PROXY', 'http_proxy', 'https_proxy'].some(
    (name) => (environment[name] ?? '') !== '',
  );
  if (proxied) {
    const exempt = environment['no_proxy'] ?? environment['NO_PROXY'] ?? '';
    const setProxy = (http as { setGlobalProxyFromEnv?: (env: NodeJS.ProcessEnv) => unknown })
      .setGlobalProxyFromEnv;
    if (setProxy === undefined) warn(`HTTP_PROXY needs Node 24.14 or newer; this is ${process.version}.`);
    else setProxy({ ...environment, no_proxy: `${exempt},localhost,127.0.0.1,::1` });
  }
  const file = environment['SSL_CERT_FILE'];
  if (file !== undefined && file !== '' && file !== environment['NODE_EXTRA_CA_CERTS']) {
    try {
      tls.setDefaultCACertificates([...tls.getCACertificates('default'), readFileSync(file, 'utf8')]);
    } catch (thrown) {
      warn(`The certificates of SSL_CERT_FILE (${file}) cannot be used: ${messageOf(thrown)}`);
    }
  }
}
