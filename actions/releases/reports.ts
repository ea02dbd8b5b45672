import { escapeMarkdown, type Outcome } from '@deploy-actions/action-kit';
import { loadConfig } from '@deploy-actions/config';
import { formatDuration } from '@deploy-actions/core';
import {
  currentOf,
  describeFreeze,
  diffReleases,
  findRelease,
  type LedgerEntry,
  readAudit,
  readLedger,
} from '@deploy-actions/ledger';
import { describeRun } from '@deploy-actions/release-engine';
import { openState } from '@deploy-actions/targets';
import { answer, type Desk, type Inputs, type Outputs } from './desk.ts';

const text = escapeMarkdown;

/** A link where there is an address; what is not http(s) is none. */
function link(label: string, url: string): string {
  return /^https?:\/\/[^\s()<>]+$/.test(url) ? `[${text(label)}](${url})` : text(label);
}

const shortCommit = (sha: string): string => sha.slice(0, 12);

function tookOf({ startedAt, endedAt }: LedgerEntry): string {
  const took = startedAt === null ? Number.NaN : Date.parse(endedAt) - Date.parse(startedAt);
  return took >= 0 ? formatDuration(took) : '';
}

const runOf = ({ runId, runUrl }: LedgerEntry): string => link(`run ${runId}`, runUrl);

/** What stops releases now, if anything does. */
function standing({ freeze, lease }: Desk): string[] {
  return [
    ...(freeze === null ? [] : [`❄️ ${describeFreeze(freeze)}`]),
    ...(lease === null
      ? []
      : [
          `🔒 ${describeRun(lease.holder)} holds the lease since ${lease.acquiredAt}; last sign of life ${formatDuration(lease.age)} ago`,
        ]),
  ];
}

/** What the list says of a release: `show` says all of it. */
const listed = [
  'version',
  'sha',
  'result',
  'reasonCode',
  'strategy',
  'actor',
  'previous',
  'startedAt',
  'endedAt',
  'runUrl',
  'images',
] as const satisfies readonly (keyof LedgerEntry)[];

/** Every release, newest first. */
export async function list(desk: Desk): Promise<Outcome<Outputs>> {
  const { context, entries, label, state } = desk;
  const { summary, log } = context;
  const serving = currentOf(entries);
  const audit = await readAudit(state.store);
  const now = standing(desk);
  if (now.length > 0) summary.list(now.map(text));
  for (const line of now) log.info(line);
  if (entries.length > 0) {
    summary.table(
      ['', 'Version', 'Commit', 'How', 'By', 'Ended', 'Took', 'Run'],
      entries.map((entry) => [
        entry === serving ? '🟢 serves' : entry.result === 'serving' ? 'served' : '↩️ taken back',
        text(entry.version),
        text(shortCommit(entry.sha)),
        entry.strategy,
        text(entry.actor),
        text(entry.endedAt),
        tookOf(entry),
        runOf(entry),
      ]),
    );
  }
  for (const entry of entries) {
    const mark = entry === serving ? '* ' : '  ';
    log.info(
      `${mark}${entry.endedAt}  ${entry.version}  ${entry.strategy}  ${entry.result}  ${entry.runUrl}`,
    );
  }
  if (audit.length > 0) {
    summary.details(
      'Audit: what was done by hand',
      audit
        .toReversed()
        .map(
          ({ at, what, run, reason, detail }) =>
            `${at}  ${what} by ${describeRun(run)}: ${reason} (${detail})`,
        )
        .join('\n'),
    );
  }
  const known = entries.length === 1 ? '1 release' : `${entries.length} releases`;
  return answer(desk, {
    message: `${label}: ${known} in the ledger; ${serving === undefined ? 'nothing serves by it' : `${serving.version} serves since ${serving.endedAt}`}.`,
    json: entries.map((entry) => Object.fromEntries(listed.map((name) => [name, entry[name]]))),
  });
}

