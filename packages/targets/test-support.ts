import type { LinuxHostRelease } from '@deploy-actions/platforms';
import {
  isHolderAlive,
  type Platform,
  type RunIdentity,
  type StateStore,
} from '@deploy-actions/release-engine';
import { createWorld, openRun, type World } from '../release-engine/test-support.ts';
import type { DeliveryRequest, RequestInputs } from './delivery.ts';
import type { Target } from './open.ts';

export const releaseOf = (version: string): LinuxHostRelease => ({
  version,
  directory: `/srv/${version}`,
  command: ['true'],
  environment: {},
  instances: 1,
  stopTimeout: 1_000,
  portRange: [8_100, 8_199],
});

/** A host in memory with its state in a store of its own. What is changed of the host is in `world.changes`. */
export interface TestEnvironment {
  world: World;
  /** As a run opens it. */
  open(run: RunIdentity, store?: StateStore): Target;
  request(target: Target, version: string, inputs?: Partial<RequestInputs>): DeliveryRequest;
}

export function createTestEnvironment(
  store: StateStore,
  stateDirectory: string,
  world: World = createWorld(),
): TestEnvironment {
  return {
    world,
    open(run, own = store) {
      const { platform, router } = openRun(world).options;
      return {
        label: 'helpdesk in production',
        // Versions of memory need no more than their name.
        platform: platform as unknown as Platform<LinuxHostRelease>,
        router,
        keptIn: 'platform',
        store: own,
        isAlive: isHolderAlive,
        run,
        stateDirectory,
        ownMetrics: undefined,
      };
    },
    request: (target, version, inputs = {}) => ({
      target,
      inputs: {
        app: 'helpdesk',
        environment: 'production',
        platform: 'linux-host',
        router: 'embedded-proxy',
        supervisor: 'process',
        'ready-timeout': 1_000,
        'verify-timeout': 1_000,
        'drain-timeout': 1_000,
        'keep-previous': true,
        'lock-timeout': 0,
        'probe-url': undefined,
        'probe-rate': 10,
        'environment-url': undefined,
        'github-token': undefined,
        'dry-run': false,
        images: undefined,
        notes: undefined,
        'break-freeze': undefined,
        ...inputs,
      },
      wanted: { strategy: 'blue-green', release: releaseOf(version), weights: [100], keepPrevious: true },
      hold: () => Promise.resolve({ pass: true }),
      windows: [],
    }),
  };
}
