import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  DeployError,
  formatDuration,
  isRecord,
  type Log,
  runProcess,
  sleep,
  textAt,
} from '@deploy-actions/core';
import type { BakeDefinition } from './bake-definition.ts';
import { buildFailure, type FailedBuild, isPassing, lastError } from './build-failure.ts';
import { createBuildProgress, type ImageBuild } from './build-progress.ts';
import type { ProgramContext } from './builder.ts';

export interface BakeOptions extends ProgramContext {
  definition: BakeDefinition;
  /** `--builder`; undefined: the one in use. */
  builder: string | undefined;
  /** What the definition may do, for `--allow`. */
  allow: readonly string[];
  /** Folder for the definition and what bake says about what it built. */
  folder: string;
  log: Log;
  /** Milliseconds for all images, attempts included. */
  timeout: number;
  /** Of an image, for messages. */
  dockerfiles: ReadonlyMap<string, { path: string; text: string }>;
  /** Milliseconds before each further attempt. */
  pauses?: readonly number[];
}

export interface Baked {
  builds: ImageBuild[];
  /** By image: the digest of what was pushed, or the id of what was loaded; empty where nothing was kept. */
  digests: Map<string, string>;
  attempts: number;
  /** Milliseconds. */
  took: number;
}

/** What a busy registry is given, between attempts. */
const usualPauses = [2_000, 8_000, 20_000] as const;

/** The file that `docker buildx bake` reads, also to be built by hand. */
export async function writeDefinition(definition: BakeDefinition, folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const file = join(folder, 'docker-bake.json');
  await writeFile(file, `${JSON.stringify(definition, null, 2)}\n`);
  return file;
}

/**
 * Builds all images of a definition in parallel, and pushes them where it says so. After an answer of a registry that may be another
 * one the next time it is tried again; what is built is not built again, because the builder has it. Throws what `buildFailure` makes of
 * a failure, `timeout` and `cancelled`.
 */
export async function bake(options: BakeOptions): Promise<Baked> {
  const { definition, log, signal, pauses = usualPauses } = options;
  const file = await writeDefinition(definition, options.folder);
  const began = performance.now();
  const builds = new Map<string, ImageBuild>();
  for (let attempt = 1; ; attempt += 1) {
    const left = options.timeout - (performance.now() - began);
    const { failed, progress, metadata } = await bakeOnce(file, Math.max(1, left), began, options);
    for (const build of progress.builds()) builds.set(build.name, joined(builds.get(build.name), build));
    if (failed === undefined) {
      return {
        builds: [...builds.values()],
        digests: digestsIn(metadata),
        attempts: attempt,
        took: performance.now() - began,
      };
    }
    const pause = pauses[attempt - 1];
    if (pause === undefined || !isPassing(failed)) throw buildFailure(failed);
    log.warning(
      `A registry did not answer as it should (${lastError(failed.said).slice(0, 200)}); attempt ${attempt + 1} in ${formatDuration(pause)}.`,
    );
    await sleep(pause, signal, 'waiting for a registry');
  }
}

/** An image that was tried twice took from its first step to its last. */
function joined(before: ImageBuild | undefined, now: ImageBuild): ImageBuild {
  if (before === undefined || before.whole === null) return now;
  if (now.whole === null) return before;
  return { ...now, whole: { start: before.whole.start, end: now.whole.end }, cached: before.cached };
}

async function bakeOnce(file: string, timeout: number, began: number, options: BakeOptions) {
  const { definition, builder, allow, folder, environment, signal, directory, log, dockerfiles } = options;
  const names = definition.group.default.targets;
  const progress = createBuildProgress(names);
  const metadataFile = join(folder, 'metadata.json');
  await writeFile(metadataFile, '{}');
  const what = names.length === 1 ? `building ${names[0]}` : `building ${names.length} images`;
  const tell = () =>
    log.progress({
      what,
      elapsed: performance.now() - began,
      remaining: options.timeout - (performance.now() - began),
      detail: progress.doing(),
    });
  const timer = setInterval(tell, 2_000);
  try {
    const { code } = await runProcess({
      command: [
        'docker',
        'buildx',
        'bake',
        ...(builder === undefined ? [] : ['--builder', builder]),
        ...['--file', file],
        ...['--progress', 'rawjson'],
        ...['--metadata-file', metadataFile],
        ...allow.flatMap((what) => ['--allow', what]),
      ],
      cwd: directory,
      env: environment,
      signal,
      timeout,
      onLine(line) {
        if (progress.line(line)) tell();
        else if (!line.startsWith('{')) log.debug(line);
      },
    });
    if (code === 0) {
      const metadata: unknown = JSON.parse(await readFile(metadataFile, 'utf8'));
      return { failed: undefined, progress, metadata };
    }
    const step = progress.failure();
    const said = progress.said();
    const image = step?.image ?? /target ([\w-]+):/.exec(lastError(said))?.[1] ?? '';
    const failed: FailedBuild = { step, said, dockerfile: dockerfiles.get(image) };
    return { failed, progress, metadata: undefined };
  } finally {
    clearInterval(timer);
  }
}

function digestsIn(metadata: unknown): Map<string, string> {
  if (!isRecord(metadata)) throw new DeployError('internal', 'bake wrote no metadata.');
  return new Map(
    Object.entries(metadata).flatMap(([name, about]): [string, string][] =>
      isRecord(about) ? [[name, textAt(about, 'containerimage.digest')]] : [],
    ),
  );
}
