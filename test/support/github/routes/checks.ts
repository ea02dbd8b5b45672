// Check runs, with the limits that the description does not hold.

import type { CheckAnnotation, CheckRun } from '../repository.ts';
import {
  type Answer,
  api,
  base,
  bytes,
  invalid,
  need,
  notFound,
  paged,
  Refused,
  type Request,
  type Routes,
  text,
  web,
} from './shared.ts';

const checkRunOf = (request: Request): CheckRun => {
  const id = Number(request.parameters['check_run_id']);
  const found = request.repository.checkRuns.find((run) => run.id === id);
  if (found === undefined) throw notFound();
  return found;
};

function checkRunBody(request: Request, { annotations, ...run }: CheckRun): object {
  const url = `${api(request)}/check-runs/${run.id}`;
  const page = `${web(request)}/runs/${run.id}`;
  return {
    ...run,
    url,
    html_url: page,
    // What the token of a workflow sends here is not kept: it is always the run's own page.
    details_url: page,
    output: {
      ...run.output,
      annotations_count: annotations.length,
      annotations_url: `${url}/annotations`,
    },
  };
}

/** Applies the output of a request: texts are replaced as a whole, annotations are added. */
function writeOutput(request: Request, run: CheckRun): void {
  const output = request.body['output'] as
    { title?: string; summary: string; text?: string; annotations?: CheckAnnotation[] } | undefined;
  if (output === undefined) return;
  const limit = 65_535;
  if (bytes(output.summary) > limit) throw invalid(request, `summary exceeds a maximum bytesize of ${limit}`);
  for (const annotation of output.annotations ?? []) {
    const {
      start_line: start,
      end_line: end,
      start_column: column,
      end_column: endColumn,
      path,
    } = annotation;
    const where = `annotation of ${path}:${start}`;
    if (bytes(annotation.message) > 65_536) throw invalid(request, `${where}: message exceeds 64 KB`);
    if (bytes(annotation.raw_details ?? '') > 65_536) {
      throw invalid(request, `${where}: raw_details exceeds 64 KB`);
    }
    if ((annotation.title ?? '').length > 255)
      throw invalid(request, `${where}: title exceeds 255 characters`);
    if (annotation.message === '') throw invalid(request, `${where}: message can't be blank`);
    if (start < 1 || end < start) throw invalid(request, `${where}: lines ${start} to ${end}`);
    if ((column ?? endColumn) !== undefined && start !== end) {
      throw invalid(request, `${where}: columns are for annotations of one line`);
    }
    if (path === '' || path.startsWith('/'))
      throw invalid(request, `${where}: path is not in the repository`);
  }
  let kept = output.text ?? null;
  // Cut without a word, at a character.
  while (kept !== null && bytes(kept) > limit) kept = kept.slice(0, kept.length - 1);
  run.output = { title: output.title ?? null, summary: output.summary, text: kept };
  run.annotations.push(...(output.annotations ?? []));
}

function writeState(request: Request, run: CheckRun): void {
  const { body, now } = request;
  const conclusion = body['conclusion'];
  if (conclusion === 'stale') throw invalid(request, 'conclusion stale is set by GitHub alone');
  if ((body['status'] === 'completed' || body['completed_at'] !== undefined) && conclusion === undefined) {
    throw invalid(request, 'a completed check run needs a conclusion');
  }
  if (typeof conclusion === 'string') {
    run.status = 'completed';
    run.conclusion = conclusion;
    run.completed_at = text(body['completed_at']) || now;
  } else if (typeof body['status'] === 'string') {
    run.status = body['status'];
    run.conclusion = null;
    run.completed_at = null;
  }
  if (typeof body['external_id'] === 'string') run.external_id = body['external_id'];
  if (typeof body['name'] === 'string') run.name = body['name'];
}

function createCheckRun(request: Request): Answer {
  const { repository, body, now } = request;
  const sha = text(body['head_sha']);
  if (!repository.objects.commits.has(sha)) throw new Refused(422, `No commit found for SHA: ${sha}`);
  const run: CheckRun = {
    id: 0,
    name: '',
    head_sha: sha,
    external_id: null,
    status: 'queued',
    conclusion: null,
    started_at: text(body['started_at']) || now,
    completed_at: null,
    output: { title: null, summary: null, text: null },
    annotations: [],
  };
  writeState(request, run);
  writeOutput(request, run);
  run.id = repository.nextId();
  repository.checkRuns.push(run);
  return { status: 201, body: checkRunBody(request, run) };
}

function updateCheckRun(request: Request): Answer {
  const run = checkRunOf(request);
  // A request that is refused changes nothing.
  const copy = structuredClone(run);
  writeState(request, copy);
  writeOutput(request, copy);
  Object.assign(run, copy);
  return { status: 200, body: checkRunBody(request, run) };
}

function listCheckRuns(request: Request): Answer {
  const { repository, query, parameters } = request;
  const sha = repository.resolve(parameters['ref'] ?? '');
  if (sha === undefined) throw new Refused(422, `No commit found for SHA: ${parameters['ref']}`);
  const fitting = repository.checkRuns.filter(
    ({ head_sha, name, status }) =>
      head_sha === sha &&
      (query['check_name'] === undefined || query['check_name'] === name) &&
      (query['status'] === undefined || query['status'] === status),
  );
  const newest = fitting.filter(({ name, id }) => !fitting.some((run) => run.name === name && run.id > id));
  const found = (query['filter'] === 'all' ? fitting : newest).toReversed();
  return paged(
    request,
    found.map((run) => checkRunBody(request, run)),
    (check_runs) => ({ total_count: found.length, check_runs }),
  );
}

export const checkRoutes: Routes = {
  [`POST ${base}/check-runs`]: { need: need('write', 'checks'), handle: createCheckRun },
  [`GET ${base}/check-runs/{check_run_id}`]: {
    need: need('read', 'checks'),
    handle: (request) => ({ status: 200, body: checkRunBody(request, checkRunOf(request)) }),
  },
  [`PATCH ${base}/check-runs/{check_run_id}`]: { need: need('write', 'checks'), handle: updateCheckRun },
  [`GET ${base}/check-runs/{check_run_id}/annotations`]: {
    need: need('read', 'checks'),
    handle: (request) => paged(request, checkRunOf(request).annotations),
  },
  [`GET ${base}/commits/{ref}/check-runs`]: { need: need('read', 'checks'), handle: listCheckRuns },
};
