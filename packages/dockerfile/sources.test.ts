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

it('cannot be told behind a here-document that does not end', () => {
  const unknown = ['line 2: the here-document of RUN has no end: no line after it is EOF'];
  const text = 'FROM a:1\nRUN cat <<EOF\nFROM b:1 AS two\n';
  expect(of(text)).toMatchObject({ unknown });
  expect(of(text, {}, 'two')).toMatchObject({ unknown });
  expect(imagesOf(text.replace('<<EOF', '<<<EOF'))).toEqual(['b:1']);
});

describe('an ADD of an address', () => {
  const unknownOf = (text: string, args: Record<string, string> = {}) => of(text, args)?.unknown;
  const fetches = ['line 2: ADD fetches an address without --checksum'];

  it.each([
    'ADD ["https://example.com/x", "/x"]',
    'ADD [ "local.tar", "https://example.com/x", "/x" ]',
    'ADD --chown=1 "https://example.com/x" /x',
    'ADD git@example.com:acme/x.git /x',
    'ADD deploy@example.com:acme/x.git /x',
  ])('is seen however it is written: %s', (line) => {
    expect(unknownOf(`FROM a:1\n${line}\n`)).toEqual(fetches);
  });

  it('is seen when an argument says it', () => {
    const text = `ARG URL=https://example.com/x
FROM a:1
ARG URL
ADD $URL /x
`;
    expect(unknownOf(text)).toEqual(['line 4: ADD fetches an address without --checksum']);
    expect(unknownOf(text, { URL: 'local.tar' })).toEqual([]);
    expect(unknownOf('FROM a:1\nARG U=https://x.example\nENV V=$U/y\nADD ["$V", "/x"]\n')).toHaveLength(1);
    expect(unknownOf('FROM a:1 AS one\nENV U https://x.example/y\nFROM one\nADD ${U} /x\n')).toHaveLength(1);
  });

  it('may be one where a variable has no value', () => {
    expect(unknownOf('ARG URL=local.tar\nFROM a:1\nADD ${URL} /x\n')).toEqual([
      'line 3: ADD ${URL} has a variable without a value, and no --checksum',
    ]);
  });

  it('is none by what the builder gives', () => {
    expect(unknownOf('FROM a:1\nARG TARGETARCH\nADD rootfs-${TARGETARCH}.tar.gz /\n')).toEqual([]);
    expect(unknownOf('FROM a:1\nARG TARGETARCH\nADD https://x.example/${TARGETARCH} /x\n')).toHaveLength(1);
  });

  it('is none where the destination or a checksum says it', () => {
    const text = `FROM a:1
ARG SUM
ADD --checksum=$SUM $URL /x
ADD local.tar /x/https://
ADD ["local tar", "$HOME"]
ARG NAME=local
ADD $NAME.tar /y
`;
    expect(unknownOf(text)).toEqual([]);
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
