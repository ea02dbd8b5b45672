import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createRedactor, looksSecret, secretValuesOf, shownValue } from './redact.ts';

const random = (): string => `x${randomBytes(18).toString('base64url')}9Zq`;

describe('names', () => {
  it.each([
    'SECRET_KEY',
    'DB_PASSWORD',
    'apiKey',
    'AUTH_TOKEN',
    'SENTRY_DSN',
    'GITHUB_TOKEN',
    'django.secret',
    'PGPASSWORD',
    'AWS_ACCESS_KEY_ID',
  ])('%s looks secret', (name) => expect(looksSecret(name)).toBe(true));
  it.each(['DEBUG', 'MONKEY', 'AUTHOR', 'KEYBOARD', 'DATABASE_URL', 'PORT', 'TOKENIZER_PATH'])(
    '%s does not',
    (name) => expect(looksSecret(name)).toBe(false),
  );
});

describe('texts', () => {
  const redactor = createRedactor();
  it.each([
    [
      'a URL',
      (secret: string) => `connect postgresql://shop:${secret}@db:5432/shop`,
      'postgresql://***@db:5432/shop',
    ],
    ['an assignment', (secret: string) => `password=${secret} host=db`, 'host=db'],
    ['JSON', (secret: string) => `{"api_key": "${secret}", "a": 1}`, '"a": 1'],
    ['an option', (secret: string) => `run --token ${secret} --port 80`, '--port 80'],
    ['a header', (secret: string) => `Authorization: Bearer ${secret}`, 'Authorization'],
  ])('in %s a secret is taken out, and the rest stays', (_where, write, rest) => {
    const secret = random();
    const clean = redactor.text(write(secret));
    expect(clean).not.toContain(secret);
    expect(clean).toContain(rest);
  });

  it('tokens are known by their form', () => {
    const token = ['gh', 'p_', randomBytes(18).toString('hex')].join('');
    const jwt = [`eyJ${randomBytes(12).toString('hex')}`, randomBytes(20).toString('hex'), 'sig'].join('.');
    expect(redactor.text(`${token} ${jwt}`)).toBe('*** ***');
  });

  it('a private key is taken out with all its lines', () => {
    const body = randomBytes(60).toString('base64');
    const kind = 'PRIVATE KEY';
    expect(redactor.text(`a\n-----BEGIN ${kind}-----\n${body}\n-----END ${kind}-----\nb`)).toBe('a\n***\nb');
  });

  it('a word that nobody chose is taken out; names of pods, digests, UIDs and paths stay', () => {
    const kept = [
      'helpdesk-backend-7d9f8c6b5d-x2x9z',
      `sha256:${'0123456789abcdef'.repeat(4)}`,
      'c0ffee00-1234-4abc-8def-0123456789ab',
      '/usr/local/lib/python3.13/site-packages/django/core/handlers/base.py',
      'ImproperlyConfiguredException',
      'CreateContainerConfigError',
      'ConnectionRefusedErrorOnStartup',
    ].join(' ');
    expect(redactor.text(kept)).toBe(kept);
    for (let count = 0; count < 50; count += 1) {
      const secret = random();
      expect(redactor.text(`it was ${secret} indeed`)).toBe('it was *** indeed');
    }
  });

  it('a value that is known is taken out wherever it stands, encoded too', () => {
    const own = createRedactor();
    own.know('hunter2/ä');
    expect(own.text('it is hunter2/ä or hunter2%2F%C3%A4')).toBe('it is *** or ***');
  });
});

describe('environments', () => {
  const own = createRedactor();
  it('say where a value comes from, and do not show what looks secret', () => {
    expect(shownValue({ name: 'A', valueFrom: { secretKeyRef: { name: 'db', key: 'url' } } }, own)).toBe(
      'from Secret db, key url (not read)',
    );
    expect(shownValue({ name: 'A', valueFrom: { configMapKeyRef: { name: 'c', key: 'k' } } }, own)).toBe(
      'from ConfigMap c, key k (not read)',
    );
    expect(shownValue({ name: 'DB_PASSWORD', value: 'x' }, own)).toBe('***');
    expect(shownValue({ name: 'DATABASE_URL', value: 'postgres://a:b@db/x' }, own)).toBe(
      'postgres://***@db/x',
    );
    expect(shownValue({ name: 'DEBUG', value: 'False' }, own)).toBe('False');
  });

  it('tell what must not be seen in logs either', () => {
    expect(
      secretValuesOf([
        { name: 'API_KEY', value: 'abcdef' },
        { name: 'DATABASE_URL', value: 'postgres://a:p%40ss@db/x' },
      ]),
    ).toEqual(['abcdef', 'p%40ss', 'p@ss']);
  });
});
