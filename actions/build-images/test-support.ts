import { chmod, mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder with `workspace`, in which the Dockerfile is, and `bin`, in which the stand-in for docker is. */
export async function createBuildFolder(docker: string, dockerfile: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'build-images-'));
  await mkdir(join(folder, 'bin'));
  await mkdir(join(folder, 'workspace'));
  await writeFile(join(folder, 'bin/docker'), docker);
  await chmod(join(folder, 'bin/docker'), 0o755);
  await writeFile(join(folder, 'workspace/Dockerfile'), dockerfile);
  return folder;
}
