/* What this suite keeps on the objects that it changes. */

/** On a Service: the fencing token of the newest holder of the lease that wrote its selector. Lower ones are refused. */
export const fenceAnnotation = 'deploy-actions.dev/fence';

/** Beside the token: the lease that it is of. Those of different leases cannot be compared. */
export const leaseAnnotation = 'deploy-actions.dev/lease';

/** On a Deployment: the release that was deployed to it. */
export const releaseAnnotation = 'deploy-actions.dev/release';

/** On an autoscaler whose minReplicas a release raised: what it was, and what it was raised to. */
export const floorAnnotation = 'deploy-actions.dev/min-replicas';
