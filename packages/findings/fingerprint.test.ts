import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compare, identify } from './fingerprint.ts';
import type { Draft } from './model.ts';
import { anyDraft, draft } from './testdata/samples.ts';

const only = (parts: Partial<Draft>) => identify([draft(parts)])[0]!.fingerprint;
const base = draft();
const lint = draft({
  rule: { ...base.rule, id: 'drop-column' },
  target: { kind: 'database', name: 'shop.0042_drop_email', version: null },
  subject: null,
  location: { file: 'shop/migrations/0042_drop_email.py', startLine: 14, endLine: 16 },
  context: 'ALTER TABLE customer\n    DROP COLUMN email;',
});

describe('a fingerprint', () => {
  it('survives lines that are added above', () => {
    fc.assert(
      fc.property(fc.array(anyDraft, { maxLength: 8 }), fc.integer({ min: 1, max: 1_000 }), (drafts, by) => {
        const lined = drafts.map((each, index) =>
          each.location === null ? each : { ...each, location: { ...each.location, startLine: index } },
        );
        const shifted = lined.map((each) =>
          each.location === null
            ? each
            : { ...each, location: { ...each.location, startLine: (each.location.startLine ?? 0) + by } },
        );
        expect(identify(shifted).map(({ fingerprint }) => fingerprint)).toEqual(
          identify(lined).map(({ fingerprint }) => fingerprint),
        );
      }),
    );
  });

  it.each<[string, Partial<Draft>]>([
    ['another version of the target', { target: { ...base.target, version: `sha256:${'0'.repeat(64)}` } }],
    ['an upgrade that does not mend it', { subject: { ...base.subject!, version: '1.1.1c-r1' } }],
    ['a new fix', { subject: { ...base.subject!, fixedVersion: '1.1.1e-r0' } }],
    ['another rating', { severity: 'critical' }],
    ['another wording', { message: 'x', rule: { ...base.rule, title: 'x', help: 'x', link: null } }],
  ])('survives %s', (_what, parts) => {
    expect(only(parts)).toBe(only({}));
  });

  it.each([
    ['0.7', 'usr/lib/python3.12/site-packages/jwcrypto-0.7.dist-info/METADATA'],
    ['0.8', 'usr/lib/python3.13/site-packages/jwcrypto-0.8.dist-info/METADATA'],
  ])('survives an upgrade to %s, which is in the path of the package', (version, path) => {
    const at = (own: string, place: string) =>
      only({ subject: { name: 'jwcrypto', version: own, fixedVersion: null, path: place } });
    expect(at(version, path)).toBe(
      at('0.6', 'usr/lib/python3.11/site-packages/jwcrypto-0.6.dist-info/METADATA'),
    );
    expect(at(version, path)).not.toBe(at(version, `opt/${path}`));
  });

  it.each<[string, Partial<Draft>]>([
    ['rule', { rule: { ...base.rule, id: 'CVE-2019-1551' } }],
    ['kind of target', { target: { ...base.target, kind: 'files' } }],
    ['target', { target: { ...base.target, name: 'ghcr.io/acme/portal' } }],
    ['subject', { subject: { ...base.subject!, name: 'libcrypto1.1' } }],
    ['path in the target', { subject: { ...base.subject!, path: 'usr/lib/app.jar' } }],
    ['file', { location: { file: 'uv.lock', startLine: null, endLine: null } }],
    ['context', { context: 'FROM alpine' }],
  ])('differs by %s', (_what, parts) => {
    expect(only(parts)).not.toBe(only({}));
  });

  it('takes a change of white space for none, and any other for one', () => {
    const spaced = { ...lint, context: 'ALTER TABLE customer\r\n\tDROP  COLUMN email;\n' };
    const other = { ...lint, context: 'ALTER TABLE customer DROP COLUMN phone;' };
    expect(only(spaced)).toBe(only(lint));
    expect(only(other)).not.toBe(only(lint));
  });

  it('does not run its parts together', () => {
    const parts = (name: string, path: string) => only({ subject: { ...base.subject!, name, path } });
    expect(parts('a","b', 'c')).not.toBe(parts('a', 'b","c'));
    expect(parts('ab', 'c')).not.toBe(parts('a', 'bc'));
  });

  it('is its own for each of a list, whatever its order', () => {
    fc.assert(
      fc.property(fc.array(anyDraft, { maxLength: 8 }), (drafts) => {
        const twice = [...drafts, ...drafts];
        const prints = identify(twice).map(({ fingerprint }) => fingerprint);
        expect(new Set(prints).size).toBe(twice.length);
        const turned = identify(twice.toReversed()).map(({ fingerprint }) => fingerprint);
        expect(turned.toSorted()).toEqual(prints.toSorted());
      }),
    );
  });

  it('makes a second copy of a known problem new, wherever it is put', () => {
    const before = new Set(identify([lint]).map(({ fingerprint }) => fingerprint));
    const copy = { ...lint, location: { ...lint.location!, startLine: 3, endLine: 3 } };
    const found = compare(identify([lint, copy]), before);
    expect(found.filter(({ known }) => known === true)).toHaveLength(1);
  });

  it('is the same in every release: a change of it would make every known finding new', () => {
    expect(only({})).toBe('ea5beca77ff0b9606a3c5e3b1ab2c794:1');
  });
});
