/** One line of the bench's table. */
export interface Row {
  /** What was measured, such as `start to refusal`. */
  measure: string;
  /** Of what: an action, or all of dist. */
  subject: string;
  unit: 'ms' | 'bytes';
  best: number;
  median: number;
  /** The most that it should be. */
  goal?: number;
}

/** A measure in a file of its own; bench.ts lists them. */
export type Measure = () => Promise<Row[]>;

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
