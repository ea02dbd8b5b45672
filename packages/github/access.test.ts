import { expect, it } from 'vitest';
import { readOnlyReason, type RunEvent } from './access.ts';

const from = (repo: unknown): Partial<RunEvent> => ({ payload: { pull_request: { head: { repo } } } });

it.each<[string, Partial<RunEvent>, string | undefined]>([
  ['a push', { name: 'push', payload: { ref: 'refs/heads/main' } }, undefined],
  ['a pull request of the repository', from({ full_name: 'acme/helpdesk' }), undefined],
  ['a pull request of a fork', from({ full_name: 'mona/helpdesk' }), 'the pull request comes from a fork'],
  ['a pull request of a deleted fork', from(null), 'the pull request comes from a fork'],
  [
    'a review on a fork',
    { name: 'pull_request_review', ...from({ full_name: 'mona/x' }) },
    'the pull request comes from a fork',
  ],
  [
    'a pull request of Dependabot',
    { actor: 'dependabot[bot]', ...from({ full_name: 'acme/helpdesk' }) },
    'Dependabot started the run',
  ],
  [
    'a push of Dependabot',
    { name: 'push', actor: 'dependabot[bot]', payload: {} },
    'Dependabot started the run',
  ],
  ['a schedule', { name: 'schedule', actor: 'dependabot[bot]', payload: {} }, undefined],
  ['an event that tells nothing', { payload: undefined }, undefined],
])('%s', (_what, event, reason) => {
  expect(
    readOnlyReason({
      name: 'pull_request',
      payload: {},
      actor: 'mona',
      repository: 'acme/helpdesk',
      ...event,
    }),
  ).toBe(reason);
});