/** All about one release. */
export function show(desk: Desk): Outcome<Outputs> {
  const { context, entries, inputs, label } = desk;
  const { summary, log } = context;
  const serving = currentOf(entries);
  const entry = inputs.version === undefined ? serving : findRelease(entries, inputs.version);
  if (entry === undefined) {
    return answer(desk, { message: `${label}: nothing serves by the ledger.`, json: null });
  }
  const named = (values: Record<string, string>) =>
    Object.entries(values)
      .map(([name, value]) => `${text(name)}: ${text(value)}`)
      .join('<br>');
  const rows: [string, string][] = [
    ['Version', text(entry.version)],
    ['Result', `${entry === serving ? 'serves now' : entry.result === 'serving' ? 'served' : 'taken back'}`],
    ['Why', text(entry.reason ?? '')],
    ['Commit', text(entry.sha)],
    ['Images', named(entry.images)],
    ['Where', text([entry.platform, entry.router, entry.slot].filter((part) => part !== '').join(', '))],
    ['Strategy', entry.strategy],
    ['Before it', text(entry.previous ?? '')],
    ['Migrations', text(entry.migration)],
    ['Notes', named(entry.notes)],
    ['By', text(entry.actor)],
    ['Began', text(entry.startedAt ?? '')],
    ['Ended', text(entry.endedAt)],
    ['Run', runOf(entry)],
    ['Broke the freeze', text(entry.brokeFreeze ?? '')],
  ];
  const told = rows.filter(([, value]) => value !== '');
  summary.table(
    ['', ''],
    told.map(([name, value]) => [`**${name}**`, value]),
  );
  if (entry.verdicts.length > 0) {
    summary.heading('Verdicts', 3);
    summary.table(
      ['Weight', 'Verdict', 'After', 'Why'],
      entry.verdicts.map(({ weight, decision, elapsed, words }) => [
        `${weight} %`,
        decision,
        formatDuration(elapsed),
        words.map(text).join('<br>'),
      ]),
    );
  }
  if (entry.probe !== null) {
    const { sent, lost, failed, slowest } = entry.probe;
    summary.paragraph(
      `Live probe: ${sent} requests sent, **${lost} lost**, ${failed} errors of the application, slowest ${formatDuration(slowest)}.`,
    );
  }
  log.info(JSON.stringify(entry, null, 2));
  return answer(desk, {
    message: `${label}: ${entry.version} ${entry === serving ? 'serves' : entry.result === 'serving' ? 'served' : 'was taken back'}; its release ended at ${entry.endedAt}.`,
    json: entry,
    version: entry.version,
  });
}

/** Where the other environment's state is: what deploy.yml says for it, and else as for the first one. */
async function inputsOfOther(inputs: Inputs, workspace: string): Promise<Inputs> {
  const environment = inputs['other-environment'] ?? '';
  const config = await loadConfig(workspace, environment);
  const said = (path: string) => {
    const value = config(path)?.value;
    return typeof value === 'string' ? value : undefined;
  };
  const state = said('state');
  return {
    ...inputs,
    environment,
    app: said('app') ?? inputs.app,
    state: state === 'platform' || state === 'git-ref' ? state : inputs.state,
    'state-directory': inputs['other-state-directory'] ?? said('state-directory'),
    namespace: said('kubernetes.namespace') ?? inputs.namespace,
    context: said('kubernetes.context') ?? inputs.context,
  };
}

/** Page that shows what lies between two commits of the repository; undefined when either is not known. */
export function comparePage(
  left: LedgerEntry | undefined,
  right: LedgerEntry | undefined,
): string | undefined {
  const repository = [left, right]
    .map((entry) => /^(https?:\/\/.+)\/actions\/runs\//.exec(entry?.runUrl ?? '')?.[1])
    .find((found) => found !== undefined);
  const isCommit = (sha = '') => /^[0-9a-f]{7,64}$/.test(sha);
  return repository !== undefined && isCommit(left?.sha) && isCommit(right?.sha) && left?.sha !== right?.sha
    ? `${repository}/compare/${left?.sha}...${right?.sha}`
    : undefined;
}

/** In what two environments differ. */
export async function diff(desk: Desk): Promise<Outcome<Outputs>> {
  const { context, entries, inputs } = desk;
  const { summary, log } = context;
  const other = await inputsOfOther(inputs, context.facts.workspace);
  const { store } = await openState(other, context);
  const left = currentOf(entries);
  const right = currentOf(await readLedger(store));
  for (const [entry, environment, location] of [
    [left, inputs.environment, desk.state.store.location],
    [right, other.environment, store.location],
  ] as const) {
    if (entry === undefined) log.warning(`Nothing serves in ${environment} by the ledger in ${location}.`);
  }
  const differences = diffReleases(left, right);
  const compare = comparePage(left, right);
  if (differences.length > 0) {
    summary.table(
      ['', text(inputs.environment), text(other.environment)],
      differences.map((found) => [
        `**${text(found.what)}**`,
        text(found.left ?? ''),
        text(found.right ?? ''),
      ]),
    );
  }
  if (compare !== undefined) summary.paragraph(link('What lies between the two commits', compare));
  for (const found of differences) log.info(`${found.what}: ${found.left ?? '–'} | ${found.right ?? '–'}`);
  const json = {
    [inputs.environment]: left ?? null,
    [other.environment]: right ?? null,
    differences,
    compare: compare ?? null,
  };
  const what = differences.map((found) => found.what).join(', ');
  return answer(desk, {
    message:
      left === undefined && right === undefined
        ? `Nothing serves in ${inputs.environment} nor in ${other.environment} by their ledgers.`
        : differences.length === 0
          ? `${inputs.environment} and ${other.environment} have the same: ${left?.version ?? ''}.`
          : `${inputs.environment} (${left?.version ?? 'nothing'}) and ${other.environment} (${right?.version ?? 'nothing'}) differ in ${what}.`,
    json,
  });
}
