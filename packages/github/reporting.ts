import { DeployError, isRecord, type Log, messageOf } from '@deploy-actions/core';
import { type Annotation, type CheckReport, type CheckResult, writeCheck } from './checks.ts';
import type { GitHub, Id } from './client.ts';
import { type CommentReport, type CommentResult, writeComment } from './comments.ts';
import {
  createDeployment,
  type DeploymentReport,
  findDeployedCommit,
  retireDeployments,
  type StatusReport,
  writeDeploymentStatus,
} from './deployments.ts';
import { isMissingPermission } from './errors.ts';
import { type SarifReport, type SarifResult, uploadSarif } from './sarif.ts';

export interface ReportsOptions {
  /**
   * With the patience `brief`, and a signal of its own: reports of a run that was cancelled are wanted too, for the few
   * seconds that there are. Undefined without a token: then everything goes to `instead`.
   */
  github: GitHub | undefined;
  log: Log;
  /** Why the token is expected to be read-only (`readOnlyReason`); undefined when it is not. */
  readOnly: string | undefined;
  /** Where goes what GitHub does not take: the summary of the run and its annotations, which need no permission. */
  instead: {
    summary(markdown: string): void;
    annotate(annotations: readonly Annotation[]): void;
  };
  /** Takes secrets out of a text. The runner masks its log; what is sent through the API it does not see. */
  redact(text: string): string;
}

export interface DeploymentHandle {
  /** Undefined when it could not be created. Statuses of it are then left out. */
  readonly created: Promise<number | undefined>;
  /**
   * Sent in this order. Need not be awaited before the next phase begins; `done` waits for all. Answers whether it was
   * written.
   */
  status(report: StatusReport): Promise<boolean>;
  done(): Promise<void>;
}

/**
 * What a run tells GitHub. The rule: a report that fails is a warning that says what is missing, and changes no outcome;
 * so nothing here throws. What reads or writes locks, ledger or freezes is no report, and throws: see refs.ts.
 */
export interface Reports {
  /** A new deployment, or with an id one that was made before. */
  deployment(report: DeploymentReport | { id: number }): DeploymentHandle;
  deployedCommit(environment: string, version: string): Promise<string | undefined>;
  retireDeployments(which: Parameters<typeof retireDeployments>[1]): Promise<void>;
  check(report: CheckReport, id?: Id): Promise<CheckResult | undefined>;
  comment(report: CommentReport): Promise<CommentResult | undefined>;
  sarif(report: SarifReport): Promise<SarifResult | undefined>;
}

export function createReports(options: ReportsOptions): Reports {
  const { github, log, readOnly, instead } = options;
  const clean = <T>(value: T): T => redacted(value, options.redact);
  /** Said once, not with every status. */
  const told = new Set<string>();
  const once = (message: string, tell: (message: string) => void) => {
    if (told.has(message)) return log.debug(message);
    told.add(message);
    tell(message);
  };

  async function attempt<T>(what: string, write: (github: GitHub) => Promise<T>): Promise<T | undefined> {
    if (github === undefined) return undefined;
    try {
      return await write(github);
    } catch (thrown) {
      if (readOnly !== undefined && isMissingPermission(thrown)) {
        once(
          `The token of this run is read-only, because ${readOnly}: ${what} goes to the summary.`,
          log.info,
        );
      } else if (thrown instanceof DeployError && thrown.reasonCode === 'cancelled') {
        log.debug(`${what}: ${thrown.message}`);
      } else {
        const remedy = thrown instanceof DeployError ? (thrown.remedy ?? '') : '';
        const details =
          thrown instanceof DeployError ? thrown.details.map((detail) => `\n${detail}`).join('') : '';
        const message = `Could not write ${what}; this does not change the result. ${messageOf(thrown)} ${remedy}${details}`;
        once(options.redact(message.trim()), (text) => log.warning(text));
      }
      return undefined;
    }
  }

  return {
    deployment(report) {
      const created =
        'id' in report
          ? Promise.resolve(report.id)
          : attempt('the deployment', (github) => createDeployment(github, clean(report)));
      let queue: Promise<unknown> = created;
      return {
        created,
        status(status) {
          const sent = queue.then(async () => {
            const id = await created;
            if (id === undefined) return false;
            const written = await attempt('the status of the deployment', async (github) => {
              await writeDeploymentStatus(github, id, clean(status));
              return true;
            });
            return written === true;
          });
          queue = sent;
          return sent;
        },
        async done() {
          await queue;
        },
      };
    },

    async check(report, id) {
      const cleaned = clean(report);
      const written = await attempt('the check', (github) => writeCheck(github, cleaned, id));
      if (written === undefined) {
        const { title, summary, text = '', annotations } = cleaned;
        instead.annotate(annotations);
        instead.summary(`### ${title}\n\n${summary}\n\n${text}`.trimEnd());
      }
      return written;
    },

    async comment(report) {
      const cleaned = clean(report);
      const written = await attempt('the comment', (github) => writeComment(github, cleaned));
      if (written === undefined) instead.summary(cleaned.body);
      return written;
    },

    sarif: (report) => attempt('the analysis for code scanning', (github) => uploadSarif(github, report)),

    deployedCommit: (environment, version) =>
      attempt('the deployment', (github) => findDeployedCommit(github, environment, version)),

    retireDeployments: (which) =>
      attempt('the status of earlier deployments', (github) => retireDeployments(github, clean(which))),
  };
}

/** A value with every text in it cleaned of secrets. */
export function redacted<T>(value: T, redact: (text: string) => string): T {
  const walk = (inner: unknown): unknown => {
    if (typeof inner === 'string') return redact(inner);
    if (Array.isArray(inner)) return inner.map(walk);
    if (!isRecord(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).map(([name, each]) => [name, walk(each)]));
  };
  return walk(value) as T;
}
