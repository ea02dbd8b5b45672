import * as core from '@actions/core';
import { formatDuration, type Log, type ProgressLine } from '@deploy-actions/core';

/** A wait says so at once, then at growing distances, so that a log of a long wait stays readable. */
const progressEvery = [0, 2_000, 5_000, 10_000, 15_000];

export interface RunnerLog extends Log {
  group<T>(title: string, body: () => Promise<T>): Promise<T>;
}

/** Makes text that others wrote safe to print: no line of it is a command to the runner. */
export function withoutCommands(text: string): string {
  return text.replace(/^(?=\s*(?:::|##\[))/gm, '| ');
}

export function createLog(): RunnerLog {
  let waiting: { what: string; detail: string | undefined; shownAt: number; shown: number } | undefined;

  function progress(line: ProgressLine): void {
    const same = waiting?.what === line.what;
    const step = progressEvery[Math.min(waiting?.shown ?? 0, progressEvery.length - 1)] ?? 0;
    if (same && waiting !== undefined) {
      const changed = waiting.detail !== line.detail && line.elapsed - waiting.shownAt >= 1_000;
      if (!changed && line.elapsed - waiting.shownAt < step) return;
    }
    waiting = {
      what: line.what,
      detail: line.detail,
      shownAt: line.elapsed,
      shown: same ? (waiting?.shown ?? 0) + 1 : 1,
    };
    const left = line.remaining === undefined ? '' : `, ${formatDuration(line.remaining)} left`;
    const detail = line.detail === undefined ? '' : `: ${line.detail}`;
    core.info(withoutCommands(`  … ${line.what} (${formatDuration(line.elapsed)}${left})${detail}`));
  }

  return {
    info: (message) => core.info(withoutCommands(message)),
    warning: (message) => core.warning(message),
    debug: (message) => core.debug(message),
    progress,
    group: (title, body) => core.group(title, body),
  };
}
