/**
 * What the sections of deploy.yml are about, for editors. The settings in them are described by the inputs that read them; a
 * section belongs to several inputs, so that none of them could describe it. test/contract/deploy-schema.test.ts names what is
 * missing here, and what is here for nothing.
 */
export const sectionDescriptions: Record<string, string> = {
  analysis: 'The limits that a new version is judged by, and where the figures come from.',
  'analysis.prometheus': 'Metrics `prometheus`: the server that is asked, and how.',
  build: 'Which images are built, how, and how they are tagged.',
  'build.lint': 'How many findings the Dockerfiles may have before anything is built.',
  canary: 'How a canary is given more and more of the traffic.',
  checks: 'The checks that a commit has to pass before anything is touched.',
  database: 'The database and how its migrations are checked and applied.',
  dependencies: 'What the lock files install, and how many vulnerabilities may be in it.',
  hardening: 'The Dockerfiles, Compose files and manifests that are read, and how much they may give away.',
  health: 'What says that the application is healthy.',
  kubernetes: 'Platform `kubernetes`: which container of the pods is released, and how it is checked.',
  'linux-host': 'Platform `linux-host`: what a release is on a Linux host, and how it is run.',
  notify: 'Who is told how a deployment ended; addresses are secret inputs of the step.',
  probe: 'Requests at a constant rate during a release, to prove that none was lost.',
  promote: 'The tags that images are given after their scan has passed.',
  registry:
    'How a step logs in at a registry of container images; the password is a secret input of the step.',
  router: 'What decides which version gets the traffic.',
  'router.nginx': 'Router `nginx`: its upstream file and how nginx is run.',
  scan: 'What is scanned, with what, and how much may be found.',
};
