import { request } from 'node:http';
import { messageOf } from '@deploy-actions/core';
import {
  ownAnswerHeader,
  parseAddress,
  probeHeader,
  reachable,
  slotHeader,
  type ProxyConfig,
} from '@deploy-actions/proxy';
import type { Probe } from './verify.ts';

/** Asks through the proxy's public listener, on a new connection each time; the proxy says which slot it chose. */
export function proxyProbe(config: ProxyConfig, path: string): Probe {
  const address = parseAddress(config.listen);
  if (address === undefined) throw new Error(`${config.listen} is not an address`);
  const { host, port } = reachable(address);
  const headers = { [probeHeader]: config.probeToken };
  return (signal) =>
    new Promise((resolve) => {
      const failed = (error: unknown) =>
        resolve({ problem: `${config.listen} does not answer: ${messageOf(error)}` });
      request({ host, port, path, headers, agent: false, signal }, (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (text: string) => {
          if (body.length < 200) body += text;
        });
        response.on('error', failed);
        response.on('end', () => {
          const slot = response.headers[slotHeader];
          if (response.headers[ownAnswerHeader] !== undefined) {
            resolve({ problem: `${response.statusCode} from the proxy: ${body.trim()}` });
          } else if (typeof slot === 'string') {
            resolve({ slot });
          } else {
            resolve({ problem: `${config.listen} is not answered by the proxy of this state directory` });
          }
        });
      })
        .on('error', failed)
        .end();
    });
}
