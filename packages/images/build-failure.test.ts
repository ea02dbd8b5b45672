import { describe, expect, it } from 'vitest';
import { buildFailure, type FailedBuild, isPassing, lineOfInstruction } from './build-failure.ts';
import type { FailedStep } from './build-progress.ts';

const step = (own: Partial<FailedStep>): FailedStep => ({
  image: 'backend',
  name: '[backend 2/3] RUN make',
  instruction: 'RUN make',
  error: 'process "/bin/sh -c make" did not complete successfully: exit code: 2',
  log: ['gcc: not found'],
  ...own,
});
const push = (error: string): FailedBuild => ({
  step: step({ name: '[backend] exporting to image', instruction: 'exporting to image', error, log: [] }),
  said: [`ERROR: target backend: failed to solve: ${error}`],
  dockerfile: undefined,
});

describe('a build that failed', () => {
  it('names image, instruction, line and exit code, with the last lines', () => {
    const text = 'FROM a\nARG X\nRUN make \\\n  ${X}\n';
    const failed = {
      step: step({ instruction: 'RUN make   fast' }),
      said: [],
      dockerfile: { path: 'Dockerfile', text },
    };
    expect(buildFailure(failed)).toMatchObject({
      reasonCode: 'build_failed',
      message: 'backend: RUN make   fast (Dockerfile:3) failed: exit code 2.',
      details: ['gcc: not found'],
    });
  });

  it('takes the line that the builder says, where it finds none', () => {
    const failed = {
      step: step({}),
      said: ['Dockerfile:7', '-----'],
      dockerfile: { path: 'x/Dockerfile', text: 'FROM a\n' },
    };
    expect(buildFailure(failed).message).toContain('(x/Dockerfile:7)');
  });

  it('says that an image is for another processor', () => {
    const failed = {
      step: step({ log: ['exec /bin/sh: exec format error'] }),
      said: [],
      dockerfile: undefined,
    };
    expect(buildFailure(failed)).toMatchObject({
      reasonCode: 'unsupported',
      remedy: expect.stringContaining('qemu'),
    });
  });

  it.each<[string, string, string]>([
    ['denied: permission_denied: write_package', 'permission_denied', 'refuses the login for backend'],
    ['unexpected status from POST request: 401 Unauthorized', 'permission_denied', 'refuses the login'],
    [
      'name unknown: The repository with name helpdesk does not exist',
      'not_found',
      'does not know the repository',
    ],
    [
      'failed to resolve source metadata for docker.io/library/pyton:3: docker.io/library/pyton:3: not found',
      'not_found',
      'starts from docker.io/library/pyton:3',
    ],
    ['secret npmrc: not found', 'not_found', 'wants the secret npmrc'],
    [
      'network.host is not allowed: granting entitlement network.host is not allowed by build daemon',
      'unsupported',
      'does not let backend',
    ],
    [
      'Cannot connect to the Docker daemon at unix:///var/run/docker.sock',
      'unreachable',
      'daemon does not answer',
    ],
    [
      'unexpected status from PUT request to https://r/v2: 503 Service Unavailable',
      'unreachable',
      'was not built',
    ],
    ['no space left on device', 'build_failed', 'was not built: '],
  ])('%s is %s', (error, reasonCode, words) => {
    const failure = buildFailure(push(error));
    expect(failure).toMatchObject({ reasonCode, message: expect.stringContaining(words) });
    expect(failure.remedy).toBeTruthy();
  });
});

describe('another attempt', () => {
  it.each([
    'unexpected status from PUT request: 429 Too Many Requests',
    'unexpected status from PUT request: 500 Internal Server Error',
    'failed to do request: Put "https://r/v2": read tcp: connection reset by peer',
    'failed to copy: unexpected EOF',
  ])('is made after %s', (error) => {
    expect(isPassing(push(error))).toBe(true);
  });

  it.each([
    push('denied: requested access to the resource is denied'),
    push('no space left on device'),
    { step: step({ error: 'exit code: 1: connection reset by peer' }), said: [], dockerfile: undefined },
  ])('is not made after what stays', (failed) => {
    expect(isPassing(failed)).toBe(false);
  });
});

it('an instruction is found by its words, with variables filled in', () => {
  const text = 'FROM a\nRUN echo one\nRUN echo $A (x)\nCOPY --from=b /x /y\n';
  expect(lineOfInstruction(text, 'RUN echo 7 (x)')).toBe(3);
  expect(lineOfInstruction(text, 'COPY --from=b /x /y')).toBe(4);
  expect(lineOfInstruction(text, 'RUN echo two')).toBeUndefined();
});
