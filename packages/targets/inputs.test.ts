import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  checkAdopt,
  checkFollowers,
  checkKubernetesRelease,
  checkKubernetesTarget,
} from './kubernetes-inputs.ts';
import { checkLimits, checkLinuxHost, checkTarget, parsePortRange, targetInputs } from './inputs.ts';

const inputsOf = (problems: { input: string }[]) => problems.map(({ input }) => input);

describe('a target', () => {
  it('needs an address for the embedded proxy, and the upstream file for nginx', () => {
    expect(checkTarget({ router: 'embedded-proxy' })).toMatchObject([{ input: 'listen' }]);
    expect(checkTarget({ router: 'nginx' })).toMatchObject([{ input: 'nginx-upstream-file' }]);
    expect(checkTarget({ router: 'embedded-proxy', listen: '127.0.0.1:80' })).toEqual([]);
    expect(checkTarget({ router: 'nginx', 'nginx-upstream-file': '/etc/nginx/u.conf' })).toEqual([]);
    expect(checkTarget({})).toEqual([]);
  });

  it('has names that can be folders, and nothing else', () => {
    const { pattern } = targetInputs.app;
    for (const name of ['a', 'helpdesk', 'help-desk-2', 'a'.repeat(63)]) expect(name).toMatch(pattern);
    for (const name of ['', '.', '..', 'a/b', '-a', 'a-', 'A', 'a b', 'ü', 'a'.repeat(64), 'a\nb']) {
      expect(name).not.toMatch(pattern);
    }
  });

  it('listens at host and port', () => {
    const { pattern } = targetInputs.listen;
    for (const text of ['127.0.0.1:80', '[::1]:8080', 'localhost:1']) expect(text).toMatch(pattern);
    for (const text of ['80', ':80', '127.0.0.1', '::1:80', 'a b:80', '127.0.0.1:80x']) {
      expect(text).not.toMatch(pattern);
    }
  });
});

describe('what is released as one', () => {
  const kubernetes = { platform: 'kubernetes', router: 'service-selector' };

  it('has each Service once, and several with router service-selector alone', () => {
    expect(checkKubernetesTarget({ ...kubernetes, service: ['a', 'b'] })).toEqual([]);
    expect(checkKubernetesTarget({ ...kubernetes, service: ['a', 'a'] })).toMatchObject([
      { input: 'service' },
    ]);
    expect(
      inputsOf(checkKubernetesTarget({ ...kubernetes, router: 'replica-weight', service: ['a', 'b'] })),
    ).toEqual(['service']);
    expect(inputsOf(checkAdopt({ adopt: true, service: ['a', 'b'] }))).toEqual(['adopt']);
  });

  it('takes several images, but not for one container', () => {
    const image = ['a', 'b'].map((repository) => ({ repository, tag: '1', digest: undefined }));
    expect(checkKubernetesRelease({ platform: 'kubernetes', image })).toEqual([]);
    expect(inputsOf(checkKubernetesRelease({ platform: 'kubernetes', image, container: 'app' }))).toEqual([
      'container',
    ]);
  });

  it('has workers and schedulers where colours are switched, each once', () => {
    const followers = { workers: ['worker'], scheduler: ['beat'] };
    expect(checkFollowers({ ...kubernetes, ...followers })).toEqual([]);
    expect(inputsOf(checkFollowers({ ...followers, platform: 'linux-host' }))).toEqual([
      'workers',
      'scheduler',
    ]);
    expect(
      inputsOf(checkFollowers({ ...kubernetes, router: 'replica-weight', workers: ['worker'] })),
    ).toEqual(['workers']);
    expect(inputsOf(checkFollowers({ ...kubernetes, adopt: true, scheduler: ['beat'] }))).toEqual([
      'scheduler',
    ]);
    expect(inputsOf(checkFollowers({ ...kubernetes, workers: ['beat'], scheduler: ['beat'] }))).toEqual([
      'workers',
      'scheduler',
    ]);
  });
});

