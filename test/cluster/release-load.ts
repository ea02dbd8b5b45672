// What an application has to stand while it is released, and what of it was lost. Its pods have two servers (`twoServers`): one
// stops accepting at SIGTERM, the other announces the end of kept connections.

import { type Counts, countsOf, type Kind, type Load, startLoad } from '../support/load/index.ts';
import { nodePortService } from './server-image.ts';
import type { Namespace } from './namespace.ts';

/** Of new connections. */
export const requestsPerSecond = 400;
/** How long each of the ten requests takes that are in flight at any time. */
export const longSeconds = 10;
const postsPerSecond = 100;
/** Enough to see that some are lost; what they take of the machine is not to slow the others. */
const otherPostsPerSecond = 20;

const announcingPort = 8001;
const announcing = 'announcing';

/** Options of `serverDeployment`: a second container, with the same image. */
export const twoServers = {
  beside: {
    name: announcing,
    port: announcingPort,
    env: { ON_SIGTERM: 'close-announced', DRAIN_FOR: '3s' },
  },
};

/** The Service of both servers. */
export function twoServersService(name: string, selector: Readonly<Record<string, string>>): object {
  return nodePortService(name, selector, { [announcing]: announcingPort });
}

/** What is counted by itself: POSTs on kept connections whose server announces their end, and on those whose server does not. */
export type Part = 'new' | 'inflight' | 'announced' | 'unannounced';

export interface ReleaseFigures {
  /** Throws when there was no such phase, or nothing of that kind was sent. */
  of(phase: string, part: Part): Counts;
  /** Everything, in a line. */
  text: string;
  /** The first that were lost in a phase, and how. */
  lost(phase: string): string;
}

export interface ReleaseLoad {
  /** From now on requests belong to this phase. */
  mark(phase: string): Promise<void>;
  /** Waits for the requests in flight. */
  stop(): Promise<ReleaseFigures>;
  kill(): void;
}

/** Begins with the phase `steady`. `unannounced`: with POSTs on connections that a server closes without a word. */
export async function startReleaseLoad(
  namespace: Pick<Namespace, 'urlOf'>,
  service: string,
  { durationSeconds, unannounced = false }: { durationSeconds: number; unannounced?: boolean },
): Promise<ReleaseLoad> {
  const url = await namespace.urlOf(service);
  const common = { durationSeconds, phase: 'steady' };
  const loads: { load: Load; partOf: (kind: Kind) => Part }[] = [];
  const start = async (options: Parameters<typeof startLoad>[0], posts: Part): Promise<void> => {
    const load = await startLoad(options);
    loads.push({ load, partOf: (kind) => (kind === 'keepalive-post' ? posts : kind) });
  };
  const kill = (): void => loads.forEach(({ load }) => load.kill());
  try {
    await start(
      {
        ...common,
        url: `${url}/`,
        rate: requestsPerSecond,
        kinds: ['new', 'inflight'],
        inFlightUrl: `${url}/slow?ms=${longSeconds * 1_000}`,
        inFlightSeconds: longSeconds,
        inFlight: 10,
      },
      'unannounced',
    );
    const announcingUrl = `${await namespace.urlOf(service, announcing)}/`;
    const posts = { ...common, kinds: ['keepalive-post'] as const };
    await start({ ...posts, url: announcingUrl, rate: postsPerSecond }, 'announced');
    if (unannounced) await start({ ...posts, url: `${url}/`, rate: otherPostsPerSecond }, 'unannounced');
  } catch (error) {
    kill();
    throw error;
  }
  return {
    kill,
    async mark(phase) {
      await Promise.all(loads.map(({ load }) => load.mark(phase)));
    },
    async stop() {
      const reports = await Promise.all(
        loads.map(async ({ load, partOf }) => ({ report: await load.stop(), partOf })),
      );
      const kinds = reports.flatMap(({ report, partOf }) =>
        report.phases.flatMap(({ name, kinds: found }) =>
          Object.entries(found).map(([kind, counts]) => ({ name, part: partOf(kind as Kind), counts })),
        ),
      );
      const late = Math.max(...reports.map(({ report }) => report.lagMs.max));
      return {
        of(phase, part) {
          const found = kinds.find((one) => one.name === phase && one.part === part);
          if (found === undefined) throw new Error(`nothing was sent: ${part} in phase ${phase}`);
          return countsOf({ new: found.counts });
        },
        text: `${kinds
          .map(({ name, part, counts }) => `${name}, ${part}: ${counts.lost} lost of ${counts.sent}`)
          .join('; ')}; the generators at most ${late.toFixed(0)} ms late`,
        lost: (phase) =>
          JSON.stringify(
            kinds
              .filter((one) => one.name === phase && one.counts.lost + one.counts.failed > 0)
              .map(({ part, counts: { lost, failed, lostBy, firstLost } }) => ({
                part,
                lost,
                failed,
                lostBy,
                firstLost,
              })),
          ),
      };
    },
  };
}
