// The API server as a caller may meet it: behind a proxy that answers wrongly, cuts, delays, and kills the caller at the n-th
// write (test/support/fault-proxy.ts), with a certificate of its own authority. Its record counts writes, and those made twice.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Call, type Fault, type Rule, startFaultProxy } from '../support/fault-proxy.ts';
import { issue, makeAuthority } from '../support/certificates.ts';
import { runs, startTimeOf } from './daemons.ts';
import { type Access, writeKubeconfig } from './kubeconfig.ts';

/** A request that changes something, or would have. */
export interface Mutation {
  /** From 1, among mutations. */
  number: number;
  method: string;
  /** With its query. */
  path: string;
  /** SHA-256 of the body. */
  bodyHash: string;
  /** The API server's status; undefined when the request did not reach it or was not answered. */
  status: number | undefined;
  /** What the caller saw; undefined while under way. */
  outcome: Call['outcome'];
}

export interface ApiProxy {
  /** Reaches the API server through the proxy alone. Removed by `stop`. */
  readonly kubeconfig: string;
  readonly access: Access;
  readonly calls: readonly Call[];
  mutations(): Mutation[];
  /** Writes that took effect more than once: the same request to the same object, with the same body, answered below 300. */
  doubleWrites(): Mutation[];
  /** Replaces the plan; counting starts again. See {@link onMutation}. */
  program(plan: readonly Rule[]): void;
  stop(): Promise<void>;
}

/**
 * Whether a request changes what the API server stores: no dry run, no review of rights or token, and nothing that is passed on
 * to a pod.
 */
export function isMutation({ method, path }: { method: string; path: string }): boolean {
  if (!['POST', 'PUT', 'PATCH', 'DELETE'].includes(method)) return false;
  const { pathname, searchParams } = new URL(path, 'https://kubernetes.test');
  if (searchParams.get('dryRun') === 'All') return false;
  if (/^\/apis\/auth(?:entication|orization)\.k8s\.io\//.test(pathname)) return false;
  if (/\/serviceaccounts\/[^/]+\/token$/.test(pathname)) return false;
  return !/\/(?:proxy(?:\/.*)?|exec|attach|portforward)$/.test(pathname);
}

/** A rule for the n-th mutation, or for every one without `nth`. */
export function onMutation(fault: Fault, nth?: number): Rule {
  return { where: isMutation, fault, ...(nth === undefined ? {} : { nth }) };
}

/** Kills a process at once and waits until it is gone. For the fault `kill`: `() => killProcess(child.pid)`. */
export async function killProcess(pid: number): Promise<void> {
  const startTime = startTimeOf(pid);
  if (startTime === undefined) return;
  process.kill(pid, 'SIGKILL');
  while (runs({ pid, startTime })) await delay(1);
}

/** The caller is whoever `access` says, as the proxy passes credentials on. */
export async function startApiProxy(access: Access, plan: readonly Rule[] = []): Promise<ApiProxy> {
  const folder = await mkdtemp(join(tmpdir(), 'api-proxy-'));
  try {
    const authority = await makeAuthority(folder, 'proxy-ca');
    const tls = await issue(authority, folder, 'proxy', ['IP:127.0.0.1', 'DNS:localhost']);
    const proxy = await startFaultProxy({ target: access.server, ca: access.ca, tls, plan });
    const own = { ...access, server: proxy.url, ca: authority.cert };
    const kubeconfig = await writeKubeconfig(join(folder, 'kubeconfig'), own);
    const mutations = (): Mutation[] =>
      proxy.calls.filter(isMutation).map(({ method, path, bodyHash, upstream, outcome }, index) => ({
        number: index + 1,
        method,
        path,
        bodyHash,
        status: upstream,
        outcome,
      }));
    return {
      kubeconfig,
      access: own,
      calls: proxy.calls,
      mutations,
      doubleWrites() {
        const seen = new Set<string>();
        return mutations().filter(({ method, path, bodyHash, status }) => {
          if (status === undefined || status >= 300) return false;
          const key = [method, path, bodyHash].join('\n');
          const isSecond = seen.has(key);
          seen.add(key);
          return isSecond;
        });
      },
      program: (rules) => proxy.program(rules),
      async stop() {
        await proxy.stop();
        await rm(folder, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}
