import { describe, expect, it } from 'vitest';
import { parseScanTarget, withoutBaseline } from './targets.ts';

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
    ['fs:/runner/work/helpdesk', ''],
    ['fs:/runner/work/helpdesk/customer-portal', 'customer-portal'],
  ])('%s has its files below %j of the workspace', (text, prefix) => {
    const what = prefix === '' ? '.' : prefix;
    const target = parseScanTarget(text, '/runner/work/helpdesk');
    expect(target).toMatchObject({ target: null, prefix });
    if (text.includes(':/')) expect(target).toMatchObject({ what });
  });

  it.each([
    ['repo:https://github.com/acme/helpdesk', 'https://github.com/acme/helpdesk'],
    ['repo:https://x:y@github.com/acme/helpdesk', 'https://github.com/acme/helpdesk'],
    ['fs:/opt/tools', '/opt/tools'],
    ['config:../elsewhere', '../elsewhere'],
  ])('%s is no folder of the repository, whatever its files are named', (text, name) => {
    expect(parseScanTarget(text, '/runner/work/helpdesk')).toMatchObject({
      target: { kind: 'files', name },
      prefix: '',
    });
  });

  it.each(['', 'ghcr.io/acme/backend:1', 'image:', 'dir:.', 'image:--server=x', 'fs:-'])(
    '%j is refused',
    (text) => {
      expect(parseScanTarget(text)).toBeTypeOf('string');
    },
  );
});

it.each([
  ['fs:.', 'fs:.base', ['.base']],
  ['fs:app', 'fs:app/old/base', ['old/base']],
  ['config:./k8s/', 'config:k8s/base', ['base']],
  ['fs:app', 'fs:base', undefined],
  ['fs:.', 'fs:.', undefined],
  ['fs:.', undefined, undefined],
  ['image:a:2', 'image:a:1', undefined],
  ['repo:https://github.com/acme/helpdesk', 'repo:.base', undefined],
])('%s compared with %s is scanned without %j', (text, against, without) => {
  const target = (said: string) => {
    const parsed = parseScanTarget(said);
    if (typeof parsed === 'string') throw new Error(parsed);
    return parsed;
  };
  expect(withoutBaseline(target(text), against === undefined ? undefined : target(against)).without).toEqual(
    without,
  );
});
