import { defineAction } from '@deploy-actions/action-kit';
import { checkLimits, verdictInputs, verdictOutputs } from '@deploy-actions/scanners';
import { githubInputs } from '@deploy-actions/targets';

export const definition = defineAction({
  name: 'hardening-scan',
  title: 'Hardening scan',
  description:
    'Reads the Dockerfiles, Compose files and manifests of Kubernetes of a repository for what they give away: root, privileges, capabilities, the host, the network. Asks Trivy and the engine, too, where they are there; needs neither, and no cluster.',
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
    trivy: {
      kind: 'enum',
      values: ['on-path', 'none'],
      description:
        'Whether a Trivy on PATH is asked, too, by its configuration scan of Dockerfiles and manifests. What both find is one finding.',
      default: 'on-path',
      config: 'hardening.trivy',
    },
    engine: {
      kind: 'enum',
      values: ['docker-host', 'required', 'none'],
      description:
        'Whether the engine is looked at, and the containers that run on it: `docker-host` where DOCKER_HOST is set and leads to one that answers; `required` whatever the `docker` on PATH leads to, and without an answer there is no verdict. Nothing is started or written.',
      default: 'docker-host',
      config: 'hardening.engine',
    },
    timeout: {
      kind: 'duration',
      min: '1s',
      max: '6h',
      description: 'The time for the scan by Trivy. The engine has 30 s for each of its answers.',
      default: '5m',
      config: 'hardening.timeout',
    },
    ...githubInputs,
  },
  outputs: verdictOutputs,
  check: (inputs) => checkLimits('limits', inputs.limits),
});
