// A stand-in for Trivy that answers as Trivy 0.69 was seen to: it copies reports, and fails with its exit codes and words. The real one
// runs in test/platforms.

import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Reports that Trivy wrote. */
export const recordedReports = join(import.meta.dirname, '../../packages/scanners/testdata');

/**
 * `registry.example/NAME:…` has the report NAME.json of the recorded ones, else of those made for the test, else image.json; folders have
 * fs.json; `cut`, `nothing` and `missing` are targets that fail, and `down.example/…` is a mirror of the database that does not answer.
 */
const script = `#!/bin/sh
echo "$*" >> "$CALLS"
output= download= previous=
for word in "$@"; do
  [ "$previous" = --output ] && output=$word
  [ "$word" = --download-db-only ] && download=1
  previous=$word
done
case "$1" in
version) echo '{"Version":"0.69.1"}'; exit 0 ;;
convert) echo '{}' > "$output"; exit 0 ;;
esac
if [ -n "$download" ]; then
  case " $* " in *' down.example/'*) down=1 ;; *) down= ;; esac
  if [ -e "$NO_DATABASE" ] || [ -n "$down" ]; then
    echo '2026-01-01T00:00:00Z	FATAL	Fatal error	run error: init error: DB error: failed to download vulnerability DB: connection refused' >&2
    exit 1
  fi
  mkdir -p "$CACHE/db"
  printf '{"Version":2,"UpdatedAt":"%s"}' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" > "$CACHE/db/metadata.json"
  exit 0
fi
case " $* " in
" fs "*) report=fs ;;
*' registry.example/'*) report=\${*#*registry.example/}; report=\${report%%:*} ;;
*' cut '*) head -c 500 "$RECORDED/fs.json" > "$output"; exit 0 ;;
*' nothing '*) exit 0 ;;
*' missing '*)
  echo '2026-01-01T00:00:00Z	FATAL	Fatal error	run error: image scan error: scan error: unable to find the specified image "missing"' >&2
  exit 1 ;;
*) report=image ;;
esac
for file in "$RECORDED/$report.json" "$MADE/$report.json" "$RECORDED/image.json"; do
  [ -e "$file" ] && exec cp "$file" "$output"
done
`;

export interface TrivyStandIn {
  /** The folder for PATH. */
  bin: string;
  /** What it needs of the environment, with PATH. */
  environment: Record<string, string>;
  /** Its cache folder, with the database. */
  cache: string;
  /** A file; while it is there, no database can be downloaded. */
  noDatabase: string;
  /** The folder of the reports that are made for the test. */
  made: string;
  /** The arguments of each call so far. */
  calls(): Promise<string[]>;
}

/** Writes it below a folder. */
export async function trivyStandIn(folder: string): Promise<TrivyStandIn> {
  const bin = join(folder, 'bin');
  const made = join(folder, 'made');
  for (const each of [bin, made]) await mkdir(each, { recursive: true });
  await writeFile(join(bin, 'trivy'), script);
  await chmod(join(bin, 'trivy'), 0o755);
  const calls = join(folder, 'calls');
  const cache = join(folder, 'cache');
  const noDatabase = join(folder, 'no-database');
  return {
    bin,
    environment: {
      PATH: `${bin}:${process.env['PATH']}`,
      CALLS: calls,
      CACHE: cache,
      NO_DATABASE: noDatabase,
      RECORDED: recordedReports,
      MADE: made,
    },
    cache,
    noDatabase,
    made,
    calls: async () => (await readFile(calls, 'utf8')).trim().split('\n'),
  };
}

interface Report {
  ArtifactName: string;
  Results: { Target: string; Vulnerabilities?: Record<string, unknown>[]; Secrets?: unknown[] }[];
}

/**
 * A report of an image with as many findings as asked, each with the texts of one that Trivy wrote, of a package and a CVE of its own. One
 * in ten is critical, two are high.
 */
export async function manyFindings(name: string, count: number): Promise<string> {
  const report = JSON.parse(await readFile(join(recordedReports, 'image.json'), 'utf8')) as Report;
  const [system] = report.Results;
  const [first] = system?.Vulnerabilities ?? [];
  if (system === undefined || first === undefined)
    throw new Error('the recorded report has no vulnerability');
  const severities = [
    'CRITICAL',
    'HIGH',
    'HIGH',
    'MEDIUM',
    'MEDIUM',
    'MEDIUM',
    'LOW',
    'LOW',
    'LOW',
    'UNKNOWN',
  ];
  system.Vulnerabilities = Array.from({ length: count }, (_, index) => ({
    ...first,
    VulnerabilityID: `CVE-2025-${10_000 + index}`,
    PkgName: `lib${name}-${index}`,
    Severity: severities[index % severities.length],
  }));
  report.ArtifactName = name;
  report.Results = [system];
  return JSON.stringify(report);
}
