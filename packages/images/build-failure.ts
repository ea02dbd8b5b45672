import { DeployError, type ReasonCode } from '@deploy-actions/core';
import { type Instruction, readDockerfile } from '@deploy-actions/dockerfile';
import type { FailedStep } from './build-progress.ts';

/** What is known of a build that failed. */
export interface FailedBuild {
  step: FailedStep | undefined;
  /** What buildx said besides; its error is the last of it. */
  said: readonly string[];
  /** Of the image: path and text of its Dockerfile, and its target. */
  dockerfile: { path: string; text: string } | undefined;
}

/** Answers that may be other ones the next time. */
const passing =
  /\b(?:429|50[0234])\b|too ?many ?requests|toomanyrequests|connection reset|connection refused|broken pipe|unexpected EOF|\bEOF\b|i\/o timeout|TLS handshake timeout|server misbehaving|no such host|context deadline exceeded|request canceled while waiting|use of closed network connection|stream error|INTERNAL_ERROR/i;
/** The parts of a build that speak to registries. */
const speaksToRegistry = /exporting|pushing|load metadata|importing cache|auth\]|resolve|pulling/i;

/** The error that buildx ends with, without the words before it. */
export function lastError(said: readonly string[]): string {
  const line = said.findLast((each) => /^(?:ERROR|error):/.test(each)) ?? said.at(-1) ?? '';
  return line.replace(/^(?:ERROR|error):\s*/, '');
}

/** Whether the same build may succeed when it is tried again: a registry that was busy, or a connection that broke. */
export function isPassing({ step, said }: FailedBuild): boolean {
  const text = `${step?.error ?? ''}\n${lastError(said)}`;
  if (step !== undefined && /^(?:RUN|COPY|ADD|WORKDIR)\b/.test(step.instruction)) return false;
  const atRegistry = step === undefined || speaksToRegistry.test(step.name) || speaksToRegistry.test(text);
  return atRegistry && passing.test(text);
}

/**
 * Where an instruction stands, by what the builder calls the step: its words with variables filled in. Undefined where no line fits.
 */
export function lineOfInstruction(text: string, instruction: string): number | undefined {
  const words = (written: string) => written.replace(/\s+/g, ' ').trim();
  const found = readDockerfile(text)?.find(({ name, argument }: Instruction) => {
    if (!instruction.startsWith(`${name} `)) return false;
    const pattern = words(argument)
      .split(/\$(?:\w+|\{[^}]*\})/)
      .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
      .join('.*');
    return new RegExp(`^${name} ${pattern}$`, 's').test(words(instruction));
  });
  return found?.line;
}

/** `Dockerfile:12` above the lines that newer builders print. */
function lineSaid(said: readonly string[]): number | undefined {
  const line = said.map((each) => /^\S+:(\d+)$/.exec(each.trim())?.[1]).find((each) => each !== undefined);
  return line === undefined ? undefined : Number(line);
}

interface Kind {
  reasonCode: ReasonCode;
  pattern: RegExp;
  what(match: RegExpExecArray, image: string): string;
  remedy: string;
}

