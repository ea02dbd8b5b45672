// Findings as scanners and linters make them, plain and hostile, and what becomes of them at GitHub.

import {
  commentMarker,
  defaultLimits,
  type Draft,
  type Finding,
  gate,
  identify,
  type Severity,
  writeComment,
} from '@deploy-actions/findings';
import { createReports } from '@deploy-actions/github';
import { startBench } from '../../packages/github/test-support.ts';
import { draft, hostile } from '../../packages/findings/testdata/samples.ts';

const packages = [
  ['@babel/traverse', '7.22.8', '7.23.2'],
  ['django', '4.2.3', '4.2.4, 3.2.20'],
  ['openssl', '3.0.9-r1', null],
  ['github.com/golang/protobuf', 'v1.5.0', 'v1.5.3'],
] as const;
const severities: Severity[] = ['critical', 'high', 'high', 'medium', 'low', 'unknown'];

/** Of packages of an image, a lock file, a Dockerfile and a migration, by turns. */
function plain(index: number): Draft {
  const severity = severities[index % severities.length] ?? 'low';
  if (index % 4 === 3) {
    return draft({
      severity,
      rule: {
        id: 'drop-column',
        title: 'A column is dropped while the old version reads it',
        help: 'Drop it one release later.',
        link: null,
        tags: [],
      },
      message: `Column legacy_status_${index} of tickets_ticket is dropped, and the version that serves reads it.`,
      target: {
        kind: 'database',
        name: `tickets.${String(index).padStart(4, '0')}_drop_legacy_status`,
        version: null,
      },
      subject: null,
      location: {
        file: `backend/apps/tickets/migrations/${String(index).padStart(4, '0')}_drop_legacy_status.py`,
        startLine: 12,
        endLine: 12,
      },
    });
  }
  const [name, version, fixedVersion] = packages[index % packages.length] ?? packages[0];
  return draft({
    severity,
    rule: {
      ...draft().rule,
      id: `CVE-2023-${45_133 + index}`,
      link: `https://avd.aquasec.com/nvd/cve-2023-${45_133 + index}`,
    },
    message: `${name} ${version} runs code that is crafted to be compiled.`,
    target:
      index % 2 === 0
        ? {
            kind: 'image',
            name: 'ghcr.io/acme/helpdesk-backend',
            version: `sha256:${'0123456789abcdef'.repeat(4)}`,
          }
        : { kind: 'lock-file', name: 'frontend/package-lock.json', version: null },
    subject: { name, version, fixedVersion, path: null },
    location:
      index % 2 === 0
        ? null
        : { file: 'frontend/package-lock.json', startLine: 100 + index, endLine: 100 + index },
    context: `${name} ${index}`,
  });
}

export function findings(count: number): Finding[] {
  return identify(Array.from({ length: count }, (_, index) => plain(index))).map((finding, index) => ({
    ...finding,
    known: index % 3 !== 0,
  }));
}

/** Texts that are long, that are markup, or that are written in another direction. */
export function hostileFindings(): Finding[] {
  const texts = [
    'x'.repeat(280),
    `@acme/${'very-long-package-name-'.repeat(6)}core`,
    `usr/local/lib/python3.13/site-packages/${'deeply_nested_module/'.repeat(9)}__init__.py`,
    '漢字仮名交じり文の長い説明がここに入ります。'.repeat(8),
    'النص العربي من اليمين إلى اليسار \u202e and back',
    '😀👩‍👩‍👧‍👦🏳️‍🌈'.repeat(12),
    '| a | b |\n| --- | --- |\n```mermaid\nflowchart LR\n a --> b\n```',
    '<img src=x onerror=alert(1)></details><style>* { display: none }</style><script>document.body.remove()</script>',
    '@acme/team #12 GH-12 https://evil.example/x www.evil.example **b** ~~s~~ `c` [a](javascript:alert(1))',
    hostile.join(''),
    hostile.join(' '),
  ];
  return identify(
    texts.flatMap((text, index) => [
      draft({
        severity: severities[index % severities.length] ?? 'low',
        rule: { ...draft().rule, id: `R-${text.slice(0, 90)}`, title: text },
        message: text,
        subject: { name: text, version: text.slice(0, 60), fixedVersion: text.slice(0, 60), path: text },
        target: { kind: 'files', name: text, version: text.slice(0, 40) },
      }),
      draft({
        message: 'A plain message.',
        location: { file: text, startLine: 7, endLine: 7 },
        context: text,
      }),
    ]),
  );
}

const title = 'Dependencies and images';
const purpose = 'findings';

export function commentOn(found: Finding[]): string {
  return writeComment(found, { purpose, title, message: gate(found, defaultLimits).message }).body;
}

/** The comment and the summary of the check as GitHub has them in the end: through the client, to the double. */
export async function reported(found: Finding[]): Promise<{ comment: string; check: string }> {
  const bench = await startBench();
  try {
    const pull = bench.double.openPull();
    const body = commentOn(found);
    const reports = createReports({
      github: bench.connect(),
      log: bench.log.log,
      readOnly: undefined,
      instead: { summary: () => {}, annotate: () => {} },
      redact: (text) => text,
    });
    await reports.comment({ pullRequest: pull.number, marker: commentMarker(purpose), body });
    const { passed, message } = gate(found, defaultLimits);
    const [name, conclusion] = ['findings', passed ? 'success' : 'failure'] as const;
    const sha = pull.head;
    await reports.check({
      name,
      sha,
      key: '1/1/findings',
      conclusion,
      title: message.slice(0, 255),
      summary: body,
      annotations: [],
    });
    const comment = bench.double.repository.comments[0]?.body;
    const check = bench.double.repository.checkRuns[0]?.output.summary;
    if (comment === undefined || typeof check !== 'string')
      throw new Error(`nothing was reported:\n${bench.log.lines.join('\n')}`);
    return { comment, check };
  } finally {
    await bench.stop();
  }
}
