import { openChangeovers } from '../cluster/changeover.ts';
import { bestOf, type BenchOptions, medianOf, type Row } from './measure.ts';

/** What blue-green-switch may take over a bare `kubectl patch`, in milliseconds. */
const overPatch = 100;
const rollbackGoal = 1_000;
/** Rounds for one `kubectl rollout undo`, which takes seconds. */
const roundsAnUndo = 4;

/**
 * Milliseconds until all new connections are answered by the version that is wanted: of a switch, beside a bare `kubectl patch`; of a
 * rollback, beside `kubectl rollout undo`. They take turns, so that what else the machine does falls on all of them.
 */
export async function changeovers({ pairs, say }: BenchOptions): Promise<Row[]> {
  const changes = await openChangeovers();
  const times = {
    traffic: [] as number[],
    verified: [] as number[],
    patch: [] as number[],
    back: [] as number[],
    step: [] as number[],
    undo: [] as number[],
  };
  try {
    for (let round = 1; round <= pairs; round += 1) {
      const back = await changes.rollBack();
      times.back.push(back.traffic);
      times.step.push(back.step);
      for (const colour of ['green', 'blue'] as const) {
        const took = await changes.patch(colour);
        // Seen before it was begun: the client had no connection answered just then, and saw nothing of it.
        if (took > 0) times.patch.push(took);
      }
      const { traffic, verified } = await changes.release();
      times.traffic.push(traffic);
      times.verified.push(verified);
      if (round % roundsAnUndo === 1) times.undo.push(await changes.undo());
      const seen = [traffic, times.patch.at(-1) ?? 0, back.traffic].map((time) => `${time.toFixed(0)} ms`);
      say(`round ${round} of ${pairs}: switch ${seen[0]}, patch ${seen[1]}, rollback ${seen[2]}`);
    }
  } finally {
    await changes.end();
  }
  const row = (measure: string, subject: string, values: number[], goal?: number): Row => ({
    measure,
    subject,
    unit: 'ms',
    best: bestOf(values),
    median: medianOf(values),
    ...(goal === undefined ? {} : { goal, judged: 'median' }),
  });
  const [change, rollback] = ['switch', 'rollback'];
  const switchGoal = medianOf(times.patch) + overPatch;
  return [
    row(change, 'kubectl patch: start to all traffic', times.patch),
    row(change, 'idle colour ready to all traffic', times.traffic, switchGoal),
    row(change, 'idle colour ready to verified, journalled', times.verified, switchGoal),
    row(rollback, 'kubectl rollout undo: start to all traffic', times.undo),
    row(rollback, 'start to all traffic', times.back, rollbackGoal),
    row(rollback, 'start to end of the step', times.step),
  ];
}
