import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Context, InputValues, Outcome } from '@deploy-actions/action-kit';
import { DeployError } from '@deploy-actions/core';
import {
  type Cause,
  causesMarkdown,
  collect,
  createRedactor,
  diagnose,
  type Facts,
  gapsMarkdown,
  isPodReady,
  logFileName,
  renderReport,
  type Subject,
} from '@deploy-actions/diagnosis';
import { execInPod } from '@deploy-actions/kubernetes';
import { connectKubernetes, workloadOf } from '@deploy-actions/targets';
import type { definition } from './definition.ts';

type Inputs = InputValues<(typeof definition)['inputs']>;
type Outputs = (typeof definition)['outputs'];

function subjectOf({ service, workload, selector }: Inputs): Subject {
  if (workload !== undefined) return { workload: workloadOf(workload) };
  if (selector !== undefined) return { selector };
  return { service: service?.[0] ?? '' };
}

/** Writes report, facts and logs; answers the folder. */
async function writeFolder(facts: Facts, causes: Cause[], markdown: string, folder: string): Promise<void> {
  await mkdir(join(folder, 'logs'), { recursive: true });
  await writeFile(join(folder, 'diagnosis.md'), markdown);
  await writeFile(join(folder, 'diagnosis.json'), `${JSON.stringify({ causes, ...facts }, null, 2)}\n`);
  for (const log of facts.logs) {
    await writeFile(join(folder, 'logs', logFileName(log)), `${log.lines.join('\n')}\n`);
  }
}

export async function run(inputs: Inputs, context: Context): Promise<Outcome<Outputs>> {
  const { log, signal, summary } = context;
  const client = await connectKubernetes(inputs, context);
  try {
    const redactor = createRedactor();
    const url = inputs['database-url'];
    const onSecret = (value: string) => {
      redactor.know(value);
      // A short one is in every line of a log.
      if (value.trim().length >= 6) context.mask(value);
    };
    if (url !== undefined) onSecret(url);
    const facts = await collect({
      client,
      subject: subjectOf(inputs),
      lines: inputs.lines,
      redactor,
      onSecret,
      exec: inputs.exec ? (options) => execInPod(client.connection, options) : '`exec` is false',
      metricsPath: inputs['metrics-path'],
      database: url === undefined ? null : { url, environment: context.environment },
      log,
      signal,
    });
    if (
      facts.pods.length === 0 &&
      facts.workloads.length === 0 &&
      facts.gaps.every(({ what }) => what !== 'pods')
    ) {
      throw new DeployError(
        'not_found',
        `There are no ${facts.subject} in namespace ${facts.namespace}, and nothing that makes any.`,
        {
          remedy: 'Correct `selector` or `namespace`.',
        },
      );
    }
    const causes = diagnose(facts);
    const markdown = redactor.text(renderReport(facts, causes));
    const folder = join(context.facts.temp, 'deploy-actions', `diagnosis-${process.pid}-${Date.now()}`);
    await writeFolder(facts, causes, markdown, folder);
    summary.heading('Probable causes', 3);
    summary.paragraph(redactor.text(causesMarkdown(causes)));
    if (facts.gaps.length > 0) {
      summary.heading('Not looked at', 3);
      summary.paragraph(gapsMarkdown(facts));
    }
    for (const [index, cause] of causes.entries()) {
      log.info(`${index + 1}. ${cause.title}`);
      for (const line of cause.evidence) log.info(`   ${line}`);
      log.info(`   Next: ${cause.next}`);
    }
    for (const { what, why } of facts.gaps) log.info(`Not looked at: ${what}: ${why}`);
    const [first] = causes;
    const ready = `${facts.pods.filter(isPodReady).length} of ${facts.pods.length} pods are ready`;
    const without = facts.gaps.length === 0 ? '' : ` ${facts.gaps.length} things could not be looked at.`;
    return {
      result: 'succeeded',
      reasonCode: 'ok',
      message: `${facts.subject} in namespace ${facts.namespace}: ${ready}. ${first?.title ?? 'Nothing was seen to be wrong.'}${without}`,
      remedy: first?.next,
      outputs: {
        causes: JSON.stringify(causes),
        cause: first?.rule ?? '',
        markdown: join(folder, 'diagnosis.md'),
        folder,
        gaps: JSON.stringify(facts.gaps),
      },
      report: { subject: facts.subject, namespace: facts.namespace, causes, gaps: facts.gaps },
    };
  } finally {
    client.close();
  }
}
