import { printable } from '@deploy-actions/core';
import fc from 'fast-check';
import { identify } from '../fingerprint.ts';
import { severities, type Draft, type Finding } from '../model.ts';

/** A finding of a package in an image; every part can be replaced. */
export function draft(parts: Partial<Draft> = {}): Draft {
  return {
    rule: {
      id: 'CVE-2019-1549',
      title: 'openssl: information disclosure in fork()',
      help: 'Upgrade libssl1.1.',
      link: 'https://avd.aquasec.com/nvd/cve-2019-1549',
      tags: ['security', 'vulnerability'],
    },
    severity: 'medium',
    message: 'libssl1.1 1.1.1c-r0 discloses information after fork().',
    target: { kind: 'image', name: 'ghcr.io/acme/backend', version: '1.4.2' },
    subject: { name: 'libssl1.1', version: '1.1.1c-r0', fixedVersion: '1.1.1d-r0', path: null },
    location: null,
    context: null,
    ...parts,
  };
}

/** As many findings as asked of each severity, one after another, of 20 rules each. */
export function some(counts: Partial<Record<Finding['severity'], number>>): Finding[] {
  return identify(
    severities.flatMap((severity) =>
      Array.from({ length: counts[severity] ?? 0 }, (_, index) =>
        draft({ severity, rule: { ...draft().rule, id: `${severity}-${index % 20}` } }),
      ),
    ),
  );
}

/** 10,000 findings over 20 images and 50 lock files, of 2,000 rules, with help texts as long as those of advisories. */
export function many(count = 10_000): Finding[] {
  return identify(
    Array.from({ length: count }, (_, index) => {
      const rule = index % 2_000;
      return draft({
        rule: {
          id: `CVE-2024-${10_000 + rule}`,
          title: `package-${rule}: improper validation of input number ${rule}`,
          help: `Package ${rule} does not check what it is given. `.repeat(12),
          link: `https://avd.aquasec.com/nvd/cve-2024-${10_000 + rule}`,
          tags: ['security', 'vulnerability'],
        },
        severity: severities[(index * 7) % severities.length]!,
        message: `package-${rule} 1.${index % 40}.0 is vulnerable; 1.${(index % 40) + 1}.0 is not.`,
        target: { kind: 'image', name: `ghcr.io/acme/service-${index % 20}`, version: '1.4.2' },
        subject: {
          name: `@acme/package-${rule}`,
          version: `1.${index % 40}.0`,
          fixedVersion: null,
          path: null,
        },
        location:
          index % 2 === 0
            ? { file: `services/s${index % 50}/package-lock.json`, startLine: index, endLine: index }
            : null,
      });
    }),
  );
}

/** Pieces that markup, paths, commands and logs take for their own. */
export const hostile = [
  '|',
  '\\|',
  '`',
  '```',
  '\n',
  '\r',
  '\r\n',
  '-->',
  '<!--',
  '@acme/team',
  '#12',
  'GH-12',
  'https://evil.example/x',
  'www.evil.example',
  '[a](javascript:alert(1))',
  '![i](https://evil.example/p.png)',
  '<img src=x onerror=alert(1)>',
  '</details>',
  '<script>',
  '&lt;',
  '**b**',
  '~~s~~',
  '$x$',
  '%0A::error::',
  '::set-output name=a::b',
  '{0}',
  '\0',
  '\u001b[31m',
  '\u202e',
  '\ud800',
  '😀',
  'é',
  'a',
  ' ',
];

const text = fc.oneof(
  fc.string({ unit: fc.constantFrom(...hostile), maxLength: 12 }),
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc.constantFrom('', '/etc/passwd', '../x', 'a/../b', 'C:\\x', 'src/app.py', '..', 'x:y/z'),
);
const line = fc.option(fc.oneof(fc.integer({ min: -3, max: 500 }), fc.constantFrom(NaN, 2.5, Infinity)));

/** Findings whose every text may be hostile. */
export const anyDraft: fc.Arbitrary<Draft> = fc.record({
  rule: fc.record({
    id: text.filter((id) => printable(id).trim() !== ''),
    title: text,
    help: text,
    link: fc.option(
      fc.oneof(text, fc.constantFrom('https://example.org/a?b=c&d=(e)', 'javascript:alert(1)')),
    ),
    tags: fc.array(fc.oneof(text, fc.constant('security')), { maxLength: 15 }),
  }),
  severity: fc.constantFrom(...severities),
  message: text,
  target: fc.record({
    kind: fc.constantFrom('image', 'manifest', 'lock-file', 'dockerfile', 'database', 'files', 'host'),
    name: text,
    version: fc.option(text),
  }),
  subject: fc.option(
    fc.record({ name: text, version: fc.option(text), fixedVersion: fc.option(text), path: fc.option(text) }),
  ),
  location: fc.option(fc.record({ file: text, startLine: line, endLine: line })),
  context: fc.option(text),
});

export const anyFindings: fc.Arbitrary<Finding[]> = fc
  .tuple(fc.array(anyDraft, { maxLength: 12 }), fc.constantFrom(null, true, false))
  .map(([drafts, known]) => identify(drafts).map((finding) => ({ ...finding, known })));
