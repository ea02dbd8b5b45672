import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { codeOf, deadlineIn, DeployError, sleep } from '@deploy-actions/core';

/**
 * Runs the work while no other process of this host does work of the same name. The lock is a socket in Linux's
 * abstract namespace (unix(7)): the kernel gives a name to one process only and takes it back when the process ends,
 * however it ends. Throws `lock_held` when the name is not free in time.
 */
export async function exclusively<T>(name: string, milliseconds: number, work: () => Promise<T>): Promise<T> {
  const path = `\0deploy-actions-${createHash('sha256').update(name).digest('hex')}`;
  const deadline = deadlineIn(milliseconds);
  for (;;) {
    const lock = createServer();
    try {
      lock.listen({ path });
      await once(lock, 'listening');
    } catch (thrown) {
      if (codeOf(thrown) !== 'EADDRINUSE') throw thrown;
      if (deadline.passed()) {
        throw new DeployError(
          'lock_held',
          `Another process has been writing ${name} for ${milliseconds} ms.`,
          {
            remedy: 'Wait for the other run, or end it.',
          },
        );
      }
      await sleep(50, new AbortController().signal);
      continue;
    }
    try {
      return await work();
    } finally {
      lock.close();
    }
  }
}
