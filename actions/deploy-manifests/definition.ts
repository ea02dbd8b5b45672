import { defineAction, type Problem } from '@deploy-actions/action-kit';
import { imageReferenceForm, parseImageReference } from '@deploy-actions/core';
import {
  checkState,
  deliveryInputs,
  githubInputs,
  kubernetesTargetInputs,
  ledgerInputs,
  targetInputs,
} from '@deploy-actions/targets';

/** A selector that asks for labels and their values; undefined when it is none. */
export function parseLabels(text: string): Record<string, string> | undefined {
  const labels = text.split(',').map((part) => /^\s*([\w./-]+)\s*==?\s*([\w.-]+)\s*$/.exec(part));
  if (labels.some((label) => label === null)) return undefined;
  return Object.fromEntries(labels.map((label) => [label?.[1] ?? '', label?.[2] ?? '']));
}

function checkManifests(inputs: {
  manifests?: string[] | undefined;
  render?: string[] | undefined;
  prune?: string | undefined;
  images?: string[] | undefined;
  app?: string | undefined;
  environment?: string | undefined;
  state?: string | undefined;
}): Problem[] {
  const problems: Problem[] = [];
  if (inputs.manifests === undefined && inputs.render === undefined) {
    problems.push({
      input: 'manifests',
      message: 'is missing: say what is applied, `manifests: k8s/` or `render: kustomize build k8s`.',
    });
  }
  if (inputs.prune !== undefined && parseLabels(inputs.prune) === undefined) {
    problems.push({
      input: 'prune',
      value: inputs.prune,
      message: 'is not allowed; allowed are labels with their values, such as app=helpdesk,part=web.',
    });
  }
  for (const image of inputs.images ?? []) {
    if (parseImageReference(image) !== undefined) continue;
    problems.push({
      input: 'images',
      value: image,
      message: `is no image reference; allowed is ${imageReferenceForm}.`,
    });
  }
  const isGiven = (value: string | undefined) => value !== undefined && value !== '';
  if (isGiven(inputs.environment) && !isGiven(inputs.app)) {
    problems.push({
      input: 'app',
      message:
        'is missing: with `environment` the lease is that of the application, for example `app: helpdesk`.',
    });
  }
  if (inputs.state === 'git-ref' && !isGiven(inputs.environment)) {
    problems.push({
      input: 'environment',
      message: 'is missing: `state: git-ref` keeps state by environment.',
    });
  }
  return problems;
}

const { required: _app, ...app } = targetInputs.app;
const { required: _environment, ...environment } = targetInputs.environment;

export const definition = defineAction({
  name: 'deploy-manifests',
  title: 'Deploy manifests',
  description:
    'Applies manifests to a Kubernetes cluster by server-side apply: everything is checked by the API server before anything is written, the plan says each field that changes, what runs is not reset, and workloads are waited for.',
  icon: 'layers',
  color: 'blue',
  mutates: true,
  permissions: { contents: 'read' },
  inputs: {
    manifests: {
      kind: 'list',
      description:
        'Files, folders (with all below them) and globs, in the workspace; of folders and globs, what ends in .yml, .yaml or .json.',
      example: 'k8s/',
      config: 'kubernetes.manifests',
    },
    render: {
      kind: 'command',
      description: 'A command whose output is applied, too. It runs in the workspace, without a shell.',
      example: 'kustomize build k8s/overlays/production',
      config: 'kubernetes.render',
    },
    namespace: {
      ...kubernetesTargetInputs.namespace,
      description:
        'The namespace of what names none; a manifest that names another is refused. Default: that of the context, else `default`.',
    },
    images: {
      kind: 'list',
      description:
        'Images that take the place of those of the same repository, in every container of the manifests; best with digests.',
      example: 'ghcr.io/acme/helpdesk-backend:1.4.2',
    },
    prune: {
      kind: 'string',
      description:
        'Labels of what is deleted when it is not among the manifests any more: only what this action applied, only of `prune-kinds`, and only in the namespaces of the manifests. Without it nothing is deleted.',
      example: 'app=helpdesk',
      config: 'kubernetes.prune',
    },
    'prune-kinds': {
      kind: 'list',
      description: 'The kinds that `prune` may delete.',
      default: 'Deployment,StatefulSet,DaemonSet,CronJob,Service,Ingress,ConfigMap',
      config: 'kubernetes.prune-kinds',
    },
    'force-conflicts': {
      kind: 'boolean',
      description: 'Takes fields over that another manager set to another value. Fields of what runs stay.',
      default: 'false',
    },
    wait: {
      kind: 'boolean',
      description: 'Waits until every Deployment, StatefulSet and DaemonSet of the manifests is ready.',
      default: 'true',
    },
    'ready-timeout': {
      ...deliveryInputs['ready-timeout'],
      description: 'The time they have to become ready.',
    },
    kubeconfig: kubernetesTargetInputs.kubeconfig,
    context: kubernetesTargetInputs.context,
    app: {
      ...app,
      description:
        'The name of the application, with `environment`. State is kept by application and environment.',
    },
    environment: {
      ...environment,
      description:
        'The environment whose lease is held and whose freeze is respected. Without it, there is one lease for the manifests of a namespace.',
    },
    state: targetInputs.state,
    'lock-timeout': deliveryInputs['lock-timeout'],
    'break-freeze': ledgerInputs['break-freeze'],
    'dry-run': deliveryInputs['dry-run'],
    ...githubInputs,
  },
  outputs: {
    created: { description: 'How many objects were made; with `dry-run`, how many would be.' },
    changed: { description: 'How many objects were changed.' },
    unchanged: { description: 'How many objects were as they should be.' },
    pruned: { description: 'How many objects were deleted.' },
    kept: { description: 'How many fields stayed as they run, whatever the manifests say.' },
  },
  check: (inputs) => [...checkManifests(inputs), ...checkState(inputs)],
});
