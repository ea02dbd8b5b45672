import { DeployError, isRecord, messageOf } from '@deploy-actions/core';
import { increase, isReading, unavailable, type Reading } from './counters.ts';
import type { TextAnswer } from './http-text.ts';
import type { Baseline, MetricSource } from './port.ts';
import { readAnswer, type Scraped } from './scrape.ts';
import { planFor, type Plan } from './scrape-query.ts';

/** One instance, of a name that no other one has or had in the window. */
export interface GroupMember {
  name: string;
  /** Its metrics, as text. Throws `unreachable`, `timeout` or `cancelled`. */
  read(signal: AbortSignal): Promise<Pick<TextAnswer, 'status' | 'contentType' | 'text' | 'at'>>;
}

export interface GroupOptions {
  /** What is measured, for messages: `slot green`. */
  what: string;
  /** The instances that there are now. */
  members(signal: AbortSignal): Promise<GroupMember[]>;
}

/**
 * Reads the metrics of instances that come and go, such as the pods of a version. As with a fixed list, every instance that is
 * there has to answer, and a counter that fell counts from zero. Beyond that:
 *
 * - One that was not there when the window began counts from zero.
 * - One that is gone counts up to when it was seen last in the window; the series notes that what it did after that is missing.
 * - No instance at all is unavailable.
 */
export function createGroupScrape(options: GroupOptions): MetricSource {
  /** What was seen last of each instance since the window of a query began. */
  const seen = new Map<string, Map<string, Scraped>>();

  async function scrapeMembers(plan: Plan, signal: AbortSignal): Promise<Scraped[]> {
    const members = await options.members(signal).catch((thrown: unknown) => {
      const isOurs = thrown instanceof DeployError && thrown.reasonCode !== 'unreachable';
      throw isOurs ? thrown : unavailable(`${options.what}: ${messageOf(thrown)}`, thrown);
    });
    if (members.length === 0) throw unavailable(`${options.what} has no instance that is ready`);
    const results = await Promise.allSettled(
      members.map(async (member) => readAnswer(member.name, await member.read(signal), plan)),
    );
    const failures = results.flatMap((result, index) =>
      result.status === 'rejected' ? [{ name: members[index]?.name, reason: result.reason as unknown }] : [],
    );
    const ended = failures.find(
      ({ reason }) =>
        reason instanceof DeployError && ['cancelled', 'permission_denied'].includes(reason.reasonCode),
    );
    if (ended !== undefined) throw ended.reason;
    if (failures.length > 0) {
      const said = failures.map(({ name, reason }) => `${name}: ${messageOf(reason)}`).join('; ');
      throw unavailable(`${said} (${failures.length} of ${members.length} instances of ${options.what})`);
    }
    return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  }

  return {
    name: 'scrape',

    async begin(query, signal): Promise<Baseline> {
      const plan = planFor(query);
      const scraped = await scrapeMembers(plan, signal);
      seen.set(plan.text, new Map(scraped.map((one) => [one.endpoint, one])));
      return {
        source: 'scrape-group',
        query: plan.text,
        readings: scraped.map(({ reading }) => ({ ...reading })),
      };
    },

    async series(query, baseline, signal) {
      const plan = planFor(query);
      const before = new Map(readingsOf(baseline, plan).map((reading) => [reading.url, reading]));
      const now = await scrapeMembers(plan, signal);
      const latest = seen.get(plan.text) ?? new Map<string, Scraped>();
      seen.set(plan.text, latest);
      for (const one of now) latest.set(one.endpoint, one);
      const here = new Set(now.map(({ endpoint }) => endpoint));
      const notes: string[] = [];
      for (const name of new Set([...before.keys(), ...latest.keys()])) {
        if (here.has(name)) continue;
        const upTo = latest.has(name) ? 'after it was seen last' : 'in this window';
        notes.push(`${name} is gone: what it counted ${upTo} is not included.`);
      }
      const began = Math.min(...[...before.values()].map(({ at }) => at));
      const grown = [...latest.values()].map((one) => {
        const start = before.get(one.endpoint);
        if (start === undefined) return { ...one, counters: new Map(Object.entries(one.reading.counters)) };
        const growth = increase(start, one.reading);
        notes.push(...growth.notes);
        return { ...one, counters: growth.counters };
      });
      const window = Math.max(0, ...now.map(({ reading }) => reading.at - began));
      const { notes: others = [], ...series } = plan.series(grown, window);
      const all = [...notes, ...others];
      return all.length === 0 ? series : { ...series, notes: all };
    },
  };
}

/** A baseline comes back from a journal: it must be of this query. */
function readingsOf(baseline: Baseline, plan: Plan): Reading[] {
  if (!isRecord(baseline) || baseline.source !== 'scrape-group' || !Array.isArray(baseline.readings)) {
    throw unavailable('the baseline is not one of a group');
  }
  if (baseline.query !== plan.text) {
    throw unavailable(`the baseline is of ${JSON.stringify(baseline.query)}, not of ${plan.text}`);
  }
  return (baseline.readings as unknown[]).filter(isReading);
}
