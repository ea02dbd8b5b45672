// Where the engine is: one for the machine, shared by all that use it at the time. What it makes outside its folder, an interface and
// control groups, has names of its own. A test that kills an engine takes a second one, which nobody shares.

import { tmpdir } from 'node:os';
import { join } from 'node:path';

const isSecond = process.env['SECOND_ENGINE'] === '1';
const name = isSecond ? 'deploy-actions-second-engine' : 'deploy-actions-engine';

export const stateFolder = join(tmpdir(), name);
export const inState = (...names: string[]): string => join(stateFolder, ...names);

/** One line of JSON for each process that was started. */
export const processesFile = inState('processes');
/** Written last: with it the engine was complete once. */
export const completeFile = inState('engine.json');
export const dockerSocket = inState('docker.sock');
export const containerdSocket = inState('docker-exec', 'containerd', 'containerd.sock');

/** Beside the folder, for that comes and goes. */
export const lockFile = `${stateFolder}.lock`;
export const usersFolder = `${stateFolder}.users`;

/** At the top of each hierarchy. */
export const controlGroup = name;

/** Containers get addresses of these alone. */
const [first, pool] = isSecond ? ['10.203', '10.204'] : ['10.201', '10.202'];
export const network = {
  bridge: isSecond ? 'deployengine1' : 'deployengine0',
  address: `${first}.0.1/24`,
  /** For the networks that tests make, whose interfaces are named `br-…`. */
  pool: `${pool}.0.0/16`,
  isInPool: (address: string): boolean => address.startsWith(`${pool}.`),
};
