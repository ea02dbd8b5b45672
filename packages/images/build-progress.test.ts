import { describe, expect, it } from 'vitest';
import { createBuildProgress } from './build-progress.ts';
import { buildTimeline } from './timeline.ts';

const at = (second: number) => new Date(1_700_000_000_000 + second * 1_000).toISOString();
const vertex = (digest: string, name: string, from: number, to: number | null, own: object = {}) =>
  JSON.stringify({
    vertexes: [{ digest, name, started: at(from), ...(to === null ? {} : { completed: at(to) }), ...own }],
  });

function progressOf(images: string[], lines: string[]) {
  const progress = createBuildProgress(images);
  for (const line of lines) progress.line(line);
  return progress;
}

const two = [
  vertex('1', '[a internal] load build definition from Dockerfile', 0, 0.1),
  vertex('2', '[a build 1/2] FROM base', 0, 1, { cached: true }),
  vertex('2', '[b build 1/2] FROM base', 0, 1, { cached: true }),
  vertex('3', '[a build 2/2] RUN make', 1, 5),
  vertex('4', '[b 2/2] RUN true', 1, 2),
  vertex('5', '[a] exporting to image', 5, 6),
  vertex('6', '[a] pushing r/a:1 with docker', 6, 7),
];

describe('the progress of a build', () => {
  it('is read for each image', () => {
    const [a, b] = progressOf(['a', 'b'], two).builds();
    expect(a).toMatchObject({ steps: 2, cached: 1, failed: false });
    expect((a?.whole?.end ?? 0) - (a?.whole?.start ?? 0)).toBe(7_000);
    expect((a?.push?.end ?? 0) - (a?.push?.start ?? 0)).toBe(2_000);
    expect((b?.whole?.end ?? 0) - (b?.whole?.start ?? 0)).toBe(2_000);
    expect(b?.push).toBeNull();
  });

  it('is all of the one image, where there is one: then its steps have no name before them', () => {
    const [only] = progressOf(['a'], [vertex('1', '[build 1/1] RUN make', 0, 3)]).builds();
    expect(only).toMatchObject({ name: 'a', steps: 1, cached: 0 });
  });

  it('says what is being done', () => {
    const progress = progressOf(['a', 'b'], [...two, vertex('9', '[b 3/3] RUN long', 2, null)]);
    expect(progress.doing()).toBe('b: RUN long');
  });

  it('finds the step that failed among those that were ended with it, with the end of its log', () => {
    const progress = progressOf(
      ['a', 'b'],
      [
        vertex('1', '[a 1/2] RUN sleep', 0, 2, {
          error: 'exit code: 137: context canceled: context canceled',
        }),
        vertex('2', '[b 1/2] RUN make', 0, 2, { error: 'process "make" did not complete: exit code: 2' }),
        JSON.stringify({
          logs: [{ vertex: '2', data: Buffer.from('one\nmake: *** no').toString('base64') }],
        }),
        'ERROR: target b: failed to solve: exit code: 2',
      ],
    );
    expect(progress.failure()).toEqual({
      image: 'b',
      name: '[b 1/2] RUN make',
      instruction: 'RUN make',
      error: 'process "make" did not complete: exit code: 2',
      log: ['one', 'make: *** no'],
    });
    expect(progress.said()).toEqual(['ERROR: target b: failed to solve: exit code: 2']);
  });

  it('does not mind what it cannot read', () => {
    const progress = progressOf(
      ['a'],
      ['{"vertexes":[{"dig', '{"vertexes":7,"logs":[3]}', '', 'x'.repeat(9_000), 'WARN: x'],
    );
    expect(progress.builds()).toEqual([
      { name: 'a', whole: null, push: null, steps: 0, cached: 0, failed: false },
    ]);
    expect(progress.said()).toEqual(['WARN: x']);
  });
});

describe('a timeline', () => {
  it('has a section for each image, from the first step on', () => {
    expect(buildTimeline(progressOf(['a', 'b'], two).builds())?.split('\n')).toEqual([
      'gantt',
      '  dateFormat x',
      '  axisFormat %M:%S',
      '  tickInterval 2second',
      '  section a',
      '  build 5s :active, b0, 0, 5000',
      '  push 2s :done, p0, 5000, 7000',
      '  section b',
      '  build 2s :active, b1, 0, 2000',
    ]);
  });

  it('is none where nothing was built', () => {
    expect(buildTimeline(createBuildProgress(['a']).builds())).toBeUndefined();
  });
});
