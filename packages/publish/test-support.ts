import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSummary } from '@deploy-actions/action-kit';
import { createTestContext, type TestContext } from '../../test/support/context.ts';
import {
  type GitHubDouble,
  type Permissions,
  presets,
  startGitHub,
} from '../../test/support/github/index.ts';
import { openReporting, type Reporting } from './reporting.ts';

export interface Stage extends TestContext {
  reporting: Reporting;
  warnings: string[];
  remembered: Record<string, string>;
}

export interface Studio {
  github: GitHubDouble;
  /** An action's context on this GitHub, in a run of a push or of a pull request, with a token or without. */
  stage(options?: {
    permissions?: Permissions | null;
    event?: { name: string; payload: unknown };
    actor?: string;
    signal?: AbortSignal;
    apiUrl?: string;
    recall?: Record<string, string>;
    redact?(text: string): string;
    sleep?(milliseconds: number, signal: AbortSignal): Promise<void>;
  }): Promise<Stage>;
  end(): Promise<void>;
}

export async function openStudio(options: { enterprise?: boolean } = {}): Promise<Studio> {
  const github = await startGitHub(options);
  const folder = await mkdtemp(join(tmpdir(), 'publish-'));
  return {
    github,
    async stage(own = {}) {
      const { permissions = presets.write, event, recall = {} } = own;
      const eventPath = join(folder, 'event.json');
      await writeFile(eventPath, JSON.stringify(event?.payload ?? {}));
      const test = createTestContext();
      const warnings: string[] = [];
      const remembered: Record<string, string> = {};
      Object.assign(test.context, {
        facts: {
          ...test.context.facts,
          repository: github.name,
          sha: github.head,
          ref: 'refs/heads/main',
          actor: own.actor ?? 'ada',
          runId: '7',
          runUrl: `https://github.example/${github.name}/actions/runs/7`,
          eventName: event?.name ?? 'push',
          eventPath,
          apiUrl: own.apiUrl ?? github.apiUrl,
          graphqlUrl: github.graphqlUrl,
        },
        log: { ...test.context.log, warning: (message: string) => void warnings.push(message) },
        summary: createSummary(),
        remember: (name: string, value: string) => void (remembered[name] = value),
        recall: (name: string) => recall[name] ?? '',
        ...(own.signal === undefined ? {} : { signal: own.signal }),
        ...(own.redact === undefined ? {} : { redact: own.redact }),
      });
      const token = permissions === null ? undefined : github.token(permissions);
      return {
        ...test,
        warnings,
        remembered,
        reporting: openReporting(test.context, token, own.sleep === undefined ? {} : { sleep: own.sleep }),
      };
    },
    async end() {
      await github.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The event of a pull request; of a fork when its head lies in another repository. */
export function pullEvent(github: GitHubDouble, from = github.name) {
  const { number, head } = github.openPull();
  const payload = { pull_request: { number, head: { sha: head, repo: { full_name: from } } } };
  return { name: 'pull_request', payload, number, head };
}
