import { describe, expect, it } from 'vitest';
import { allowances, bakeDefinition, type BuildRun, inputsLabel } from './bake-definition.ts';
import { specWith } from './build-spec.fixture.ts';
import type { BuildSpec } from './build-spec.ts';

const spec = (own: Partial<BuildSpec> = {}): BuildSpec =>
  specWith({
    name: 'frontend',
    repository: 'ghcr.io/acme/frontend',
    context: 'customer-portal',
    dockerfile: 'Dockerfile.frontend',
    ...own,
  });
const run = (own: Partial<BuildRun> = {}): BuildRun => ({
  tag: 'candidate-1',
  output: 'push',
  version: '1.4.2',
  environment: 'production',
  source: 'https://github.com/acme/helpdesk',
  revision: '4f9c1e7',
  epoch: 1_700_000_000,
  provenance: 'none',
  insecure: [],
  cacheDirectory: '/cache',
  cacheMode: 'max',
  cachePart: '',
  hashes: new Map([['frontend', 'sha256:1']]),
  pulls: new Set(),
  workspace: '/w',
  home: '/h',
  rewriteTimestamps: true,
  weighsSteps: true,
  ...own,
});
const targetOf = (own: Partial<BuildSpec> = {}, ownRun: Partial<BuildRun> = {}) =>
  bakeDefinition([spec(own)], run(ownRun)).target['frontend'];

describe('a definition for bake', () => {
  it('says version, environment, labels and the time of the commit', () => {
    expect(bakeDefinition([spec()], run())).toEqual({
      group: { default: { targets: ['frontend'] } },
      target: {
        frontend: {
          context: 'customer-portal',
          dockerfile: '../Dockerfile.frontend',
          args: { VERSION: '1.4.2', ENVIRONMENT: 'production', SOURCE_DATE_EPOCH: '1700000000' },
          labels: {
            'org.opencontainers.image.title': 'frontend',
            'org.opencontainers.image.version': '1.4.2',
            'org.opencontainers.image.revision': '4f9c1e7',
            'org.opencontainers.image.source': 'https://github.com/acme/helpdesk',
            'org.opencontainers.image.created': '2023-11-14T22:13:20Z',
            [inputsLabel]: 'sha256:1',
          },
          tags: ['ghcr.io/acme/frontend:candidate-1'],
          attest: ['type=provenance,disabled=true'],
          output: ['type=registry,rewrite-timestamp=true'],
        },
      },
    });
  });

  it('leaves out what is not known', () => {
    const target = targetOf({}, { environment: undefined, epoch: null, source: '', hashes: new Map() });
    expect(target?.args).toEqual({ VERSION: '1.4.2' });
    expect(Object.keys(target?.labels ?? {})).not.toContain('org.opencontainers.image.created');
    expect(target?.output).toEqual(['type=registry']);
  });

  it("leaves an image's own argument as it is, whatever the run calls so", () => {
    expect(targetOf({ args: { VERSION: '3.13', ENVIRONMENT: 'ci' } })?.args).toEqual({
      VERSION: '3.13',
      ENVIRONMENT: 'ci',
      SOURCE_DATE_EPOCH: '1700000000',
    });
  });

  it('has bake fill in nothing of what users wrote', () => {
    const target = targetOf({ args: { A: '${HOME} %{if x} $1' }, labels: { l: '${b}' } });
    expect(target?.args['A']).toBe('$${HOME} %%{if x} $1');
    expect(target?.labels['l']).toBe('$${b}');
  });

  it('has files of secrets, and no secret', () => {
    const secrets = { pip: '~/.config/pip.conf', ca: 'certs/ca.pem', key: '/run/key' };
    expect(targetOf({ secrets })?.secret).toEqual([
      'id=pip,src=/h/.config/pip.conf',
      'id=ca,src=/w/certs/ca.pem',
      'id=key,src=/run/key',
    ]);
    expect(allowances([spec({ secrets, hostNetwork: true })], run())).toEqual([
      'network.host',
      'fs.read=/h/.config/pip.conf',
      'fs.read=/w/certs/ca.pem',
      'fs.read=/run/key',
    ]);
  });

  it('has the bases asked for at their registries that are named by tag', () => {
    expect(targetOf({}, { pulls: new Set(['frontend']) })?.pull).toBe(true);
    expect(targetOf({}, { pulls: new Set(['other']) })).not.toHaveProperty('pull');
  });

  it('gives the steps of an image the weight that it says, where the builder can', () => {
    expect(targetOf({ cpuShares: 4096 })?.resources).toEqual({ 'cpu-shares': 4096 });
    expect(targetOf({ cpuShares: 4096 }, { weighsSteps: false })).not.toHaveProperty('resources');
    expect(targetOf()).not.toHaveProperty('resources');
  });

  it('gives every image a cache of its own', () => {
    const places = (cache: BuildSpec['cache'], ownRun: Partial<BuildRun> = {}) =>
      ['a', 'b'].map((name) => {
        const images = [spec({ name, cache, repository: `r/${name}` })];
        return bakeDefinition(images, run(ownRun)).target[name]?.['cache-to']?.[0];
      });
    expect(places('gha')).toEqual([
      'type=gha,scope=a,mode=max,ignore-error=true',
      'type=gha,scope=b,mode=max,ignore-error=true',
    ]);
    expect(places('registry')[1]).toContain('ref=r/b:buildcache,mode=max');
    expect(places('registry', { output: 'load' })).toEqual([undefined, undefined]);
    expect(places('local', { cacheMode: 'min' })[0]).toBe('type=local,dest=/cache/a,mode=min');
    expect(places('gha', { cachePart: '-linux-arm64' })[0]).toContain('scope=a-linux-arm64,');
    expect(places('none')).toEqual([undefined, undefined]);
    expect(allowances([spec({ cache: 'local' })], run())).toEqual(['fs=/cache']);
  });

  it('speaks plain HTTP to the registries that were named for it', () => {
    const target = (repository: string) =>
      targetOf({ repository, cache: 'registry' }, { insecure: ['registry.internal:5000'] });
    expect(target('registry.internal:5000/a')).toMatchObject({
      output: ['type=registry,registry.insecure=true,rewrite-timestamp=true'],
      'cache-from': ['type=registry,ref=registry.internal:5000/a:buildcache,registry.insecure=true'],
      'cache-to': [
        expect.stringContaining('ref=registry.internal:5000/a:buildcache,registry.insecure=true,mode=max'),
      ],
    });
    expect(JSON.stringify(target('registry.internal/a'))).not.toContain('insecure');
  });

  it('builds platforms, stages and provenance as asked, and puts the image where it should', () => {
    const target = targetOf(
      { platforms: ['linux/amd64', 'linux/arm64'], target: 'final', hostNetwork: true },
      { provenance: 'max' },
    );
    expect(target).toMatchObject({
      platforms: ['linux/amd64', 'linux/arm64'],
      target: 'final',
      network: 'host',
      attest: ['type=provenance,mode=max'],
    });
    expect(targetOf({}, { output: 'load' })?.output).toEqual(['type=docker']);
    expect(targetOf({}, { output: 'none' })?.output).toEqual(['type=cacheonly']);
  });
});
