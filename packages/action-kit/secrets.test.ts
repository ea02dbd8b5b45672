import { describe, expect, it } from 'vitest';
import { createSecrets } from './secrets.ts';

describe('secrets', () => {
  it('are told once, whole and line by line', () => {
    const told: string[] = [];
    const { mask } = createSecrets((secret) => told.push(secret));
    mask('first\n  second\n\n');
    mask('first');
    expect(told).toEqual(['first\n  second\n\n', 'first', '  second', 'second']);
  });

  it('are taken out of texts, the longest first', () => {
    const { mask, redact } = createSecrets(() => {});
    mask('abc');
    mask('abcdef');
    expect(redact('abcdef abc ab')).toBe('*** *** ab');
    expect(redact('nothing')).toBe('nothing');
  });

  it('that are empty are none', () => {
    const { mask, redact } = createSecrets(() => {});
    mask(' ');
    mask('');
    expect(redact('a b')).toBe('a b');
  });
});
