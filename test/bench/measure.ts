/** One line of the bench's table. */
export interface Row {
  /** What was measured, such as `start to refusal`. */
  measure: string;
  /** Of what: an action, or all of dist. */
  subject: string;
  unit: 'ms' | 'bytes' | 'requests' | 'releases';
  best: number;
  median: number;
  /** Of how many, where it is a number of requests. */
  of?: number;
  /** The most that it should be: the best one, or the median where `judged` says so. */
  goal?: number;
  judged?: 'median';
  /** The least that it should be, for what has to be seen at all. */
  least?: number;
}

export interface BenchOptions {
  /** How many releases are made under load. */
  switches: number;
  updates: number;
  /** How often the times of a change of traffic are taken, by turns with those of kubectl. */
  pairs: number;
  /** A line of progress. */
  say(line: string): void;
}

/** A measure in a file of its own; bench.ts lists them. */
export type Measure = (options: BenchOptions) => Promise<Row[]>;

export function bestOf(values: number[]): number {
  return Math.min(...values);
}

export function medianOf(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low = Number.NaN, high = Number.NaN] = [
    sorted[sorted.length % 2 === 0 ? middle - 1 : middle],
    sorted[middle],
  ];
  return (low + high) / 2;
}

export function isMissed({ goal, least, best, median, judged }: Row): boolean {
  const value = judged === 'median' ? median : best;
  return (goal !== undefined && value > goal) || (least !== undefined && value < least);
}
