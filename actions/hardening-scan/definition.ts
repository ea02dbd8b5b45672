import { defineAction } from '@deploy-actions/action-kit';
import { checkLimits, verdictInputs, verdictOutputs } from '@deploy-actions/scanners';
import { githubInputs } from '@deploy-actions/targets';

export const definition = defineAction({
  name: 'hardening-scan',
  title: 'Hardening scan',
  description:
    'Reads the Dockerfiles, Compose files and manifests of Kubernetes of a repository for what they give away: root, privileges, capabilities, the host, the network. Needs no engine, no cluster and no other program.',
  icon: 'lock',
  color: 'blue',
  mutates: false,
  permissions: { checks: 'write', 'pull-requests': 'write', 'security-events': 'write' },
  inputs: {
    paths: {
      kind: 'list',
      description:
        'Files, or folders with all that is below them, relative to the workspace. Files that are none of these kinds are passed over.',
      default: '.',
      example: 'k8s, docker-compose.yml',
      config: 'hardening.paths',
    },
    ...verdictInputs('hardening', 'critical: 0, high: 5', '`.hardeningignore.yaml`, else `.hardeningignore`'),
    ...githubInputs,
  },
  outputs: verdictOutputs,
  check: (inputs) => checkLimits('limits', inputs.limits),
});
