import { describe, expect, it } from 'vitest';
import { parseScanTarget } from './targets.ts';

describe('a target', () => {
  it.each([
    ['image:ghcr.io/acme/backend:1.4.2', 'ghcr.io/acme/backend', '1.4.2'],
    ['image:registry.example:5000/backend', 'registry.example:5000/backend', null],
    ['image:registry.example:5000/backend:1', 'registry.example:5000/backend', '1'],
    [`image:acme/backend:1@sha256:${'a'.repeat(64)}`, 'acme/backend', `sha256:${'a'.repeat(64)}`],
    ['archive:out/backend.tar', 'backend.tar', null],
  ])('%s is an image with its version', (text, name, version) => {
    expect(parseScanTarget(text)).toMatchObject({ target: { kind: 'image', name, version } });
  });

  it.each([
    ['fs:.', ''],
    ['fs:./customer-portal/', 'customer-portal'],
    ['config:k8s', 'k8s'],
    ['repo:https://github.com/acme/helpdesk', ''],
  ])('%s has its files below %j', (text, prefix) => {
    expect(parseScanTarget(text)).toMatchObject({ target: null, prefix });
  });

  it.each(['', 'ghcr.io/acme/backend:1', 'image:', 'dir:.', 'image:--server=x', 'fs:-'])(
    '%j is refused',
    (text) => {
      expect(parseScanTarget(text)).toBeTypeOf('string');
    },
  );
});