describe('the port range', () => {
  it('is two ports, the lower first', () => {
    expect(parsePortRange('8100-8199')).toEqual([8_100, 8_199]);
    expect(parsePortRange('1-65535')).toEqual([1, 65_535]);
    for (const text of ['', '8100', '8199-8100', '0-10', '1-65536', 'a-b', '8100-']) {
      expect(parsePortRange(text), text).toBeUndefined();
    }
  });

  it('is read back as it was written', () => {
    const port = fc.integer({ min: 1, max: 65_535 });
    fc.assert(
      fc.property(port, port, (a, b) => {
        const range = parsePortRange(`${a}-${b}`);
        if (a <= b) expect(range).toEqual([a, b]);
        else expect(range).toBeUndefined();
      }),
    );
  });

  it('has room for two versions', () => {
    expect(checkLinuxHost({ 'port-range': '8100-8101', instances: 1 })).toEqual([]);
    expect(checkLinuxHost({ 'port-range': '8100-8102', instances: 2 })).toMatchObject([
      { input: 'port-range', value: '8100-8102', message: expect.stringContaining('4') as string },
    ]);
    expect(inputsOf(checkLinuxHost({ 'port-range': '9-1' }))).toEqual(['port-range']);
    expect(checkLinuxHost({})).toEqual([]);
  });
});

describe('the limits', () => {
  it('are shares that can be kept and broken', () => {
    for (const value of [0, 100]) {
      expect(inputsOf(checkLimits({ 'max-error-rate': value }))).toEqual(['max-error-rate']);
    }
    for (const value of [0, 50, 100]) {
      expect(inputsOf(checkLimits({ confidence: value }))).toEqual(['confidence']);
    }
    expect(checkLimits({ 'max-error-rate': 5, confidence: 99 })).toEqual([]);
    expect(checkLimits({ 'max-error-rate': 0.01, confidence: 99.9 })).toEqual([]);
  });

  it('name the entry of the list that is no endpoint', () => {
    const urls = ['http://a/metrics', 'ftp://b', 'unix:/run/a.sock:/metrics', 'c'];
    expect(checkLimits({ 'metrics-url': urls })).toMatchObject([
      { input: 'metrics-url', value: 'ftp://b', message: expect.stringContaining('entry 2') as string },
      { input: 'metrics-url', value: 'c', message: expect.stringContaining('entry 4') as string },
    ]);
  });

  it('need a Prometheus server, and one way to show who asks', () => {
    const check = (inputs: Parameters<typeof checkLimits>[0]) =>
      inputsOf(checkLimits({ metrics: 'prometheus', ...inputs }));
    const server = { 'prometheus-url': new URL('https://prometheus.example.com/') };
    const basic = { 'prometheus-username': 'u', 'prometheus-password': 'p' };
    expect(check({})).toEqual(['prometheus-url']);
    expect(check(server)).toEqual([]);
    expect(check({ ...server, 'prometheus-token': 't' })).toEqual([]);
    expect(check({ ...server, ...basic })).toEqual([]);
    expect(check({ ...server, ...basic, 'prometheus-token': 't' })).toEqual(['prometheus-token']);
    expect(check({ ...server, 'prometheus-username': 'u' })).toEqual(['prometheus-password']);
    expect(check({ ...server, 'prometheus-password': 'p' })).toEqual(['prometheus-username']);
    expect(check({ 'prometheus-url': new URL('https://u:p@prometheus.example.com/') })).toEqual([
      'prometheus-url',
    ]);
    expect(checkLimits({ metrics: 'scrape' })).toEqual([]);
  });

  it('take two selectors, or from Prometheus two expressions', () => {
    const server = { 'prometheus-url': new URL('https://prometheus.example.com/') };
    const [expression, selector] = ['sum(increase(x[{window}]))', 'x{code="500"}'];
    const texts = (total: string, errors: string) => ({ 'requests-metric': total, 'errors-metric': errors });
    const prometheus = { metrics: 'prometheus', ...server } as const;
    expect(checkLimits({ ...prometheus, ...texts(expression, expression) })).toEqual([]);
    expect(inputsOf(checkLimits({ ...prometheus, ...texts(expression, selector) }))).toEqual([
      'errors-metric',
    ]);
    expect(inputsOf(checkLimits({ ...prometheus, ...texts(selector, expression) }))).toEqual([
      'requests-metric',
    ]);
    expect(inputsOf(checkLimits({ metrics: 'scrape', ...texts(expression, expression) }))).toEqual([
      'requests-metric',
    ]);
  });

  it('report all problems at once', () => {
    const problems = checkLimits({ 'max-error-rate': 0, confidence: 10, 'metrics-url': ['x'] });
    expect(inputsOf(problems)).toEqual(['max-error-rate', 'confidence', 'metrics-url']);
  });
});
