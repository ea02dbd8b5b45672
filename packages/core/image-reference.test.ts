import { describe, expect, it } from 'vitest';
import { canonicalImage, imageReference, parseImageReference, versionOfImage } from './image-reference.ts';

const digest = `sha256:${'a1'.repeat(32)}`;

describe('an image reference', () => {
  it.each([
    ['nginx', { registry: 'docker.io', path: 'library/nginx', tag: null, digest: null }],
    ['docker.io/nginx:1.27', { registry: 'docker.io', path: 'library/nginx', tag: '1.27', digest: null }],
    ['acme/app', { registry: 'docker.io', path: 'acme/app', tag: null, digest: null }],
    ['registry:5000/app', { registry: 'registry:5000', path: 'app', tag: null, digest: null }],
    [
      'registry:5000/team/app:5000',
      { registry: 'registry:5000', path: 'team/app', tag: '5000', digest: null },
    ],
    ['localhost/app:1', { registry: 'localhost', path: 'app', tag: '1', digest: null }],
    ['[::1]:5000/app:1', { registry: '[::1]:5000', path: 'app', tag: '1', digest: null }],
    [`ghcr.io/acme/app@${digest}`, { registry: 'ghcr.io', path: 'acme/app', tag: null, digest }],
    [`ghcr.io/acme/app:1@${digest}`, { registry: 'ghcr.io', path: 'acme/app', tag: '1', digest }],
  ])('%s is read in its parts', (text, parts) => {
    expect(parseImageReference(text)).toMatchObject(parts);
  });

  it.each([
    '',
    ':1',
    'app:',
    'App',
    'ACME/app',
    'acme/App',
    'acme//app',
    'https://ghcr.io/acme/app',
    'app@sha256:12',
    `app@${digest}@${digest}`,
    'app:tag with spaces',
    'ghcr.io/',
    '-app',
    'registry:port/app',
    'app:-1',
  ])('%j is none, and what is allowed is said', (text) => {
    expect(parseImageReference(text)).toBeUndefined();
    expect(() => imageReference(text)).toThrow(
      expect.objectContaining({
        reasonCode: 'invalid_input',
        remedy: expect.stringContaining('[registry[:port]/]'),
      }),
    );
  });

  it('is the same in every spelling, and a digest stands for itself', () => {
    for (const text of ['nginx', 'nginx:latest', 'docker.io/nginx', 'index.docker.io/library/nginx:latest']) {
      expect(canonicalImage(text)).toBe('docker.io/library/nginx:latest');
    }
    expect(canonicalImage(`app:1@${digest}`)).toBe(canonicalImage(`app:2@${digest}`));
    expect(canonicalImage('registry:5000/app:1')).not.toBe(canonicalImage('registry:5001/app:1'));
  });

  it('has a short version', () => {
    expect(versionOfImage('app:1.4.2')).toBe('1.4.2');
    expect(versionOfImage(`app@${digest}`)).toBe('a1a1a1a1a1a1');
    expect(versionOfImage(`app:1.4.2@${digest}`)).toBe('1.4.2');
  });
});
