import { expect, it } from 'vitest';
import { inOrder } from './order.ts';

it('what others need comes first, and manifests of one kind stay as they were given', () => {
  const kinds = ['Ingress', 'Widget', 'Deployment', 'Service', 'Secret', 'ConfigMap', 'RoleBinding', 'Role'];
  const given = [...kinds, 'ServiceAccount', 'CustomResourceDefinition', 'Namespace'];
  expect(inOrder(given, (kind) => kind)).toEqual([
    'Namespace',
    'CustomResourceDefinition',
    'ServiceAccount',
    'Role',
    'RoleBinding',
    'Secret',
    'ConfigMap',
    'Service',
    'Deployment',
    'Widget',
    'Ingress',
  ]);
});
