export interface Address {
  host: string;
  port: number;
}

/**
 * `host:port`, with an IPv6 host in brackets: `127.0.0.1:8000`, `[::1]:8000`, `app.internal:80`. Undefined when the
 * text is not one.
 */
export function parseAddress(text: string): Address | undefined {
  const match =
    /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9_](?:[A-Za-z0-9._-]{0,252}[A-Za-z0-9_])?)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  return host === undefined || port < 1 || port > 65_535 ? undefined : { host, port };
}

/** Where a client on this host reaches a listener: a wildcard address is not one to connect to. */
export function reachable({ host, port }: Address): Address {
  if (host === '0.0.0.0') return { host: '127.0.0.1', port };
  if (host === '::') return { host: '::1', port };
  return { host, port };
}
