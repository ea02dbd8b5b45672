import { escapeMarkdown, type Problem } from '@deploy-actions/action-kit';
import { type Asked, type Phase, type Prepared } from './phase.ts';
import { readServing, superseded } from './serving.ts';
import { isGood, preparePart, readSettings, targetSettings } from './settings.ts';

export function isHealthChecked({ config }: Asked): boolean {
  return config('health.url') !== undefined || config('health.command') !== undefined;
}

/** The last look: the version has all the traffic, and the application as a whole is healthy. */
export const postflight: Phase = {
  name: 'postflight',
  title: 'Postflight',
  doing: 'Looking at the whole',
  isWanted: () => true,
  async prepare(asked, context): Promise<Prepared | Problem[]> {
    const { version } = asked.inputs;
    const settings = await readSettings(targetSettings, {}, asked, context);
    const health = isHealthChecked(asked) ? await preparePart('health-check', {}, asked, context) : undefined;
    if (!settings.ok || Array.isArray(health)) {
      return [...(settings.ok ? [] : settings.problems), ...(Array.isArray(health) ? health : [])];
    }
    return {
      plan() {
        const message =
          health === undefined
            ? `See that ${version} has all the traffic.`
            : `See that ${version} has all the traffic, and that the health check passes.`;
        return Promise.resolve({
          result: 'planned',
          reasonCode: 'dry_run',
          message,
          outputs: {},
          report: {},
        });
      },
      async run(within) {
        const serving = await readServing(settings.inputs, within);
        const { main } = serving;
        if (main?.version !== version || main.weight !== 100) return superseded(version, serving);
        within.summary.paragraph(escapeMarkdown(serving.words));
        const outputs = { version: main.version, slot: main.slot };
        const checked = await health?.run(within);
        if (checked !== undefined && !isGood(checked)) {
          return { ...checked, outputs: { ...checked.outputs, ...outputs } };
        }
        return {
          result: 'succeeded',
          reasonCode: 'ok',
          message: `${serving.words}${checked === undefined ? '' : ` ${checked.message}`}`,
          outputs,
          report: { ...checked?.report },
        };
      },
    };
  },
};
