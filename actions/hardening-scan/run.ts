import { type Context, type InputValues, type Outcome } from '@deploy-actions/action-kit';
import { compare, identify, parseLimits } from '@deploy-actions/findings';
import {
  checkBaseline,
  concludeScan,
  orNoVerdict,
  readIgnores,
  repositoryFiles,
  scanHardening,
  targetCells,
} from '@deploy-actions/scanners';
import { definition } from './definition.ts';

type Inputs = InputValues<(typeof definition)['inputs']>;
type Outputs = (typeof definition)['outputs'];

export function run(inputs: Inputs, context: Context): Promise<Outcome<Outputs>> {
  return orNoVerdict(definition.outputs, () => scanAndJudge(inputs, context));
}

/** The fingerprints of what the base branch has, read as it is: also where the change moved or removed files. */
async function knownBefore(baseline: string, paths: readonly string[]): Promise<Set<string>> {
  await checkBaseline(baseline);
  const { findings } = await scanHardening(baseline, paths, { mayBeNothing: true });
  return new Set(identify(findings).map(({ fingerprint }) => fingerprint));
}

async function scanAndJudge(inputs: Inputs, context: Context): Promise<Outcome<Outputs>> {
  const { facts, log, summary } = context;
  const ignores = await readIgnores(inputs, ['.hardeningignore.yaml', '.hardeningignore'], context);
  const hardening = await scanHardening(facts.workspace, inputs.paths);
  const { scanned, passed } = hardening;
  const found = identify(hardening.findings);
  for (const { path, why } of passed) log.warning(`${path} was not scanned: ${why}.`);
  const { findings, verdict, outputs, ...outcome } = await concludeScan(inputs, context, {
    purpose: 'hardening-scan',
    title: 'Hardening scan',
    limits: { misconfiguration: parseLimits(inputs.limits, 'limits') },
    found:
      inputs.baseline === undefined
        ? found
        : compare(found, await knownBefore(inputs.baseline, inputs.paths)),
    ignores,
    targets: [],
    files: repositoryFiles(inputs.paths),
    done: `${scanned.length === 1 ? '1 file' : `${scanned.length} files`} scanned${passed.length === 0 ? '' : `, ${passed.length} not`}`,
    remedy: 'Take back what is not needed; for what is, write an ignore entry with a last day and a reason.',
    summarize: (kept) => {
      summary.table(
        ['File', 'Findings', 'New', 'Read as'],
        scanned.map(({ path, what }) => [
          ...targetCells(
            path,
            kept.filter(({ target }) => target.name === path),
          ),
          what,
        ]),
      );
      if (passed.length > 0)
        summary.details('Not scanned', passed.map(({ path, why }) => `${path}: ${why}`).join('\n'));
    },
  });
  return { ...outcome, outputs, report: { verdict, scanned, passed, findings } };
}
