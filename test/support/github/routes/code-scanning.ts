// Uploads to code scanning.

import { gunzipSync } from 'node:zlib';
import {
  type Answer,
  api,
  base,
  invalid,
  need,
  notFound,
  Refused,
  type Request,
  type Routes,
  text,
} from './shared.ts';

interface Sarif {
  version?: string;
  runs?: {
    tool?: { driver?: { name?: string } };
    automationDetails?: { id?: string };
    results?: unknown[];
  }[];
}

function uploadSarif(request: Request): Answer {
  const { repository, body } = request;
  if (!repository.codeScanning) {
    throw new Refused(403, 'Advanced Security must be enabled for this repository to use code scanning.');
  }
  const sha = text(body['commit_sha']);
  if (!repository.objects.commits.has(sha)) throw new Refused(404, `commit not found: ${sha}`);
  const encoded = text(body['sarif']);
  const packed = Buffer.from(encoded, 'base64');
  if (packed.toString('base64') !== encoded) throw invalid(request, 'sarif is not Base64');
  if (packed.length > 10 * 1024 * 1024) {
    request.broken('sarif is larger than 10 MB when compressed');
    throw new Refused(413, 'Payload too large');
  }
  let sarif: Sarif;
  try {
    sarif = JSON.parse(gunzipSync(packed).toString()) as Sarif;
  } catch {
    throw invalid(request, 'sarif is not JSON compressed with gzip');
  }
  if (sarif.version !== '2.1.0' || !Array.isArray(sarif.runs))
    throw invalid(request, 'sarif is not SARIF 2.1.0');
  const runs = sarif.runs.map((run) => ({
    tool: run.tool?.driver?.name ?? '',
    category: run.automationDetails?.id ?? '',
    results: run.results?.length ?? 0,
  }));
  if (runs.length > 20) throw invalid(request, 'sarif has more than 20 runs');
  for (const { tool, results } of runs) {
    if (tool === '') throw invalid(request, 'a run of sarif names no tool');
    if (results > 25_000) throw invalid(request, 'a run of sarif has more than 25,000 results');
  }
  if (new Set(runs.map(({ tool, category }) => `${tool} ${category}`)).size < runs.length) {
    throw invalid(request, 'two runs of sarif have the same tool and category');
  }
  const id = `00000000-0000-4000-8000-${String(repository.nextId()).padStart(12, '0')}`;
  repository.analyses.push({
    id,
    commit_sha: sha,
    ref: text(body['ref']),
    runs,
    sarif,
    progress: ['pending', 'complete'],
    errors: [],
  });
  return { status: 202, body: { id, url: `${api(request)}/code-scanning/sarifs/${id}` } };
}

function sarifStatus(request: Request): Answer {
  const { repository, parameters } = request;
  const found = repository.analyses.find(({ id }) => id === parameters['sarif_id']);
  if (found === undefined) throw notFound();
  const [status = 'complete', ...rest] = found.progress;
  if (rest.length > 0) found.progress = rest;
  return {
    status: 200,
    body: {
      processing_status: status,
      analyses_url:
        status === 'complete' ? `${api(request)}/code-scanning/analyses?sarif_id=${found.id}` : null,
      errors: status === 'failed' ? found.errors : null,
    },
  };
}

export const codeScanningRoutes: Routes = {
  [`POST ${base}/code-scanning/sarifs`]: { need: need('write', 'security-events'), handle: uploadSarif },
  [`GET ${base}/code-scanning/sarifs/{sarif_id}`]: {
    need: need('read', 'security-events'),
    handle: sarifStatus,
  },
};
