export * from './address.ts';
export type { ProxyState } from './admin.ts';
export * from './client.ts';
export {
  configPath,
  initialVersion,
  logPath,
  prepareConfig,
  proxyVersion,
  readConfig,
  type ProxyConfig,
  type ProxySettings,
  type Timeouts,
} from './config.ts';
export { ownAnswerHeader, probeHeader, slotHeader } from './headers.ts';
export * from './targets.ts';

/** Runs the proxy in this process; resolves to the exit code. Loaded only when called: no action needs its code. */
export async function runProxy(stateDirectory: string | undefined): Promise<number> {
  return (await import('./run.ts')).runProxy(stateDirectory);
}
