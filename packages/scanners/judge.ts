import { type Counts, countBySeverity, type Finding, gate, type Limits } from '@deploy-actions/findings';
import { classes, type FindingClass, type Scanned } from './model.ts';

/** What a scan may find and still pass. */
export interface Policy {
  limits: Record<FindingClass, Limits>;
  /** Leave out what no version ends yet: nobody can do anything about it. */
  ignoreUnfixed: boolean;
  /** Count only what was not there before. */
  onlyNew: boolean;
}

/** A class's part of the verdict. */
export interface ClassVerdict {
  class: FindingClass;
  passed: boolean;
  counts: Counts;
  message: string;
}

export interface ScanVerdict {
  passed: boolean;
  byClass: ClassVerdict[];
  /** Everything that counted: with `onlyNew`, not what was known before. */
  counts: Counts;
  /** How many were left out because nothing ends them yet. */
  unfixed: number;
  /** In a sentence for each class that was limited or had findings. */
  message: string;
}

/** What a scan comes to: each class by its own limits; one beyond its limits is enough to fail. */
export function judgeScan(findings: readonly (Finding & Scanned)[], policy: Policy): ScanVerdict {
  const counted = findings.filter(({ fixable }) => fixable || !policy.ignoreUnfixed);
  const byClass = classes.flatMap((findingClass): ClassVerdict[] => {
    const own = counted.filter((finding) => finding.class === findingClass);
    const limits = policy.limits[findingClass];
    if (own.length === 0 && Object.keys(limits).length === 0) return [];
    const { passed, counts, message } = gate(own, limits, { onlyNew: policy.onlyNew });
    return [{ class: findingClass, passed, counts, message }];
  });
  const unfixed = findings.length - counted.length;
  const left = unfixed === 0 ? [] : [`Without a fixed version and not counted: ${unfixed}.`];
  return {
    passed: byClass.every(({ passed }) => passed),
    byClass,
    counts: countBySeverity(counted.filter(({ known }) => !policy.onlyNew || known !== true)),
    unfixed,
    message: [...byClass.map(({ class: name, message }) => `${nameOf(name)}: ${message}`), ...left].join(' '),
  };
}

function nameOf(findingClass: FindingClass): string {
  return {
    vulnerability: 'Vulnerabilities',
    misconfiguration: 'Misconfigurations',
    secret: 'Secrets',
    licence: 'Licences',
  }[findingClass];
}
