import { readFileSync, readlinkSync } from 'node:fs';
import { processStat } from '@deploy-actions/core';
import type { LeaseHolder, ProcessIdentity } from './lease.ts';

/** Process ids mean the same only within one boot of one pid namespace. */
function scopeOfProcessIds(): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${boot} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return '';
  }
}

export function thisProcess(): ProcessIdentity {
  return {
    scope: scopeOfProcessIds(),
    pid: process.pid,
    startTime: processStat(process.pid)?.startTime ?? '',
  };
}

/** Whether a process still runs; undefined when it ran on another host, before a boot, or in another container. */
export function isAlive(identity: ProcessIdentity): boolean | undefined {
  const scope = scopeOfProcessIds();
  if (scope === '' || identity.scope !== scope) return undefined;
  return processStat(identity.pid)?.startTime === identity.startTime;
}

/** The same of the process that holds a lease. */
export function isHolderAlive(holder: LeaseHolder): boolean | undefined {
  return isAlive(holder.process);
}
