import { digestOf } from '@deploy-actions/core';
import type { Draft, Finding, Subject } from './model.ts';
import { byText } from './order.ts';

/**
 * Gives each finding its identity: a hash of rule, target, subject, file and context, and which one it is of those that
 * are alike, as in `4f1c…:2`. Neither line numbers nor versions are part of it, so that it is the same finding after
 * lines were added above it and after an upgrade that does not mend it. Like ones are numbered from the top of the
 * file: a second copy of a known problem is a new finding. Keeps the order.
 */
export function identify<D extends Draft>(drafts: readonly D[]): (D & Finding)[] {
  const alike = new Map<string, { draft: D; index: number }[]>();
  for (const [index, draft] of drafts.entries()) {
    const hash = hashOf(draft);
    const group = alike.get(hash);
    if (group === undefined) alike.set(hash, [{ draft, index }]);
    else group.push({ draft, index });
  }
  const findings: (D & Finding)[] = [];
  for (const [hash, group] of alike) {
    group.sort((a, b) => byPlace(a.draft, b.draft));
    for (const [position, { draft, index }] of group.entries()) {
      findings[index] = { ...draft, fingerprint: `${hash}:${position + 1}`, known: null };
    }
  }
  return findings;
}

/** Says of each finding whether it was there before. `before`: the fingerprints of what was found then. */
export function compare<F extends Finding>(findings: readonly F[], before: ReadonlySet<string>): F[] {
  return findings.map((finding) => ({ ...finding, known: before.has(finding.fingerprint) }));
}

function hashOf({ rule, target, subject, location, context }: Draft): string {
  const identity = [
    rule.id,
    target.kind,
    target.name,
    subject?.name ?? null,
    subject === null ? null : withoutVersions(subject),
    location?.file ?? null,
    context === null ? null : normalise(context),
  ];
  return digestOf(identity).slice('sha256:'.length, 'sha256:'.length + 32);
}

/** Folders of packages are often named with their version, and those of Python's with the version of Python. */
function withoutVersions({ path, version }: Subject): string | null {
  if (path === null) return null;
  const literal = RegExp.escape(version ?? '');
  const plain = literal === '' ? path : path.replace(new RegExp(`(?<![\\d.])${literal}(?!\\d)`, 'g'), '');
  return plain.replace(/\bpython3\.\d+\//g, 'python3/');
}

/** A change of indentation, of line ends or of Unicode form is no change. */
function normalise(text: string): string {
  return text.normalize('NFC').replace(/\s+/g, ' ').trim();
}

function byPlace(a: Draft, b: Draft): number {
  return (
    (a.location?.startLine ?? 0) - (b.location?.startLine ?? 0) ||
    byText(a.subject?.version ?? '', b.subject?.version ?? '') ||
    byText(a.message, b.message)
  );
}
