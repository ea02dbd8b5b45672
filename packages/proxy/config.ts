import { randomBytes } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  canonicalJson,
  codeOf,
  DeployError,
  isRecord,
  messageOf,
  orUndefinedIfMissing,
  createFile,
  replaceFile,
} from '@deploy-actions/core';
import type { Target } from '@deploy-actions/release-engine';
import { parseAddress } from './address.ts';
import { parseTargets, problemsOfTargets } from './targets.ts';

const schema = 1;

/** A proxy lives longer than the suite that started it: this tells which one it came with. */
export const proxyVersion = '1.0.0';

/** What a proxy serves, and all it needs to serve the same after a restart. */
export interface ProxyConfig {
  schema: typeof schema;
  /** `host:port` of the public listener. */
  listen: string;
  /** `host:port` of a listener that answers `GET /metrics` and nothing else; null for none. */
  metricsListen: string | null;
  /** Milliseconds; 0 means without limit. */
  timeouts: Timeouts;
  targets: Target[];
  /** Grows by one with every change of the targets. */
  version: number;
  /** The highest fencing token seen. A writer with a lower one was deposed. */
  fence: number;
  /** Whoever sends it in `x-deploy-actions-probe` is told which slot answered. */
  probeToken: string;
}

export interface Timeouts {
  /** Until an instance has accepted the connection. */
  connect: number;
  /** From the end of the request until the head of the answer. */
  response: number;
  /** How long a proxy that was asked to end waits for the requests in flight. */
  shutdown: number;
}

/** What the owner of a proxy decides; the rest of the configuration is the proxy's. */
export interface ProxySettings {
  listen: string;
  metricsListen?: string | undefined;
  timeouts?: Partial<Timeouts> | undefined;
}

export const defaultTimeouts: Timeouts = { connect: 5_000, response: 0, shutdown: 30_000 };

/** The version of a proxy that was prepared and never given targets. */
export const initialVersion = 1;

export function configPath(stateDirectory: string): string {
  return join(stateDirectory, 'proxy.json');
}

export function logPath(stateDirectory: string): string {
  return join(stateDirectory, 'proxy.log');
}

/** The configuration, or undefined when there is none yet. Errors: `state_corrupt`, `state_too_new`, `permission_denied`. */
export async function readConfig(stateDirectory: string): Promise<ProxyConfig | undefined> {
  const path = configPath(stateDirectory);
  let text: string | undefined;
  try {
    text = await orUndefinedIfMissing(readFile(path, 'utf8'));
  } catch (cause) {
    throw new DeployError(
      codeOf(cause) === 'EACCES' ? 'permission_denied' : 'state_corrupt',
      `${path} cannot be read: ${messageOf(cause)}`,
      { remedy: 'Run as the user that started the proxy.', cause },
    );
  }
  return text === undefined ? undefined : parseConfig(text, path);
}

export async function saveConfig(stateDirectory: string, config: ProxyConfig): Promise<void> {
  await replaceFile(configPath(stateDirectory), `${JSON.stringify(config, null, 2)}\n`);
}

/**
 * Makes the state directory ready for a proxy that is about to be started, keeping targets, version and fence of an
 * earlier one. Called while no proxy runs there. Errors: `invalid_config`, and those of `readConfig`.
 */
export async function prepareConfig(stateDirectory: string, settings: ProxySettings): Promise<ProxyConfig> {
  const wanted = checkedSettings(settings);
  await mkdir(stateDirectory, { recursive: true, mode: 0o700 });
  const initial: ProxyConfig = {
    schema,
    ...wanted,
    targets: [],
    version: initialVersion,
    fence: 0,
    probeToken: randomBytes(24).toString('hex'),
  };
  if (await createFile(configPath(stateDirectory), `${JSON.stringify(initial, null, 2)}\n`)) return initial;
  const existing = (await readConfig(stateDirectory)) ?? initial;
  const updated = { ...existing, ...wanted };
  if (canonicalJson(updated) !== canonicalJson(existing)) await saveConfig(stateDirectory, updated);
  return updated;
}

function checkedSettings(
  settings: ProxySettings,
): Pick<ProxyConfig, 'listen' | 'metricsListen' | 'timeouts'> {
  const addresses = { listen: settings.listen, 'metrics listen': settings.metricsListen };
  for (const [name, value] of Object.entries(addresses)) {
    if (value !== undefined && parseAddress(value) === undefined) {
      throw new DeployError('invalid_config', `The proxy's ${name} address is "${value}".`, {
        remedy: 'It is host:port with a port from 1 to 65535, such as 127.0.0.1:8080 or [::1]:8080.',
      });
    }
  }
  return {
    listen: settings.listen,
    metricsListen: settings.metricsListen ?? null,
    timeouts: { ...defaultTimeouts, ...settings.timeouts },
  };
}

function parseConfig(text: string, path: string): ProxyConfig {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw corrupt(path, 'is not JSON', cause);
  }
  if (!isRecord(value)) throw corrupt(path, 'is not an object');
  if (typeof value['schema'] === 'number' && value['schema'] > schema) {
    throw new DeployError(
      'state_too_new',
      `${path} has schema ${value['schema']}; this version reads ${schema}.`,
      {
        remedy: 'Use the version of the suite that wrote it, or a newer one.',
      },
    );
  }
  const { listen, metricsListen, timeouts, targets, version, fence, probeToken } = value;
  const isAddress = (address: unknown) => typeof address === 'string' && parseAddress(address) !== undefined;
  const isCount = (count: unknown) => typeof count === 'number' && Number.isSafeInteger(count) && count >= 0;
  const wrong = [
    value['schema'] === schema || 'schema',
    isAddress(listen) || 'listen',
    metricsListen === null || isAddress(metricsListen) || 'metricsListen',
    (isRecord(timeouts) && Object.keys(defaultTimeouts).every((name) => isCount(timeouts[name]))) ||
      'timeouts',
    (Array.isArray(targets) && targets.length === 0) || problemsOfTargets(targets).length === 0 || 'targets',
    isCount(version) || 'version',
    isCount(fence) || 'fence',
    (typeof probeToken === 'string' && probeToken.length >= 16) || 'probeToken',
  ].filter((field) => field !== true);
  if (wrong.length > 0) throw corrupt(path, `has no valid ${wrong.join(', ')}`);
  return { ...(value as unknown as ProxyConfig), targets: parseTargets(targets) ?? [] };
}

function corrupt(path: string, what: string, cause?: unknown): DeployError {
  return new DeployError('state_corrupt', `${path} ${what}.`, {
    remedy: 'Restore it from a backup, or stop the proxy, move the file away and deploy again.',
    cause,
  });
}
