import type { Context, InputValues, Outcome } from '@deploy-actions/action-kit';
import { currentOf, type Freeze, type LedgerEntry, readFreeze, readLedger } from '@deploy-actions/ledger';
import { type HeldLease, readLease, type RunIdentity } from '@deploy-actions/release-engine';
import { runIdentity, openState, type State } from '@deploy-actions/targets';
import type { definition } from './definition.ts';

export type Inputs = InputValues<(typeof definition)['inputs']>;
export type Outputs = (typeof definition)['outputs'];

/** One environment as this action sees it: its state alone, without platform or router. */
export interface Desk {
  inputs: Inputs;
  context: Context;
  /** `helpdesk in production`, for messages. */
  label: string;
  state: State;
  run: RunIdentity;
  /** Newest first. */
  entries: LedgerEntry[];
  freeze: Freeze | null;
  lease: HeldLease | null;
}

export async function openDesk(inputs: Inputs, context: Context): Promise<Desk> {
  const state = await openState(inputs, context);
  const { store } = state;
  const [entries, freeze, lease] = await Promise.all([
    readLedger(store),
    readFreeze(store),
    readLease(store),
  ]);
  const label = `${inputs.app} in ${inputs.environment}`;
  return { inputs, context, label, state, run: runIdentity(context), entries, freeze, lease };
}

/** The outcome of a command that did what was asked, with the outputs that all commands have. */
export function answer(
  { entries, freeze, lease }: Desk,
  given: {
    message: string;
    /** Becomes the output `json` and the report. */
    json: unknown;
    result?: Outcome['result'];
    reasonCode?: Outcome['reasonCode'];
    version?: string | undefined;
    frozen?: boolean;
    holder?: string;
  },
): Outcome<Outputs> {
  return {
    result: given.result ?? 'succeeded',
    reasonCode: given.reasonCode ?? 'ok',
    message: given.message,
    outputs: {
      json: JSON.stringify(given.json),
      version: given.version ?? currentOf(entries)?.version,
      frozen: given.frozen ?? freeze !== null,
      holder: given.holder ?? lease?.holder.url,
    },
    report: { answer: given.json },
  };
}
