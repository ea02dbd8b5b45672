import { messageOf } from '@deploy-actions/core';
import { logPath } from './config.ts';
import { createLogFile } from './log-file.ts';
import { serveProxy } from './serve.ts';

/**
 * The proxy as a process of its own: `<command> proxy <state directory>`. Serves until SIGTERM or `POST /shutdown`;
 * resolves to the exit code.
 */
export async function runProxy(stateDirectory: string | undefined): Promise<number> {
  if (stateDirectory === undefined || stateDirectory === '') {
    process.stderr.write('The proxy needs its state directory as an argument.\n');
    return 2;
  }
  process.umask(0o077);
  // What a terminal or a runner sends to the whole job must not end what outlives it.
  process.on('SIGINT', () => {});
  process.on('SIGHUP', () => {});
  try {
    const proxy = await serveProxy({ stateDirectory });
    process.on('SIGTERM', () => void proxy.shutdown());
    // Nobody would start it again, and one request's trouble is not every request's.
    process.on('uncaughtException', (error) => {
      createLogFile(logPath(stateDirectory)).write(`uncaught: ${error.stack ?? messageOf(error)}`);
    });
    await proxy.closed;
    return 0;
  } catch (thrown) {
    process.stderr.write(`${new Date().toISOString()} ${messageOf(thrown)}\n`);
    return 1;
  }
}
