import type { Context } from '@deploy-actions/action-kit';
import {
  brief,
  createGitHub,
  createReports,
  type GitHub,
  type GitHubOptions,
  type Reports,
} from '@deploy-actions/github';
import { createBounds } from './bounds.ts';
import { connectionOf } from './connection.ts';
import { type Occasion, readOccasion } from './event.ts';

/** Milliseconds for one answer of GitHub to a report. */
const answerTimeout = 10_000;

/** What an action says to GitHub, and with what it says it. */
export interface Reporting extends Occasion {
  /** `<run id>.<attempt>`: the same for all steps of one attempt of a run. */
  runKey: string;
  /** The page of this attempt, where its log is; empty outside of a workflow. */
  logUrl: string;
  /**
   * Never throw, and change no outcome; without a token all goes to the summary and to annotations. What is not waited
   * for goes on beside the action; what is waited for at the end is waited for in `settle`.
   */
  reports: Reports;
  /** The same, for who says it in the summary and in annotations himself. */
  quiet: Reports;
  /** For what an action has to know before it goes on: patient, and it throws. Undefined without a token. */
  github: GitHub | undefined;
  /** Waits for reports (see `Bounds.settle`): a few seconds at most when GitHub does not answer. */
  settle<T>(what: string, work: Promise<T>): Promise<T>;
}

/**
 * Opens the way to GitHub without a call to it. Without a token, or outside of a repository, there is none: then all
 * that is reported goes to the summary and to annotations, and nothing fails. `clock` passes time between two attempts.
 */
export function openReporting(
  context: Context,
  token: string | undefined,
  clock: Pick<GitHubOptions, 'sleep'> = {},
): Reporting {
  const { facts, log, summary, redact } = context;
  const occasion = readOccasion(facts);
  const bounds = createBounds(context.signal, log);
  const connection = connectionOf(context, token);
  const client =
    connection === undefined
      ? undefined
      : bounds.watch(
          createGitHub({
            ...connection,
            ...clock,
            log: {
              ...log,
              progress(line) {
                bounds.trouble(line.detail ?? '');
                log.debug(`${line.what}: ${line.detail ?? ''}`);
              },
            },
            signal: bounds.signal,
            patience: brief,
            timeout: answerTimeout,
          }),
        );
  const shared = { github: client, log, readOnly: occasion.readOnly, redact };
  return {
    ...occasion,
    runKey: `${facts.runId}.${facts.runAttempt}`,
    logUrl: facts.runUrl === '' ? '' : `${facts.runUrl}/attempts/${facts.runAttempt}`,
    reports: createReports({
      ...shared,
      instead: {
        summary: (markdown) => summary.paragraph(markdown),
        annotate(annotations) {
          for (const { path, start_line, end_line, annotation_level, title = '', message } of annotations) {
            // The one error of a step is that it failed.
            const level = annotation_level === 'notice' ? 'notice' : 'warning';
            context.annotate(level, message, { file: path, startLine: start_line, endLine: end_line, title });
          }
        },
      },
    }),
    quiet: createReports({ ...shared, instead: { summary: () => {}, annotate: () => {} } }),
    github:
      connection === undefined ? undefined : createGitHub({ ...connection, log, signal: context.signal }),
    settle: bounds.settle,
  };
}
