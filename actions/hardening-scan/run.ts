import { join } from 'node:path';
import { type Context, escapeMarkdown, type InputValues, type Outcome } from '@deploy-actions/action-kit';
import { DeployError } from '@deploy-actions/core';
import { compare, identify, parseLimits } from '@deploy-actions/findings';
import {
  checkBaseline,
  concludeScan,
  type ConfigurationScan,
  type EngineScan,
  type HardeningOptions,
  orNoVerdict,
  readIgnores,
  repositoryFiles,
  scanEngine,
  scanHardening,
  targetCells,
  trivyOnPath,
} from '@deploy-actions/scanners';
import { definition } from './definition.ts';

type Inputs = InputValues<(typeof definition)['inputs']>;
type Outputs = (typeof definition)['outputs'];

export function run(inputs: Inputs, context: Context): Promise<Outcome<Outputs>> {
  return orNoVerdict(definition.outputs, () => scanAndJudge(inputs, context));
}

/** The fingerprints of what the base branch has, read as it is: also where the change moved or removed files. */
async function knownBefore(
  baseline: string,
  paths: readonly string[],
  options: HardeningOptions,
): Promise<Set<string>> {
  await checkBaseline(baseline);
  const { findings } = await scanHardening(baseline, paths, { ...options, mayBeNothing: true });
  return new Set(identify(findings).map(({ fingerprint }) => fingerprint));
}

async function trivyOptions(inputs: Inputs, context: Context): Promise<ConfigurationScan | undefined> {
  if (inputs.trivy === 'none') return undefined;
  const { environment, log, signal, facts } = context;
  const program = await trivyOnPath(context);
  if (program === undefined) return undefined;
  const temp = join(facts.temp, 'deploy-actions');
  return { program, timeout: inputs.timeout, temp, environment, log, signal };
}

/** The engine, or why it was not looked at, in words. */
async function engineOf(inputs: Inputs, context: Context): Promise<EngineScan | string> {
  const { environment, signal, log } = context;
  if (inputs.engine === 'none') return 'not looked at, as `engine` says';
  const { DOCKER_HOST: address = '' } = environment;
  if (inputs.engine === 'docker-host' && address === '')
    return 'not looked at, because DOCKER_HOST is not set';
  try {
    return await scanEngine({ environment, signal, timeout: Math.min(inputs.timeout, 30_000) });
  } catch (thrown) {
    if (inputs.engine === 'required' || !(thrown instanceof DeployError)) throw thrown;
    // An answer that cannot be read is no answer that may be passed over.
    if (!['unreachable', 'not_found'].includes(thrown.reasonCode)) throw thrown;
    log.warning(`The engine was not looked at. ${thrown.message}`);
    return `not looked at: ${thrown.message}`;
  }
}

const counted = (count: number, what: string) => `${count} ${what}${count === 1 ? '' : 's'}`;

async function scanAndJudge(inputs: Inputs, context: Context): Promise<Outcome<Outputs>> {
  const { facts, log, summary } = context;
  const ignores = await readIgnores(inputs, ['.hardeningignore.yaml', '.hardeningignore'], context);
  const options = { trivy: await trivyOptions(inputs, context) };
  const {
    scanned,
    passed,
    findings: inFiles,
  } = await scanHardening(facts.workspace, inputs.paths, {
    ...options,
    without: inputs.baseline,
  });
  const engine = await engineOf(inputs, context);
  for (const { path, why } of passed) log.warning(`${path} was not scanned: ${why}.`);
  const own = identify(inFiles);
  const compared =
    inputs.baseline === undefined
      ? own
      : compare(own, await knownBefore(inputs.baseline, inputs.paths, options));
  // No change of files brings what an engine gives away.
  const atEngine = identify(typeof engine === 'string' ? [] : engine.findings).map((finding) => ({
    ...finding,
    known: inputs.baseline === undefined ? null : true,
  }));
  const seen =
    typeof engine === 'string'
      ? engine
      : `${engine.version} on ${engine.target.name}, ${counted(engine.containers, 'running container')}`;
  const { findings, verdict, outputs, ...outcome } = await concludeScan(inputs, context, {
    purpose: 'hardening-scan',
    title: 'Hardening scan',
    limits: { misconfiguration: parseLimits(inputs.limits, 'limits') },
    found: [...compared, ...atEngine],
    ignores,
    targets: typeof engine === 'string' ? [] : [engine.target],
    files: repositoryFiles(inputs.paths),
    done: [
      `${counted(scanned.length, 'file')} scanned`,
      ...(passed.length === 0 ? [] : [`${passed.length} not`]),
      ...(typeof engine === 'string' ? [] : [`the engine and ${counted(engine.containers, 'container')}`]),
    ].join(', '),
    remedy: 'Take back what is not needed; for what is, write an ignore entry with a last day and a reason.',
    summarize: (kept) => {
      const rows = [
        ...scanned.map(({ path, what }) => [path, what]),
        ...(typeof engine === 'string' ? [] : [[engine.target.name, engine.version]]),
      ];
      summary.table(
        ['What', 'Findings', 'New', 'Read as'],
        rows.map(([name = '', what = '']) => [
          ...targetCells(
            name,
            kept.filter(({ target }) => target.name === name),
          ),
          what,
        ]),
      );
      summary.list([
        `Rules: our own${options.trivy === undefined ? '; no Trivy was asked' : ", and Trivy's configuration scan"}.`,
        `Engine: ${escapeMarkdown(seen)}.`,
      ]);
      if (passed.length > 0)
        summary.details('Not scanned', passed.map(({ path, why }) => `${path}: ${why}`).join('\n'));
    },
  });
  return { ...outcome, outputs, report: { verdict, scanned, passed, engine: seen, findings } };
}
