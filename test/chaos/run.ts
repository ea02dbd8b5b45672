// npm run test:chaos                                  every case; minutes
// npm run test:chaos -- --only blue-green:17:after    one case, with its log (or blue-green:17:after:post)
//   --group blue-green,canary    some of the groups
//   --every 10                   every tenth mutation
//   --lanes 3                    cases at a time; default: three for each core
//   --dist FOLDER                another build
//   --json FILE                  how many passed, and every case, for machines
//
// A release is killed with SIGKILL before and after each of its mutations in turn, under load, and run again. Then there
// has to be one good state and no request may have been lost. Besides: the first release of all, a killed proxy, a cancel.

import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { createHost, endHostsOnSignals, forgetPast } from '../support/host.ts';
import {
  type CaseResult,
  createStage,
  type Ending,
  endings,
  killAndGoOn,
  type Mutation,
  mutationsOf,
  nameOfPoint,
  type Point,
  type Release,
  type Stage,
  type When,
} from './case.ts';
import { cancelRelease, killFirst, killProxy, momentNumbers, mutationsOfFirst } from './moments.ts';

const blueGreen: Release = {
  action: 'blue-green-switch',
  inputs: { watch: '0s', 'keep-previous': 'true' },
  keepsPrevious: true,
};
const canary: Release = {
  action: 'canary',
  inputs: {
    weights: '50',
    pause: '1s',
    'analysis-interval': '200ms',
    'min-requests': '5',
    'max-response-time': '5s',
    'keep-previous': 'false',
  },
  keepsPrevious: false,
};

/** One kind of cases. */
interface Group {
  release: Release;
  /** The mutations that are gone through; without, the cases are at moments. */
  mutations?: (stage: Stage | undefined) => Promise<Mutation[]>;
  /** Without a stage, each case has a host of its own. */
  staged: boolean;
  /** All cases, by name, in order. */
  names(mutations: Mutation[], every: number): string[];
  run(stage: Stage | undefined, name: string): Promise<CaseResult>;
}

const sides: When[] = ['before', 'after'];
const newHost = () => createHost({ dist: options.dist });

/** Every mutation, both sides, run again; and of every tenth, what else may come after a kill. */
function exhaustive(mutations: Mutation[], every: number): string[] {
  const chosen = mutations.filter((_, index) => index % every === 0);
  const again = chosen.flatMap(({ n }) => sides.map((when) => ({ n, when, ending: 'again' as const })));
  const sampled = chosen.filter((_, index) => index % 10 === 4);
  const more = sampled.flatMap(({ n }, index) => [
    { n, when: sides[index % 2] ?? 'after', ending: 'other' as const },
    { n, when: sides[(index + 1) % 2] ?? 'after', ending: 'post' as const },
  ]);
  return [...again, ...more].map(nameOfPoint);
}

function pointOf(name: string): Point {
  const [n = '', when = '', ending = 'again'] = name.split(':');
  const point = { n: Number(n), when: when as When, ending: ending as Ending };
  if (point.n > 0 && sides.includes(point.when) && endings.includes(point.ending)) return point;
  throw new Error(`"${name}" is no case: number:${sides.join('|')}[:${endings.join('|')}]`);
}

function killing(release: Release): Group {
  return {
    release,
    staged: true,
    async mutations(stage) {
      if (stage === undefined) throw new Error('no stage');
      await forgetPast(stage.host.stateDirectory);
      let listed: Mutation[] = [];
      const result = await stage.attempt('whole', async (_, version) => {
        listed = await mutationsOf(stage.host, (step) => stage.step(version, step));
        return { reached: true, steps: [], wanted: [version] };
      });
      if (result.problems.length > 0) throw new Error(`without a kill: ${result.problems.join('; ')}`);
      return listed;
    },
    names: exhaustive,
    run: (stage, name) => killAndGoOn(needed(stage), pointOf(name)),
  };
}

function needed(stage: Stage | undefined): Stage {
  if (stage === undefined) throw new Error('this group needs a stage');
  return stage;
}

const groups: Record<string, Group> = {
  'blue-green': killing(blueGreen),
  canary: killing(canary),
  first: {
    release: blueGreen,
    staged: false,
    mutations: () => mutationsOfFirst(blueGreen, newHost),
    names: (mutations, every) =>
      mutations
        .filter((_, index) => index % every === 0)
        .flatMap(({ n }) => sides.map((when) => nameOfPoint({ n, when, ending: 'again' }))),
    run: (_, name) => killFirst(blueGreen, newHost, pointOf(name)),
  },
  proxy: {
    release: canary,
    staged: true,
    names: () => momentNumbers.map(String),
    run: (stage, name) => killProxy(needed(stage), canary, Number(name)),
  },
  cancel: {
    release: canary,
    staged: true,
    names: () => momentNumbers.slice(1).map(String),
    run: (stage, name) => cancelRelease(needed(stage), canary, Number(name)),
  },
};

interface GroupResult {
  name: string;
  mutations: Mutation[];
  cases: CaseResult[];
  seconds: number;
}

/** A case is a second of computing in some four seconds, most of which are waited. */
const lanesPerCore = 3;
/** So many bad states say enough. */
const enough = 10;

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    group: { type: 'string', default: Object.keys(groups).join(',') },
    every: { type: 'string', default: '1' },
    lanes: { type: 'string', default: String(lanesPerCore * availableParallelism()) },
    dist: { type: 'string' },
    json: { type: 'string' },
  },
});

