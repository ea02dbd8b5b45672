import { type ActionModule, actionModule } from '@deploy-actions/action-kit';

/** Every action by name. Definition and code are chunks of their own: a step loads only what it needs. */
export const actions: Record<string, ActionModule> = {
  'check-config': actionModule(
    () => import('./check-config/definition.ts'),
    () => import('./check-config/run.ts'),
  ),
  'health-check': actionModule(
    () => import('./health-check/definition.ts'),
    () => import('./health-check/run.ts'),
  ),
  'blue-green-switch': actionModule(
    () => import('./blue-green-switch/definition.ts'),
    () => import('./blue-green-switch/run.ts'),
  ),
  'rolling-update': actionModule(
    () => import('./rolling-update/definition.ts'),
    () => import('./rolling-update/run.ts'),
  ),
  canary: actionModule(
    () => import('./canary/definition.ts'),
    () => import('./canary/run.ts'),
  ),
  'canary-analyze': actionModule(
    () => import('./canary-analyze/definition.ts'),
    () => import('./canary-analyze/run.ts'),
  ),
  'migrate-db': actionModule(
    () => import('./migrate-db/definition.ts'),
    () => import('./migrate-db/run.ts'),
  ),
  deploy: actionModule(
    () => import('./deploy/definition.ts'),
    () => import('./deploy/run.ts'),
  ),
  diagnose: actionModule(
    () => import('./diagnose/definition.ts'),
    () => import('./diagnose/run.ts'),
  ),
  'restart-app': actionModule(
    () => import('./restart-app/definition.ts'),
    () => import('./restart-app/run.ts'),
  ),
  'build-images': actionModule(
    () => import('./build-images/definition.ts'),
    () => import('./build-images/run.ts'),
  ),
  'trivy-scan': actionModule(
    () => import('./trivy-scan/definition.ts'),
    () => import('./trivy-scan/run.ts'),
  ),
  'promote-images': actionModule(
    () => import('./promote-images/definition.ts'),
    () => import('./promote-images/run.ts'),
  ),
  'deploy-manifests': actionModule(
    () => import('./deploy-manifests/definition.ts'),
    () => import('./deploy-manifests/run.ts'),
  ),
  rollback: actionModule(
    () => import('./rollback/definition.ts'),
    () => import('./rollback/run.ts'),
  ),
  releases: actionModule(
    () => import('./releases/definition.ts'),
    () => import('./releases/run.ts'),
  ),
  'dependency-scan': actionModule(
    () => import('./dependency-scan/definition.ts'),
    () => import('./dependency-scan/run.ts'),
  ),
  'hardening-scan': actionModule(
    () => import('./hardening-scan/definition.ts'),
    () => import('./hardening-scan/run.ts'),
  ),
};
