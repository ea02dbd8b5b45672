import { appendFileSync, copyFileSync, statSync, truncateSync } from 'node:fs';

const sizeLimit = 1024 * 1024;
const interval = 1_000;

export interface LogFile {
  /** Writes a line, but of those with the same key only one a second; the next says how many were left out. */
  limited: (key: string, message: string) => void;
  write: (message: string) => void;
}

/**
 * A log that never takes more than about 2 MiB: at 1 MiB its content moves to `<path>.1`. It is emptied in place,
 * not renamed, because the process's own standard output is open on it too.
 */
export function createLogFile(path: string): LogFile {
  const quiet = new Map<string, { until: number; leftOut: number }>();

  function write(message: string): void {
    try {
      appendFileSync(path, `${new Date().toISOString()} ${message}\n`, { mode: 0o600 });
      if (statSync(path).size > sizeLimit) {
        copyFileSync(path, `${path}.1`);
        truncateSync(path, 0);
      }
    } catch {
      // A full disk must not stop the traffic.
    }
  }

  return {
    write,
    limited(key, message) {
      const now = performance.now();
      const known = quiet.get(key);
      if (known !== undefined && now < known.until) {
        known.leftOut++;
        return;
      }
      if (quiet.size > 1_000) quiet.clear();
      quiet.set(key, { until: now + interval, leftOut: 0 });
      write(known?.leftOut ? `${message} (and ${known.leftOut} times more before)` : message);
    },
  };
}
