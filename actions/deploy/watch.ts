import {
  type Context,
  createSummary,
  escapeMarkdown,
  type Outcome,
  type Problem,
} from '@deploy-actions/action-kit';
import { DeployError, formatDuration, isRecord, sleep } from '@deploy-actions/core';
import {
  analysisOf,
  type LimitInputs,
  requireReady,
  type Target,
  watchReadiness,
  watchWindow,
  type WindowResult,
} from '@deploy-actions/targets';
import { hasLimits, readLimits } from './limits.ts';
import { type Look, prepareLook } from './look.ts';
import { type Asked, type Earlier, type Phase, plannedLook, type Prepared } from './phase.ts';
import { readServing, type Serving, superseded } from './serving.ts';
import { isGood, type Part } from './settings.ts';

/** How many looks in a row have to fail, and milliseconds between them: one late answer takes no release back. */
const looks = 3;
const betweenLooks = 1_000;

/** What the new version is watched by. */
interface Watched extends Look {
  /** Where deploy.yml says anything of limits: defaults that nobody asked for would take a quiet version back. */
  limits: LimitInputs | undefined;
}

/** One check without a word in log or summary. */
function lookOnce(health: Part, context: Context): Promise<Outcome> {
  const { debug } = context.log;
  const log = { ...context.log, info: debug, progress: () => {} };
  return health.run({ ...context, log, summary: createSummary() }, { timeout: 0, successes: 1 });
}

/** What the last check of a health check saw. */
function lastSeen({ report, message }: Outcome): string {
  const checks = report['checks'];
  const last: unknown = Array.isArray(checks) ? checks.at(-1) : undefined;
  return isRecord(last) && typeof last['seen'] === 'string' ? last['seen'] : message;
}

/** Throws when the health check fails several times in a row. */
async function requireHealthy(health: Part, version: string, since: number, context: Context): Promise<void> {
  for (let look = 1; ; look += 1) {
    const outcome = await lookOnce(health, context);
    if (isGood(outcome)) return;
    if (look >= looks) {
      const after = formatDuration(performance.now() - since);
      throw new DeployError(
        outcome.reasonCode,
        `${version} is not healthy any more after ${after} with all traffic, ${looks} looks in a row: ${lastSeen(outcome)}.`,
        { remedy: `Look at the log of ${version}, correct it and release again.` },
      );
    }
    await sleep(betweenLooks, context.signal, 'looking at the health');
  }
}

/**
 * Throws when the version is not well, or has the traffic no more. The health check is asked at most once per
 * `health.interval`.
 */
function watcher({ settings, health }: Watched, version: string, context: Context): () => Promise<void> {
  const began = performance.now();
  const pause = Number(health?.inputs['interval'] ?? 0);
  let asked = -Infinity;
  return async () => {
    const now = await readServing(settings, context);
    if (now.main?.version !== version) throw new Superseded(now);
    await requireReady(now.target.platform, now.main.slot, context.signal);
    if (health === undefined || performance.now() - asked < pause) return;
    asked = performance.now();
    await requireHealthy(health, version, began, context);
  };
}

/** Another version has the traffic: for `run`, which ends as that. */
class Superseded extends Error {
  readonly by: Serving;
  constructor(by: Serving) {
    super(by.words);
    this.by = by;
  }
}

function describe({ health, limits }: Watched): string {
  const what = ['its instances'];
  if (health !== undefined) what.push('its health check');
  if (limits !== undefined) what.push('its error rate and response time');
  return what.join(', ');
}

function ended(
  version: string,
  serving: Serving,
  ending: Pick<Outcome, 'result' | 'reasonCode' | 'message' | 'remedy'>,
  window?: WindowResult,
): Outcome {
  return {
    ...ending,
    outputs: { version, slot: serving.main?.slot },
    report: { window },
  };
}

async function judge(
  limits: LimitInputs,
  target: Target,
  names: { slot: string; version: string },
  milliseconds: number,
  context: Context,
  stillWell: () => Promise<void>,
): Promise<WindowResult> {
  const analysis = analysisOf(limits, target.ownMetrics, names, 1);
  const result = await watchWindow(analysis, milliseconds, context.signal, context.log, stillWell);
  context.summary.table(
    ['Verdict', 'Why'],
    result.combined.verdicts.map(({ outcome, words }) => [outcome, escapeMarkdown(words)]),
  );
  for (const words of result.combined.words) context.log.info(words);
  return result;
}

async function run(
  { inputs }: Asked,
  watched: Watched,
  context: Context,
  earlier: Earlier,
): Promise<Outcome> {
  const { version } = inputs;
  const milliseconds = inputs['watch-after'];
  const serving = await readServing(watched.settings, context);
  if (serving.main?.version !== version) return superseded(version, serving);
  if (earlier.get('shift')?.result === 'unchanged') {
    const message = `${version} had the traffic before; there is nothing new to watch.`;
    return ended(version, serving, { result: 'unchanged', reasonCode: 'already_current', message });
  }
  // With the patience that the health check has: a version may need a moment with all the traffic.
  const first = await watched.health?.run(context);
  if (first !== undefined && !isGood(first)) return first;

  const stillWell = watcher(watched, version, context);
  let window: WindowResult | undefined;
  try {
    if (watched.limits === undefined) {
      await watchReadiness(milliseconds, context.signal, context.log, stillWell);
    } else {
      const names = { slot: serving.main.slot, version };
      window = await judge(watched.limits, serving.target, names, milliseconds, context, stillWell);
    }
  } catch (thrown) {
    if (thrown instanceof Superseded) return superseded(version, thrown.by);
    throw thrown;
  }
  if (window !== undefined && window.decision !== 'pass') {
    const fails = window.decision === 'fail';
    return ended(
      version,
      serving,
      {
        result: fails ? 'failed' : 'inconclusive',
        reasonCode: window.combined.reasonCode,
        message: `${fails ? 'Beyond its limits' : 'No verdict'} after ${formatDuration(window.elapsed)} with all traffic: ${window.combined.words.join(' ')}`,
        remedy: fails
          ? `Look at the errors and response times of ${version}, correct it and release again.`
          : 'Give it more traffic or time (`watch-after`, `analysis.hold-timeout`), or lower `analysis.min-requests`.',
      },
      window,
    );
  }
  const message = `${version} was well for ${formatDuration(milliseconds)}: ${describe(watched)}.`;
  context.summary.paragraph(escapeMarkdown(message));
  return ended(version, serving, { result: 'succeeded', reasonCode: 'ok', message }, window);
}

/** Watches what users see after all traffic has moved, while the old version still runs for an instant way back. */
export const watch: Phase = {
  name: 'watch',
  title: 'Watch',
  doing: 'Watching the new version',
  isWanted: ({ inputs }) => inputs['watch-after'] > 0,
  async prepare(asked, context): Promise<Prepared | Problem[]> {
    const look = await prepareLook(asked, context);
    const limits = hasLimits(asked) ? await readLimits(asked, context) : undefined;
    if (Array.isArray(look) || Array.isArray(limits)) {
      return [look, limits].filter((part) => Array.isArray(part)).flat();
    }
    const watched = { ...look, limits };
    return {
      plan() {
        const message = `For ${formatDuration(asked.inputs['watch-after'])} after the shift: ${describe(watched)}.`;
        return plannedLook(message);
      },
      run: (within, earlier) => run(asked, watched, within, earlier),
    };
  },
};
