import { readFileSync, readlinkSync } from 'node:fs';
import type { LeaseHolder, ProcessIdentity } from './lease.ts';

/** The start time in clock ticks since boot: field 22 of /proc/<pid>/stat (proc(5)). Undefined when it has ended. */
function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The program's name, in parentheses, may hold spaces and parentheses itself.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state] = fields;
    return state === 'Z' || state === 'X' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

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
  return { scope: scopeOfProcessIds(), pid: process.pid, startTime: startTimeOf(process.pid) ?? '' };
}

/** Whether a process still runs; undefined when it ran on another host, before a boot, or in another container. */
export function isAlive(identity: ProcessIdentity): boolean | undefined {
  const scope = scopeOfProcessIds();
  if (scope === '' || identity.scope !== scope) return undefined;
  return startTimeOf(identity.pid) === identity.startTime;
}

/** The same of the process that holds a lease. */
export function isHolderAlive(holder: LeaseHolder): boolean | undefined {
  return isAlive(holder.process);
}
