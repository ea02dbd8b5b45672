import { type Context, escapeMarkdown } from '@deploy-actions/action-kit';
import {
  describeChange,
  describePlanned,
  type ManifestsRefused,
  type PlannedObject,
} from '@deploy-actions/manifests';

const signs = { create: '+', change: '~', adopt: '~', unchanged: '=', later: '?', prune: '−' } as const;
const words = {
  create: 'create',
  change: 'change',
  adopt: 'take over',
  unchanged: 'unchanged',
  later: 'checked once its kind or namespace is there',
  prune: 'prune',
} as const;

/** Fields of one object that the summary shows; the log has all. */
const fieldsShown = 12;

export function outputsOf(plan: readonly PlannedObject[]) {
  const count = (...actions: PlannedObject['action'][]) =>
    plan.filter(({ action }) => actions.includes(action)).length;
  return {
    created: count('create', 'later'),
    changed: count('change', 'adopt'),
    unchanged: count('unchanged'),
    pruned: count('prune'),
    kept: plan.reduce((sum, { kept }) => sum + kept.length, 0),
  };
}

/** For the report file. */
export function writeOf({ action, kind, namespace, name, changes, kept, manifest }: PlannedObject) {
  return { action, kind: kind.kind, namespace, name, source: manifest?.source ?? null, changes, kept };
}

/** What changes of an object that is there; of a new one, nothing but that it is new. */
function changesOf({ action, changes }: PlannedObject): string[] {
  return action === 'change' ? changes.map(describeChange) : [];
}

export function showPlan({ log, summary }: Context, plan: readonly PlannedObject[]): void {
  const rows: string[][] = [];
  for (const planned of plan) {
    const { action, kept, manifest } = planned;
    const title = describePlanned(planned);
    const keeps = kept.map(
      ({ field, said, kept: stays, why }) => `${field} stays ${stays}, not ${said}: ${why}`,
    );
    log.info(`${signs[action]} ${title}${action === 'unchanged' ? '' : `: ${words[action]}`}`);
    for (const line of changesOf(planned)) log.info(`    ${line}`);
    for (const line of keeps) log.info(`    ${line}`);
    const lines = changesOf(planned);
    const shown = [...lines.slice(0, fieldsShown), ...keeps];
    if (lines.length > fieldsShown) shown.push(`and ${lines.length - fieldsShown} more, in the log`);
    rows.push([
      escapeMarkdown(title),
      words[action],
      shown.map(escapeMarkdown).join('<br>'),
      escapeMarkdown(manifest?.source ?? ''),
    ]);
  }
  const changing = rows.filter(
    (_, index) => plan[index]?.action !== 'unchanged' || (plan[index]?.kept.length ?? 0) > 0,
  );
  summary.heading('Manifests', 3);
  if (changing.length > 0) summary.table(['Object', 'Plan', 'Fields', 'From'], changing);
  const same = rows.length - changing.length;
  if (same > 0) summary.paragraph(`${same} unchanged.`);
}

/** Each problem on its line of its file. */
export function showRefusal({ annotate }: Context, { problems }: ManifestsRefused): void {
  for (const { source, place, message } of problems) {
    if (place === null || /\s/.test(source)) continue;
    annotate('error', message, {
      file: source,
      startLine: place.line,
      endLine: place.line,
      title: 'Manifest refused',
    });
  }
}
