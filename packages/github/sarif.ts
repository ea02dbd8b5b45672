import { DeployError } from '@deploy-actions/core';
import type { GitHub } from './client.ts';

export interface SarifReport {
  /** SARIF 2.1.0 with gzip, at most 10 MB. Its category replaces the analysis of the same category at the same reference. */
  gzip: Uint8Array;
  sha: string;
  /** Full name: `refs/heads/main`, `refs/pull/7/merge`. */
  ref: string;
  /** ISO 8601. */
  startedAt?: string;
}

export interface SarifResult {
  id: string;
  state: 'complete' | 'pending';
}

const permission = 'security-events: write';
const route = '/repos/{owner}/{repo}/code-scanning/sarifs';

/** How often it is asked whether an upload was processed; seconds apart, each twice the one before. */
const looks = 4;

/**
 * Uploads an analysis to code scanning and waits a little for GitHub to process it. Throws GitHubError, and
 * `verify_failed` with GitHub's words when it does not take the file. The same upload twice is one analysis.
 */
export async function uploadSarif(github: GitHub, report: SarifReport): Promise<SarifResult> {
  const { data } = await github.call(
    `POST ${route}`,
    {
      commit_sha: report.sha,
      ref: report.ref,
      sarif: Buffer.from(report.gzip).toString('base64'),
      ...(report.startedAt === undefined ? {} : { started_at: report.startedAt }),
    },
    { permission, repeatable: true },
  );
  const id = data?.id ?? '';
  for (let look = 1; look <= looks; look++) {
    await github.pause(look);
    const { data: status } = await github.call(`GET ${route}/{sarif_id}`, { sarif_id: id }, { permission });
    if (status.processing_status === 'complete') return { id, state: 'complete' };
    if (status.processing_status === 'failed') {
      throw new DeployError('verify_failed', 'Code scanning does not take the analysis.', {
        remedy: 'Please report it, with the words of GitHub below.',
        details: [...(status.errors ?? [])],
      });
    }
  }
  return { id, state: 'pending' };
}
