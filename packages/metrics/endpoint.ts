import { DeployError } from '@deploy-actions/core';

/** Where a text is read: an http(s) URL, or a path on a server that listens on a Unix socket. */
export interface Endpoint {
  /** What people may see: without user, password and the query's values. */
  shown: string;
  url: URL;
  socketPath: string | undefined;
}

/** Reads `http(s)://…` or `unix:/path/to/socket:/path`. Throws `invalid_input` without repeating credentials. */
export function parseEndpoint(text: string): Endpoint {
  const unix = /^unix:(\/[^:]+):(\/.*)$/s.exec(text);
  if (unix !== null) {
    const [, socketPath = '', path = ''] = unix;
    const url = new URL(`http://localhost${path}`);
    return { shown: `unix:${socketPath}:${url.pathname}${url.search && '?…'}`, url, socketPath };
  }
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
    const shown = text.replace(/\/\/[^/]*@/, '//…@').replace(/\?.*/s, '?…');
    throw new DeployError(
      'invalid_input',
      `${JSON.stringify(shown)} is no URL that metrics can be read from.`,
      {
        remedy: 'Give http://host:port/metrics, https://… or unix:/path/to/socket:/metrics.',
      },
    );
  }
  return { shown: `${url.origin}${url.pathname}${url.search && '?…'}`, url, socketPath: undefined };
}
