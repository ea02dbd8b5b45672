import { describe, expect, it } from 'vitest';
import { outsideSources } from './sources.ts';
import { argumentsIn, fillIn } from './variables.ts';

const of = (text: string, args: Record<string, string> = {}, target?: string) =>
  outsideSources(text, { args, target });
const imagesOf = (...given: Parameters<typeof of>) => of(...given)?.images.map(({ image }) => image);

describe('what a build reads from outside', () => {
  it('is its bases, with arguments filled in, but no stages and no scratch', () => {
    const text = `# syntax=docker/dockerfile:1
ARG PYTHON=3.11
ARG BASE=python:\${PYTHON}-slim
FROM \${BASE} AS Build
FROM scratch AS empty
FROM build
COPY --from=empty / /
`;
    expect(imagesOf(text)).toEqual(['docker/dockerfile:1', 'python:3.11-slim']);
    expect(imagesOf(text, { PYTHON: '3.12' })).toEqual(['docker/dockerfile:1', 'python:3.12-slim']);
  });

  it('is what files are taken from', () => {
    const text = `FROM first:1
FROM a:1
COPY --chown=1 --from=nginx:1.27 /etc/nginx /etc/nginx
RUN --mount=type=bind,from=tools:2,target=/t --mount=type=cache,target=/c make
COPY --from=0 /x /y
`;
    expect(imagesOf(text)).toEqual(['first:1', 'a:1', 'nginx:1.27', 'tools:2']);
  });

  it('is only of the stages that the target needs', () => {
    const text = `FROM a:1 AS one
FROM b:1 AS two
FROM c:1
COPY --from=two / /
`;
    expect(imagesOf(text)).toEqual(['b:1', 'c:1']);
    expect(imagesOf(text, {}, 'ONE')).toEqual(['a:1']);
    expect(of(text, {}, 'three')).toBeUndefined();
  });

  it('cannot always be told', () => {
    const text = `FROM a:\${TAG}
ADD https://example.com/x.tar /x
ADD --checksum=sha256:00 https://example.com/y.tar /y
ADD local.tar /z
`;
    expect(of(text)?.unknown).toEqual([
      'line 1: a:${TAG} has a variable without a value',
      'line 2: ADD fetches an address without --checksum',
    ]);
    expect(of('RUN true')).toBeUndefined();
  });
});

describe('a variable', () => {
  it.each<[string, string | undefined]>([
    ['$A-$B', '1-'],
    ['${A}x', '1x'],
    ['${C:-d}', 'd'],
    ['${B:-d}', 'd'],
    ['${B-d}', ''],
    ['${A:+d}', 'd'],
    ['${C:+d}', ''],
    ['$C', undefined],
    ['${A#x}', undefined],
  ])('%s is %s', (text, filled) => {
    const values = new Map([
      ['A', '1'],
      ['B', ''],
    ]);
    expect(fillIn(text, values)).toBe(filled);
  });

  it('is declared with or without a default', () => {
    expect(argumentsIn(`A B=1 C="x \\"y" D='z z'`)).toEqual([
      { name: 'A', value: undefined },
      { name: 'B', value: '1' },
      { name: 'C', value: 'x "y' },
      { name: 'D', value: 'z z' },
    ]);
  });
});
