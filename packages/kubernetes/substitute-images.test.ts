import { describe, expect, it } from 'vitest';
import { substituteImages } from './substitute-images.ts';

const pod = {
  initContainers: [{ name: 'migrate', image: 'registry:5000/acme/app:1' }],
  containers: [
    { name: 'app', image: 'registry:5000/acme/app:1' },
    { name: 'other-port', image: 'registry:5001/acme/app:1' },
    { name: 'longer', image: 'registry:5000/acme/app-worker:1' },
    { name: 'sidecar', image: 'nginx' },
  ],
};
const where = 'Deployment app';

describe('an image', () => {
  it('takes the place of its own repository alone, in init containers too', () => {
    expect(substituteImages(pod, ['registry:5000/acme/app:2'], { where })).toEqual([
      {
        list: 'initContainers',
        container: 'migrate',
        from: 'registry:5000/acme/app:1',
        to: 'registry:5000/acme/app:2',
      },
      {
        list: 'containers',
        container: 'app',
        from: 'registry:5000/acme/app:1',
        to: 'registry:5000/acme/app:2',
      },
    ]);
  });

  it('is known in every spelling of its repository', () => {
    expect(substituteImages(pod, ['docker.io/library/nginx:1.27'], { where })).toMatchObject([
      { container: 'sidecar' },
    ]);
  });

  it('without a container to go to is an error that lists what is there', () => {
    for (const image of ['app:2', 'registry:5000/app:2', 'acme/app:2']) {
      expect(() => substituteImages(pod, [image], { where })).toThrow(
        expect.objectContaining({
          reasonCode: 'not_found',
          remedy: expect.stringContaining(
            'migrate (init): registry:5000/acme/app:1, app: registry:5000/acme/app:1',
          ),
        }),
      );
    }
  });

  it('goes to another repository only where the container is named', () => {
    expect(substituteImages(pod, ['ghcr.io/acme/app:2'], { where, container: 'app' })).toEqual([
      { list: 'containers', container: 'app', from: 'registry:5000/acme/app:1', to: 'ghcr.io/acme/app:2' },
    ]);
    expect(() => substituteImages(pod, ['ghcr.io/acme/app:2'], { where, container: 'none' })).toThrow(
      expect.objectContaining({
        reasonCode: 'not_found',
        message: 'Deployment app has no container named none.',
      }),
    );
  });

  it('comes one for each repository', () => {
    expect(() => substituteImages(pod, ['nginx:1', 'docker.io/nginx:2'], { where })).toThrow(
      expect.objectContaining({ reasonCode: 'invalid_input' }),
    );
  });
});
