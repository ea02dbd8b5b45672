import { gzipSync } from 'node:zlib';

/** The most that dist may take. The goal for the finished suite of about 20 actions is 6 MB, 1.8 MB as a tarball. */
export const limits = { bytes: 2_000_000, tarball: 620_000 };

/** A tar header has 512 bytes; content is padded to them. The least of the format that says how well it compresses. */
function tarball(files: Map<string, string>): Buffer {
  const parts = [...files]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([path, text]) => {
      const content = Buffer.from(text);
      const header = Buffer.alloc(512);
      header.write(path, 0, 100);
      header.write('0000644', 100);
      header.write(content.length.toString(8).padStart(11, '0'), 124);
      return [header, content, Buffer.alloc((512 - (content.length % 512)) % 512)];
    });
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

/** Bytes of all files, and of the gzipped tarball that a job downloads. */
export function sizes(files: Map<string, string>): { bytes: number; tarball: number } {
  const bytes = [...files.values()].reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  return { bytes, tarball: gzipSync(tarball(files)).length };
}

/** What is over its limit, in words. */
export function overBudget(files: Map<string, string>): string[] {
  const actual = sizes(files);
  return (['bytes', 'tarball'] as const)
    .filter((what) => actual[what] > limits[what])
    .map(
      (what) =>
        `dist: ${what} is ${actual[what]}, over the limit of ${limits[what]} (scripts/build/budget.ts)`,
    );
}
