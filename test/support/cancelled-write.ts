import type { FaultProxy } from './fault-proxy.ts';

/**
 * The signal of a step that is cancelled right after its first write to `path`, which the proxy passes on. With `isBackBroken`, whatever it
 * then does to put things back is answered with 403, until the proxy is programmed anew.
 */
export function cancelAfterWrite(proxy: FaultProxy, path: string, isBackBroken: boolean): AbortSignal {
  const cancel = new AbortController();
  proxy.program([
    { method: 'PUT', path, times: 1, fault: { kind: 'kill', when: 'after', kill: () => cancel.abort() } },
    { where: () => cancel.signal.aborted && isBackBroken, fault: { kind: 'answer', status: 403 } },
  ]);
  return cancel.signal;
}
