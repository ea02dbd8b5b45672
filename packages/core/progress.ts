/**
 * How packages talk to whoever watches. action-kit implements it on the runner's log; tests collect it. A package
 * never writes to the console itself.
 */
export interface Log {
  info(message: string): void;
  warning(message: string): void;
  debug(message: string): void;
  /**
   * One line for a long wait: what is waited for, how long it has taken and how much is left. Called often; the
   * implementation decides how often it is shown.
   */
  progress(line: ProgressLine): void;
}

export interface ProgressLine {
  what: string;
  /** Milliseconds since the wait began. */
  elapsed: number;
  /** Milliseconds left, where there is a limit. */
  remaining?: number;
  detail?: string;
}

export const silentLog: Log = {
  info: () => {},
  warning: () => {},
  debug: () => {},
  progress: () => {},
};
