// Lays the sample platform out as the document's repository: the backend at the root, the other services in folders of it.

import { cp } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { makeRelease, type Release, type ReleaseKind } from './release.ts';

/** The four images: name → the folder of its Dockerfile and context, and the port that it serves. */
export const platformImages = {
  backend: { context: '.', port: 8000 },
  frontend: { context: 'customer-portal', port: 8080 },
  ai: { context: 'ai-service', port: 8001 },
  realtime: { context: 'realtime-service', port: 8002 },
} as const;

/** The arguments of the Dockerfiles that name a base image, and the image that each names without its digest. */
export const baseArguments = {
  PYTHON_IMAGE: 'python:3.11-slim',
  NODE_IMAGE: 'node:24-slim',
  NGINX_IMAGE: 'nginxinc/nginx-unprivileged:1.29-alpine',
} as const;

const isMade = /^(?:node_modules|dist|__pycache__|VERSION)$/;

/** Makes release `number` with everything around it in `directory`, which must be empty or absent; see `makeRelease`. */
export async function makePlatform(options: {
  number: number;
  directory: string;
  kind?: ReleaseKind;
  version?: string;
}): Promise<Release> {
  const release = await makeRelease(options);
  for (const { context } of Object.values(platformImages)) {
    if (context === '.') continue;
    await cp(join(import.meta.dirname, context), join(options.directory, context), {
      recursive: true,
      filter: (source) => !isMade.test(basename(source)),
    });
  }
  return release;
}
