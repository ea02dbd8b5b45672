import type { Context, Outcome } from '@deploy-actions/action-kit';
import { freeze, unfreeze, unlock } from './changes.ts';
import { type Inputs, openDesk, type Outputs } from './desk.ts';
import { diff, list, show } from './reports.ts';

const commands = { list, show, diff, unlock, freeze, unfreeze };

export async function run(inputs: Inputs, context: Context): Promise<Outcome<Outputs>> {
  return commands[inputs.command](await openDesk(inputs, context));
}
