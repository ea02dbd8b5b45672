// The operations of GitHub's REST API that the suite uses.

import { checkRoutes } from './checks.ts';
import { codeScanningRoutes } from './code-scanning.ts';
import { commentRoutes } from './comments.ts';
import { deploymentRoutes } from './deployments.ts';
import { gitRoutes } from './git.ts';
import { statusRoutes } from './statuses.ts';
import { base, need, notFound, type Routes, web } from './shared.ts';

export const routes: Routes = {
  ...deploymentRoutes,
  ...checkRoutes,
  ...statusRoutes,
  ...commentRoutes,
  ...codeScanningRoutes,
  ...gitRoutes,
  [`GET ${base}/pulls/{pull_number}`]: {
    need: need('read', 'pull-requests'),
    handle(request) {
      const number = Number(request.parameters['pull_number']);
      const pull = request.repository.pulls.find((one) => one.number === number);
      if (pull === undefined) throw notFound();
      const full = `${request.repository.owner}/${request.repository.name}`;
      const repo = { full_name: full, fork: false };
      return {
        status: 200,
        body: {
          number,
          state: 'open',
          head: { sha: pull.head, repo: pull.fork ? { full_name: `someone/${full}`, fork: true } : repo },
          base: { sha: pull.base, ref: 'main', repo },
        },
      };
    },
  },
  [`GET ${base}/actions/runs/{run_id}`]: {
    need: need('read', 'actions'),
    handle(request) {
      const id = Number(request.parameters['run_id']);
      const run = request.repository.runs.find((one) => one.id === id);
      if (run === undefined) throw notFound();
      return { status: 200, body: { ...run, html_url: `${web(request)}/actions/runs/${id}` } };
    },
  },
};
