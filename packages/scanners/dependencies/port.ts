import { DeployError, type Log } from '@deploy-actions/core';
import type { Advisory } from './advisory.ts';

/** How any auditor is run. */
export interface AuditOptions {
  /** The folder that lock files are relative to. */
  root: string;
  /** Folder for what is written on the way. */
  temp: string;
  /** Milliseconds for one lock file. */
  timeout: number;
  /** Packages that no advisory service knows, such as your own: no answer about them is no error. */
  unaudited: readonly string[];
  environment: NodeJS.ProcessEnv;
  log: Log;
  signal: AbortSignal;
}

/** What the audit of a lock file came to. */
export interface Audit {
  advisories: Advisory[];
  /** How many packages were asked about; null when the tool does not say. */
  packages: number | null;
  /** Packages that no service was asked about, because the caller said so. */
  unaudited: string[];
}

/** A verdict that is not there. `why` names the lock file's tool and what it said. */
export function auditFailed(path: string, why: string, details: string[] = [], cause?: unknown): DeployError {
  return new DeployError('scan_failed', `The audit of ${path} did not come to its end: ${why}`, {
    remedy:
      'It has no verdict. See that the tool reaches its advisory service and that the lock file is whole, then run it again.',
    details,
    cause,
  });
}
