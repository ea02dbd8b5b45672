import type { Draft } from '@deploy-actions/findings';

/** What a scan looks for; each is judged by limits of its own. */
export const classes = ['vulnerability', 'misconfiguration', 'secret', 'licence'] as const;
export type FindingClass = (typeof classes)[number];

/** A finding with what a policy decides by. */
export interface Scanned extends Draft {
  class: FindingClass;
  /** Package URL of the subject, where the scanner gives one: an entry of an ignore file may name it. */
  purl: string | null;
  /** Whether a version exists that ends it; always true for what is not about a package. */
  fixable: boolean;
}

/** One scan of one target, whatever the scanner. */
export interface Scan {
  scanner: { name: string; version: string | null };
  /** What the scanner says it looked at, for people. */
  artifact: string;
  /** By the scanner's clock, ISO 8601; null when it does not say. */
  at: string | null;
  findings: Scanned[];
  /** How many packages it saw; null when it did not list any. None seen in an image with an operating system is a warning sign. */
  packages: number | null;
  /** The operating system gets no security updates any more. */
  endOfLife: boolean;
}
