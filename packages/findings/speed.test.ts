import { expect, it } from 'vitest';
import { annotate, annotationCommands } from './annotations.ts';
import { writeComment } from './comment.ts';
import { compare, identify } from './fingerprint.ts';
import { defaultLimits, gate } from './gate.ts';
import { writeSarif } from './sarif.ts';
import { many } from './testdata/samples.ts';

it('gates, cuts and writes 10,000 findings in under a second', () => {
  const drafts = many(10_000);
  const before = new Set(drafts.slice(0, 5_000).map(({ fingerprint }) => fingerprint));
  const cpu = process.cpuUsage();
  const start = performance.now();
  const findings = compare(identify(drafts), before);
  const verdict = gate(findings, defaultLimits, { onlyNew: true });
  const judged = performance.now();
  const sarif = writeSarif({
    tool: { name: 'Trivy', version: null, link: null },
    category: 'trivy-scan/all',
    findings,
  });
  const written = performance.now();
  const comment = writeComment(findings, {
    purpose: 'trivy-scan',
    title: 'Image scan',
    message: verdict.message,
  });
  const annotations = annotate(findings);
  const commands = annotationCommands(findings);
  const end = performance.now();
  const { user, system } = process.cpuUsage(cpu);

  const ms = (from: number, to: number) => `${Math.round(to - from)} ms`;
  console.log(
    `10,000 findings in ${ms(start, end)}, ${Math.round((user + system) / 1_000)} ms of a processor: identified and gated ${ms(start, judged)}, SARIF ${ms(judged, written)} ` +
      `(${sarif.text.length} characters, ${sarif.gzip.length} bytes of gzip), comment and annotations ${ms(written, end)}`,
  );
  expect(verdict.passed).toBe(false);
  expect([sarif.cut.count, annotations.items.length, commands.items.length]).toEqual([5_000, 10, 30]);
  expect(comment.cut.count).toBeGreaterThan(9_000);
  // Nothing here waits, so processor time is what it takes where no other test runs beside it.
  expect((user + system) / 1_000).toBeLessThan(1_000);
});
