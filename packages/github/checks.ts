import { createOnce, type GitHub, type Id } from './client.ts';
import { isUnclear } from './errors.ts';
import { checkTextLimit, fitMarkdown } from './markdown.ts';

/** An annotation on lines of a file of the repository; columns only where it is one line. */
export interface Annotation {
  path: string;
  start_line: number;
  end_line: number;
  start_column?: number;
  end_column?: number;
  annotation_level: 'notice' | 'warning' | 'failure';
  title?: string;
  message: string;
  raw_details?: string;
}

export type Conclusion =
  'success' | 'failure' | 'neutral' | 'cancelled' | 'skipped' | 'timed_out' | 'action_required';

export interface CheckReport {
  /** Stands in the list of checks; the same name on the same commit is the same check. */
  name: string;
  /** The head of the pull request, not its merge commit. */
  sha: string;
  /** Tells one run's check from another's: the id and attempt of the workflow run, and what it is for. */
  key: string;
  /** Null while it goes on. */
  conclusion: Conclusion | null;
  title: string;
  /** Markdown. */
  summary: string;
  /** Markdown below the annotations. */
  text?: string;
  annotations: readonly Annotation[];
}

export interface CheckResult {
  id: Id;
  url: string;
}

/** One request takes no more. */
const batch = 50;

const permission = 'checks: write';
const route = '/repos/{owner}/{repo}/check-runs';

/**
 * Writes a check run of this name: a new one, or with `id` the one that was made before. Annotations are sent 50 at a
 * time and are added to those it has; the last request concludes it, so that nobody sees it done with half of them.
 * Throws GitHubError.
 *
 * GitHub shows it under the workflow whose run began first on the commit, and drops a link of one's own: links belong
 * in the summary.
 */
export async function writeCheck(github: GitHub, report: CheckReport, id?: Id): Promise<CheckResult> {
  const batches: Annotation[][] = [];
  for (let start = 0; start < report.annotations.length; start += batch) {
    batches.push(report.annotations.slice(start, start + batch));
  }
  const [first = [], ...rest] = batches;
  const last = rest.pop();
  const started =
    id === undefined
      ? await create(github, report, first, last === undefined)
      : await add(github, report, id, await countOf(github, id), first, last === undefined);
  let { count } = started;
  for (const annotations of rest) {
    ({ count } = await add(github, report, started.id, count, annotations, false));
  }
  if (last !== undefined) await add(github, report, started.id, count, last, true);
  return { id: started.id, url: started.url };
}

interface Written extends CheckResult {
  /** Annotations that it has now. */
  count: number;
}

/** What a request says; a request replaces title, summary and text as a whole. */
function contentOf(report: CheckReport, annotations: Annotation[], final: boolean) {
  const { title, summary, text, conclusion } = report;
  const state =
    final && conclusion !== null
      ? { status: 'completed' as const, conclusion }
      : { status: 'in_progress' as const };
  return {
    ...state,
    output: {
      title: title.slice(0, 255),
      summary: fitMarkdown(summary, checkTextLimit),
      ...(text === undefined ? {} : { text: fitMarkdown(text, checkTextLimit) }),
      ...(annotations.length === 0 ? {} : { annotations }),
    },
  };
}

interface Run {
  id: Id;
  html_url: string | null;
  output: { annotations_count: number };
}

const writtenOf = ({ id, html_url, output }: Run): Written => ({
  id,
  url: html_url ?? '',
  count: output.annotations_count,
});

async function create(
  github: GitHub,
  report: CheckReport,
  annotations: Annotation[],
  final: boolean,
): Promise<Written> {
  const { name, sha: head_sha, key: external_id } = report;
  const content = contentOf(report, annotations, final);
  const run = await createOnce(
    github,
    async () =>
      (await github.call(`POST ${route}`, { name, head_sha, external_id, ...content }, { permission })).data,
    async () => {
      const { data } = await github.call(
        'GET /repos/{owner}/{repo}/commits/{ref}/check-runs',
        { ref: head_sha, check_name: name, filter: 'all', per_page: 100 },
        { permission },
      );
      return data.check_runs.find((made) => made.external_id === external_id);
    },
  );
  return writtenOf(run);
}

async function add(
  github: GitHub,
  report: CheckReport,
  check_run_id: Id,
  before: number,
  annotations: Annotation[],
  final: boolean,
): Promise<Written> {
  const { name } = report;
  const update = async (content: ReturnType<typeof contentOf>) =>
    (
      await github.call(
        `PATCH ${route}/{check_run_id}`,
        { check_run_id, name, ...content },
        // Without annotations it says the same however often it is sent.
        { permission, repeatable: content.output.annotations === undefined },
      )
    ).data;
  try {
    return writtenOf(await update(contentOf(report, annotations, final)));
  } catch (thrown) {
    if (!isUnclear(thrown)) throw thrown;
    await github.pause(1);
    const arrived = (await countOf(github, check_run_id)) >= before + annotations.length;
    return writtenOf(await update(contentOf(report, arrived ? [] : annotations, final)));
  }
}

async function countOf(github: GitHub, check_run_id: Id): Promise<number> {
  const { data } = await github.call(`GET ${route}/{check_run_id}`, { check_run_id }, { permission });
  return data.output.annotations_count;
}
