import { DeployError, isRecord, lastLines, messageOf, runProcess } from '@deploy-actions/core';
import type { Target } from '@deploy-actions/findings';
import type { Scanned } from '../model.ts';
import { checkContainer, checkEngine, type Fields } from './engine-rules.ts';
import { findingOfHit } from './rules.ts';

export interface EngineOptions {
  environment: NodeJS.ProcessEnv;
  signal: AbortSignal;
  /** Milliseconds for one answer. */
  timeout: number;
}

/** What an engine gives away: by its settings, and by the containers that run. */
export interface EngineScan {
  target: Target;
  /** `Docker 28.2.2`. */
  version: string;
  containers: number;
  findings: Scanned[];
}

/**
 * Looks at the engine that the `docker` on PATH leads to, by what it says of itself and of running containers; nothing is started and nothing
 * written. Throws `not_found` without that program, `unreachable` when the engine does not answer, `scan_failed` for an answer that is none.
 */
export async function scanEngine(options: EngineOptions): Promise<EngineScan> {
  const info = recordOf(await ask(['info', '--format', '{{json .}}'], options), 'info');
  const errors = Array.isArray(info['ServerErrors']) ? info['ServerErrors'].map(String) : [];
  if (errors.length > 0) throw unreachable(errors[0] ?? '');
  if (typeof info['ServerVersion'] !== 'string' || info['ServerVersion'] === '')
    throw noAnswer('it says no version');
  const [bridge] = listOf(await ask(['network', 'inspect', 'bridge'], options, gone), 'networks');
  const ids = (await ask(['ps', '--quiet', '--no-trunc'], options)).split('\n').filter((id) => id !== '');
  const containers =
    ids.length === 0 ? [] : listOf(await ask(['inspect', ...ids], options, gone), 'containers');
  const name = typeof info['Name'] === 'string' && info['Name'] !== '' ? info['Name'] : 'engine';
  const target: Target = { kind: 'host', name, version: null };
  const hits = [...checkEngine(info, bridge), ...containers.flatMap((each) => checkContainer(each, info))];
  return {
    target,
    version: `Docker ${info['ServerVersion']}`,
    containers: containers.length,
    findings: hits.map((hit) => findingOfHit(hit, target, null)),
  };
}

/** A container that ended in between, and a bridge that was switched off. */
const gone = /no such (?:object|container|network)|not found/i;

async function ask(args: string[], options: EngineOptions, harmless?: RegExp): Promise<string> {
  const { code, stdout, stderr } = await runProcess({
    command: ['docker', ...args],
    env: options.environment,
    signal: options.signal,
    timeout: options.timeout,
    keep: 64 * 1024 ** 2,
  }).catch((thrown: unknown) => {
    if (thrown instanceof DeployError && thrown.reasonCode === 'timeout') throw unreachable(thrown.message);
    throw thrown;
  });
  if (code === 0) return stdout;
  const said = stderr.split('\n').filter((line) => line.trim() !== '');
  if (harmless !== undefined && said.every((line) => harmless.test(line))) return stdout;
  throw unreachable(lastLines(stderr, 1)[0] ?? `docker ${args[0] ?? ''} ended with ${code ?? 'a signal'}`);
}

function unreachable(why: string): DeployError {
  return new DeployError('unreachable', `The engine does not answer: ${why}`, {
    remedy: 'See that DOCKER_HOST leads to it and that this user may use it, or say `engine: none`.',
  });
}

function noAnswer(why: string, cause?: unknown): DeployError {
  return new DeployError('scan_failed', `What the engine says of itself cannot be read: ${why}.`, { cause });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw noAnswer(messageOf(cause), cause);
  }
}

function recordOf(text: string, what: string): Fields {
  const value = parse(text);
  if (!isRecord(value)) throw noAnswer(`its ${what} is no object`);
  return value;
}

function listOf(text: string, what: string): Fields[] {
  const value = text.trim() === '' ? [] : parse(text);
  if (!Array.isArray(value) || !value.every(isRecord)) throw noAnswer(`its ${what} are no list`);
  return value;
}
