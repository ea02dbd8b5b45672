import { DeployError, type Place, type ReasonCode } from '@deploy-actions/core';

/** Something that is wrong with a manifest, and where. */
export interface ManifestProblem {
  /** The file, relative to the workspace, or the command that rendered it. */
  source: string;
  /** Null where it is about the file as a whole. */
  place: Place | null;
  message: string;
  reasonCode: ReasonCode;
}

/** `k8s/web.yml:14:3`, as editors and terminals link it. */
export function locationOf({ source, place }: Pick<ManifestProblem, 'source' | 'place'>): string {
  return place === null ? source : `${source}:${place.line}:${place.column}`;
}

/** All that is wrong with the manifests, said at once. Nothing was written. */
export class ManifestsRefused extends DeployError {
  readonly problems: ManifestProblem[];

  constructor(problems: ManifestProblem[], remedy: string) {
    const lines = problems.map((problem) => `${locationOf(problem)}: ${problem.message}`);
    const [first = '', ...others] = lines;
    const more = others.length === 0 ? '' : ` (and ${others.length} more)`;
    super(codeOf(problems), `${first}${more} Nothing was written.`, { remedy, details: lines });
    this.name = 'ManifestsRefused';
    this.problems = problems;
  }
}

/** The code of what has to be mended first. */
function codeOf(problems: ManifestProblem[]): ReasonCode {
  const order: ReasonCode[] = ['invalid_input', 'unsupported', 'not_found', 'permission_denied'];
  const codes = problems.map(({ reasonCode }) => reasonCode);
  return order.find((code) => codes.includes(code)) ?? codes[0] ?? 'invalid_input';
}
