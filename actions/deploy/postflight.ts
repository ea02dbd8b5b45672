import { escapeMarkdown, type Problem } from '@deploy-actions/action-kit';
import { prepareLook } from './look.ts';
import { type Phase, plannedLook, type Prepared } from './phase.ts';
import { readServing, superseded } from './serving.ts';
import { isGood } from './settings.ts';

/** The last look: the version has all the traffic, and the application as a whole is healthy. */
export const postflight: Phase = {
  name: 'postflight',
  title: 'Postflight',
  doing: 'Looking at the whole',
  isWanted: () => true,
  async prepare(asked, context): Promise<Prepared | Problem[]> {
    const { version } = asked.inputs;
    const look = await prepareLook(asked, context);
    if (Array.isArray(look)) return look;
    const { settings, health } = look;
    return {
      plan() {
        const message =
          health === undefined
            ? `See that ${version} has all the traffic.`
            : `See that ${version} has all the traffic, and that the health check passes.`;
        return plannedLook(message);
      },
      async run(within) {
        const serving = await readServing(settings, within);
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
