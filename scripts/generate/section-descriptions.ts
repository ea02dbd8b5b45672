/**
 * What the sections of deploy.yml are about, for editors. The settings in them are described by the inputs that read them; a
 * section belongs to several inputs, so that none of them could describe it. test/contract/deploy-schema.test.ts names what is
 * missing here, and what is here for nothing.
 */
export const sectionDescriptions: Record<string, string> = {
  analysis: 'The limits that a new version is judged by, and where the figures come from.',
  canary: 'How a canary is given more and more of the traffic.',
  database: 'The database and how its migrations are checked and applied.',
  health: 'What says that the application is healthy.',
  'linux-host': 'Platform `linux-host`: what a release is on a Linux host, and how it is run.',
  probe: 'Requests at a constant rate during a release, to prove that none was lost.',
  router: 'What decides which version gets the traffic.',
  'router.nginx': 'Router `nginx`: its upstream file and how nginx is run.',
};
