import { isRecord } from '@deploy-actions/core';

/*
 * Reads `docker buildx bake --progress=rawjson`: one JSON object a line, as BuildKit's client has it (SolveStatus in
 * github.com/moby/buildkit/client/graph.go). Steps are vertices; where several images are built, the name of each begins with
 * `[image `. What is no JSON is what the program says itself, its last error above all.
 */

/** Milliseconds since 1970, by the clock of the builder. */
export interface Span {
  start: number;
  end: number;
}

/** How the build of one image went. */
export interface ImageBuild {
  name: string;
  /** From its first step to its last. */
  whole: Span | null;
  /** Its export and push. */
  push: Span | null;
  /** Instructions that made a layer, and how many of them were taken from a cache. */
  steps: number;
  cached: number;
  failed: boolean;
}

/** The step that failed. */
export interface FailedStep {
  image: string | null;
  /** `[backend build 3/7] RUN make`. */
  name: string;
  /** `RUN make`; the name, where it is no instruction. */
  instruction: string;
  error: string;
  /** The last lines that it wrote. */
  log: string[];
}

interface Step {
  image: string | null;
  name: string;
  start: number | null;
  end: number | null;
  cached: boolean;
  error: string;
  log: string;
}

export interface BuildProgress {
  /** Takes a line of the output; true when it told something new about steps. */
  line(text: string): boolean;
  builds(): ImageBuild[];
  failure(): FailedStep | undefined;
  /** What the program said besides, one line each. */
  said(): string[];
  /** What is being done now: `backend: RUN make`. */
  doing(): string;
}

/** Bytes of a step's log that are kept. */
const keptLog = 16 * 1024;
const keptSaid = 400;

const time = (value: unknown): number | null => {
  const at = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  return Number.isNaN(at) ? null : at;
};

const listAt = (record: Record<string, unknown>, key: string): Record<string, unknown>[] => {
  const value = record[key];
  return Array.isArray(value) ? value.filter(isRecord) : [];
};

const text = (record: Record<string, unknown>, key: string): string => {
  const value = record[key];
  return typeof value === 'string' ? value : '';
};

/** Without the brackets before it: `RUN make` of `[backend build 3/7] RUN make`. */
const instructionOf = (name: string) => name.replace(/^\[[^\]]*\]\s*/, '');
const isExport = (name: string) => /^exporting (?:to|manifest)|^pushing/.test(instructionOf(name));
const isLayer = (name: string) => /^\[[^\]]*\b\d+\/\d+\]/.test(name);

export function createBuildProgress(images: readonly string[]): BuildProgress {
  const steps = new Map<string, Step>();
  const others: string[] = [];

  function imageOf(name: string): string | null {
    if (images.length === 1) return images[0] ?? null;
    const first = /^\[([^\s\]]+)/.exec(name)?.[1];
    return first !== undefined && images.includes(first) ? first : null;
  }

  /** The same step may be a part of several images. */
  function stepOf(digest: string, name: string): Step {
    const image = imageOf(name);
    const key = `${image ?? ''} ${digest}`;
    const known = steps.get(key);
    if (known !== undefined) return known;
    const step = { image, name, start: null, end: null, cached: false, error: '', log: '' };
    steps.set(key, step);
    return step;
  }

  function vertex(record: Record<string, unknown>): void {
    const name = text(record, 'name');
    const step = stepOf(text(record, 'digest'), name);
    const start = time(record['started']);
    const end = time(record['completed']);
    // A step that is done in several turns is told several times.
    if (start !== null) step.start = Math.min(step.start ?? start, start);
    if (end !== null) step.end = Math.max(step.end ?? end, end);
    if (record['cached'] === true) step.cached = true;
    if (text(record, 'error') !== '') step.error = text(record, 'error');
  }

  function log(record: Record<string, unknown>): void {
    const digest = text(record, 'vertex');
    const added = Buffer.from(text(record, 'data'), 'base64').toString('utf8');
    for (const [key, step] of steps) {
      if (key.endsWith(` ${digest}`)) step.log = (step.log + added).slice(-keptLog);
    }
  }

  return {
    line(written) {
      const event = written.startsWith('{') ? parsed(written) : undefined;
      if (event === undefined) {
        // A piece of a line that was too long to be read in one.
        const isPiece = written.startsWith('{') || written.length > 4_000;
        if (written.trim() !== '' && !isPiece) others.push(written.trimEnd());
        if (others.length > keptSaid) others.shift();
        return false;
      }
      const vertices = listAt(event, 'vertexes');
      for (const each of vertices) vertex(each);
      for (const each of listAt(event, 'logs')) log(each);
      return vertices.length > 0;
    },
    builds: () =>
      images.map((name) => {
        const own = [...steps.values()].filter(({ image }) => image === name);
        const layers = own.filter((step) => isLayer(step.name));
        return {
          name,
          whole: spanOf(own),
          push: spanOf(own.filter((step) => isExport(step.name))),
          steps: layers.length,
          cached: layers.filter(({ cached }) => cached).length,
          failed: own.some(({ error }) => error !== ''),
        };
      }),
    failure() {
      const failed = [...steps.values()].filter(({ error }) => error !== '');
      // What was ended because another step failed says so, too.
      const step = failed.find(({ error }) => !/context canceled|CANCELED/i.test(error)) ?? failed[0];
      return step === undefined
        ? undefined
        : {
            image: step.image,
            name: step.name,
            instruction: instructionOf(step.name),
            error: step.error,
            log: step.log
              .trimEnd()
              .split(/\r?\n/)
              .slice(-20)
              .filter((each) => each !== ''),
          };
    },
    said: () => [...others],
    doing() {
      const now = [...steps.values()].filter(({ start, end }) => start !== null && end === null);
      return now
        .slice(-4)
        .map(({ image, name }) => `${image === null ? '' : `${image}: `}${instructionOf(name).slice(0, 60)}`)
        .join(' · ');
    },
  };
}

function parsed(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function spanOf(steps: readonly Step[]): Span | null {
  const starts = steps.flatMap(({ start }) => (start === null ? [] : [start]));
  const ends = steps.flatMap(({ end }) => (end === null ? [] : [end]));
  return starts.length === 0 || ends.length === 0
    ? null
    : { start: Math.min(...starts), end: Math.max(...ends) };
}
