import { cancelled, type Deadline } from '@deploy-actions/core';

const urlTimeout = 5_000;
/** New connections that the URL has to answer in a row. */
const urlAnswers = 5;

/** What is wrong with what a URL answers on new connections; undefined when it serves, or when there is none to ask. */
export async function urlProblem(
  url: string | undefined,
  deadline: Deadline,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (url === undefined) return undefined;
  for (let answer = 0; answer < urlAnswers; answer += 1) {
    const timeout = AbortSignal.timeout(Math.ceil(Math.max(1, Math.min(urlTimeout, deadline.remaining()))));
    try {
      const response = await fetch(url, {
        signal: AbortSignal.any([signal, timeout]),
        headers: { connection: 'close' },
        redirect: 'manual',
      });
      await response.arrayBuffer();
      if (response.status >= 500) return `${url} answers ${response.status}`;
    } catch (thrown) {
      if (signal.aborted) throw cancelled('verifying the traffic');
      const cause = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown;
      return `${url} does not answer: ${cause instanceof Error ? cause.message : String(cause)}`;
    }
  }
  return undefined;
}