const say = (text: string) => void process.stdout.write(`${text}\n`);
const open = new Set<Stage>();
const ending = endHostsOnSignals();
const isBad = ({ problems }: CaseResult) => problems.length > 0;

function groupNamed(name: string): Group {
  const group = groups[name];
  if (group === undefined) throw new Error(`no group "${name}"; there are ${Object.keys(groups).join(', ')}`);
  return group;
}

async function openStage(group: Group): Promise<Stage | undefined> {
  if (!group.staged) return undefined;
  const host = await newHost();
  try {
    const stage = await createStage(host, group.release);
    open.add(stage);
    return stage;
  } catch (error) {
    await host.end();
    throw error;
  }
}

async function closeStage(stage: Stage | undefined, keepFolder = false): Promise<void> {
  if (stage === undefined) return;
  open.delete(stage);
  await stage.end({ keepFolder });
}

function tellBad(group: string, { name, problems, log }: CaseResult, mutations: Mutation[]): void {
  const mutation = mutations.find(({ n }) => String(n) === name.split(':')[0]);
  const what = mutation === undefined ? '' : ` (${mutation.kind} ${mutation.target})`;
  say(`BAD ${group}:${name}${what}\n  ${problems.join('\n  ')}`);
  say(`  again: npm run test:chaos -- --only ${group}:${name}\n${log.replace(/^/gm, '  | ')}`);
}

async function runGroup(name: string, lanes: number, every: number): Promise<GroupResult> {
  const group = groupNamed(name);
  const start = performance.now();
  const first = await openStage(group);
  const mutations = (await group.mutations?.(first)) ?? [];
  const queue = group.names(mutations, every);
  const total = queue.length;
  const cases: CaseResult[] = [];
  say(`${name}: ${mutations.length} mutations, ${total} cases, ${lanes} at a time`);
  const tell = () => {
    const lost = cases.reduce((sum, one) => sum + one.lost, 0);
    const seconds = ((performance.now() - start) / 1_000).toFixed(0);
    say(
      `${name}: ${cases.length} of ${total} cases, ${lost} lost, ${cases.filter(isBad).length} bad, ${seconds} s`,
    );
  };
  const progress = setInterval(tell, 10_000);

  const lane = async (number: number) => {
    let stage = number === 0 ? first : await openStage(group);
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      if (cases.filter(isBad).length >= enough) break;
      const result = await group.run(stage, next);
      if (ending.aborted) return;
      cases.push(result);
      if (!isBad(result)) continue;
      tellBad(name, result, mutations);
      await closeStage(stage);
      stage = await openStage(group);
    }
    await closeStage(stage);
  };
  try {
    await Promise.all(Array.from({ length: Math.min(lanes, total) }, (_, number) => lane(number)));
  } finally {
    clearInterval(progress);
  }
  tell();
  return { name, mutations, cases, seconds: (performance.now() - start) / 1_000 };
}

async function runOne(text: string): Promise<number> {
  const [groupName = '', ...rest] = text.split(':');
  const group = groupNamed(groupName);
  const stage = await openStage(group);
  const mutations = (await group.mutations?.(stage)) ?? [];
  const result = await group.run(stage, rest.join(':'));
  if (isBad(result)) tellBad(groupName, result, mutations);
  else
    say(
      `${result.log}\n${text}: good, ${result.lost} of ${result.sent} lost, ${result.seconds.toFixed(1)} s`,
    );
  if (!result.reached) say(`${text} was not reached: the release was over before`);
  await closeStage(stage, isBad(result));
  if (isBad(result) && stage !== undefined) say(`its folder is kept: ${stage.host.folder}`);
  return isBad(result) ? 1 : 0;
}

function table(results: GroupResult[]): string {
  const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0);
  const rows = results.map(({ name, mutations, cases, seconds }) => [
    name,
    mutations.length,
    cases.length,
    cases.filter(({ reached }) => !reached).length,
    sum(cases.map(({ sent }) => sent)),
    sum(cases.map(({ lost }) => lost)),
    cases.filter(isBad).length,
    seconds.toFixed(0),
  ]);
  const head = ['group', 'mutations', 'cases', 'not reached', 'requests', 'lost', 'bad states', 'seconds'];
  const all = [head, ...rows].map((row) => row.map(String));
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all
    .map((row) => row.map((cell, column) => cell.padStart(widths[column] ?? 0)).join('  '))
    .join('\n');
}

async function main(): Promise<number> {
  if (options.only !== undefined) return runOne(options.only);
  const results: GroupResult[] = [];
  for (const name of options.group.split(',')) {
    results.push(await runGroup(name, Number(options.lanes), Number(options.every)));
    if (ending.aborted) return 130;
  }
  say(`\n${table(results)}`);
  if (options.json !== undefined) {
    const withoutLogs = (key: string, value: unknown) => (key === 'log' ? undefined : value);
    const cases = results.flatMap((group) => group.cases);
    const failed = cases.filter(isBad).length;
    const content = { passed: cases.length - failed, failed, groups: results };
    await writeFile(options.json, `${JSON.stringify(content, withoutLogs, 2)}\n`);
  }
  return results.some(({ cases }) => cases.some(isBad)) ? 1 : 0;
}

try {
  process.exitCode = await main();
} finally {
  for (const stage of open) await stage.end();
}
