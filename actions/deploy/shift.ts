import type { Context, Outcome, Problem } from '@deploy-actions/action-kit';
import { DeployError, isRecord, messageOf } from '@deploy-actions/core';
import { readLimits } from './limits.ts';
import type { Asked, Phase, Prepared, Undone } from './phase.ts';
import { textOfImage } from '@deploy-actions/targets';
import { readServing, type TargetSettings } from './serving.ts';
import { isGood, type Part, preparePart, readSettings, targetSettings } from './settings.ts';

/**
 * The switch's own watch is left to the phase after it, so that nobody waits twice, unless deploy.yml asks for it or the
 * old version would be stopped before that phase.
 */
export function watchOf({ inputs, config }: Asked): Record<string, string> {
  if (inputs.strategy !== 'blue-green' || inputs['watch-after'] === 0) return {};
  return config('watch') !== undefined || config('keep-previous')?.value === false ? {} : { watch: '0' };
}

/** What the ledger is to know of the database: the migrations that were applied for this release. */
export function notesOf(migrated: Outcome | undefined): Record<string, unknown> {
  const plan = migrated?.report['plan'];
  const migrations: unknown[] = isRecord(plan) && Array.isArray(plan['migrations']) ? plan['migrations'] : [];
  const names = migrations.filter(isRecord).map(({ app, name }) => `${String(app)}.${String(name)}`);
  return names.length === 0 ? {} : { notes: { migration: names.join(', ') } };
}

function left(version: string, why: string, remedy = ''): Undone {
  return {
    state: 'failed',
    message: `The traffic could not be given back: ${why}`,
    remedy:
      `See who has the traffic. If it is ${version}, run the action \`rollback\` for this environment, or release a version that is well. ${remedy}`.trim(),
  };
}

/** A freeze that came in between does not hold a version in place that failed. */
async function goBack(version: string, rollback: Part, context: Context): Promise<Outcome> {
  try {
    return await rollback.run(context);
  } catch (thrown) {
    if (!(thrown instanceof DeployError) || thrown.reasonCode !== 'environment_frozen') throw thrown;
    return rollback.run(context, { 'break-freeze': `taking back ${version}, which this run released` });
  }
}

/** Gives the traffic back, once, where it is still this version's to give. */
async function giveBack(
  version: string,
  rollback: Part,
  settings: TargetSettings,
  context: Context,
): Promise<Undone> {
  try {
    const { main, words } = await readServing(settings, context);
    if (main?.version !== version) {
      return { state: 'stays', message: `There was nothing to give back: ${words}` };
    }
    const outcome = await goBack(version, rollback, context);
    if (!isGood(outcome)) return { ...left(version, outcome.message, outcome.remedy), outcome };
    return { state: 'undone', message: `The traffic was given back: ${outcome.message}`, outcome };
  } catch (thrown) {
    return left(version, messageOf(thrown), thrown instanceof DeployError ? thrown.remedy : '');
  }
}

export const shift: Phase = {
  name: 'shift',
  title: 'Shift',
  doing: 'Shifting the traffic',
  isWanted: () => true,
  async prepare(asked, context): Promise<Prepared | Problem[]> {
    const { version, strategy, image } = asked.inputs;
    const images = image === undefined ? {} : { image: image.map(textOfImage).join(',') };
    const action = strategy === 'canary' ? 'canary' : 'blue-green-switch';
    const [forth, back, settings, limits] = [
      await preparePart(action, { version, ...images, ...watchOf(asked) }, asked, context),
      await preparePart('rollback', {}, asked, context),
      await readSettings(targetSettings, {}, asked, context),
      strategy === 'canary' ? await readLimits(asked, context) : undefined,
    ];
    if (Array.isArray(forth) || Array.isArray(back) || Array.isArray(limits) || !settings.ok) {
      const problems = [forth, back, limits].filter((part) => Array.isArray(part)).flat();
      return settings.ok ? problems : [...problems, ...settings.problems];
    }
    const undo = (within: Context) => giveBack(version, back, settings.inputs, within);
    return {
      // That it is frozen, the plan of the preflight says.
      plan: (within) => forth.run(within, { 'dry-run': true, 'break-freeze': 'only a plan' }),
      run: (within, earlier) => forth.run(within, notesOf(earlier.get('migrate'))),
      undo: ({ outputs }: Outcome) =>
        outputs['previous-version'] === undefined
          ? {
              kind: 'stays',
              why: `${version} keeps the traffic: there is no earlier version to give it back to.`,
            }
          : { kind: 'back', run: undo },
      async post(within, isBack) {
        await forth.post(within);
        return isBack ? undo(within) : undefined;
      },
    };
  },
};