/** What builders and registries say, in the order in which it is looked for. */
const kinds: readonly Kind[] = [
  {
    reasonCode: 'unreachable',
    pattern:
      /cannot connect to the docker daemon|failed to connect to the docker API|error during connect|no such file or directory.*\.sock|dial unix/i,
    what: () => 'The Docker daemon does not answer',
    remedy: 'Look whether it runs, whether this user may use its socket, and DOCKER_HOST.',
  },
  {
    reasonCode: 'not_found',
    pattern: /(?:failed to resolve source metadata for |create LLB definition: )(\S+?):? (?:.*: )?not found/i,
    what: ([, base = ''], image) => `${image} starts from ${base}, which is not there`,
    remedy: 'Correct FROM, or log in where the image is private.',
  },
  {
    reasonCode: 'not_found',
    pattern: /name[_ ]unknown|repository name not known|repository .{0,200} (?:not found|does not exist)/i,
    what: (_match, image) => `The registry does not know the repository of ${image}`,
    remedy: 'Create the repository at the registry, or correct `repository` or `prefix`.',
  },
  {
    reasonCode: 'permission_denied',
    pattern:
      /denied|unauthorized|authorization failed|no basic auth credentials|insufficient_scope|\b40[13] \w+|authentication required/i,
    what: (_match, image) => `The registry refuses the login for ${image}`,
    remedy:
      'Give `username` and `password`, or use a login action in a step before. For ghcr.io the job needs `permissions: packages: write`.',
  },
  {
    reasonCode: 'not_found',
    pattern: /secret (\S+): not found|failed to stat (\S+): .*no such file/i,
    what: ([, id, file], image) => `${image} wants the secret ${id ?? file ?? ''}, which is not there`,
    remedy: 'Say its file in `secrets` of the image, and write the file in a step before.',
  },
  {
    reasonCode: 'unsupported',
    pattern: /granted.*entitlement|entitlement .* is not allowed|additional privileges requested/i,
    what: (_match, image) => `The builder does not let ${image} do what it asks for`,
    remedy:
      'Let the builder allow it (`--allow-insecure-entitlement network.host`), or leave `network: host` out.',
  },
];

/** A build that failed, as an error that says where and why, with the last lines of the step. */
export function buildFailure(failed: FailedBuild): DeployError {
  const { step, said, dockerfile } = failed;
  const error = lastError(said);
  const image = step?.image ?? /target ([\w-]+):/.exec(error)?.[1] ?? 'an image';
  const isInstruction = step !== undefined && /^(?:RUN|COPY|ADD|WORKDIR)\b/.test(step.instruction);
  const text = `${step?.error ?? ''}\n${error}`;
  if (isInstruction) {
    const line =
      dockerfile === undefined
        ? undefined
        : (lineOfInstruction(dockerfile.text, step.instruction) ?? lineSaid(said));
    const place =
      dockerfile === undefined ? '' : ` (${dockerfile.path}${line === undefined ? '' : `:${line}`})`;
    if (/exec format error/i.test(`${text}\n${step.log.join('\n')}`)) {
      return new DeployError(
        'unsupported',
        `${image}: ${shortened(step.instruction)}${place} is for another processor than the builder's.`,
        {
          remedy:
            'Use `docker/setup-qemu-action` in a step before; native runners with `part` and `merge`, which is faster; or build in a stage `FROM --platform=$BUILDPLATFORM`.',
          details: step.log,
        },
      );
    }
    const code = /exit code: (\d+)/.exec(text)?.[1];
    const why = code === undefined ? step.error.split('\n')[0] : `exit code ${code}`;
    return new DeployError(
      'build_failed',
      `${image}: ${shortened(step.instruction)}${place} failed: ${why}.`,
      {
        remedy:
          'Mend what the last lines of the step say, then run this again; what was built before it is cached.',
        details: step.log.length > 0 ? step.log : [step.error],
      },
    );
  }
  for (const { reasonCode, pattern, what, remedy } of kinds) {
    const match = pattern.exec(text);
    if (match !== null)
      return new DeployError(reasonCode, `${what(match, image)}: ${shortened(error)}.`, {
        remedy,
        details: said.slice(-20),
      });
  }
  const passes = isPassing(failed);
  return new DeployError(
    passes ? 'unreachable' : 'build_failed',
    `${image} was not built: ${shortened(error)}.`,
    {
      remedy: passes
        ? 'The registry did not answer as it should, also after several attempts. Run this again later.'
        : 'See what the builder says, in the log and in the report.',
      details: said.slice(-20),
    },
  );
}

const shortened = (text: string) => (text.length > 300 ? `${text.slice(0, 299)}…` : text).replace(/\.$/, '');
