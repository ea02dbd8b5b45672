import { codeOf, DeployError, messageOf } from '@deploy-actions/core';
import { createPrometheusApi, type PrometheusApi, type PrometheusOptions } from './api.ts';

/** The server's own time, in milliseconds since 1970. Throws as its queries do. */
export async function serverTime(api: PrometheusApi, signal: AbortSignal): Promise<number> {
  const { result } = await api.instant('time()', undefined, signal);
  if (result.type !== 'scalar' || !(result.point.value > 0 && result.point.value < Infinity)) {
    throw new DeployError('metrics_unavailable', `Prometheus at ${api.shown} does not say what time it is.`, {
      details: [`server: ${api.shown}`, 'query: time()'],
    });
  }
  return Math.round(result.point.value * 1_000);
}

/**
 * Whether a server answers queries, asked before anything depends on it. Throws what somebody has to put right:
 * `permission_denied`, `invalid_input` for a URL that is not that of the API, `unreachable` for a certificate that is not
 * trusted, `cancelled`. What may pass by itself (a server that is down, slow or busy) is returned as a sentence; undefined
 * when all is well.
 */
export async function checkPrometheus(
  options: PrometheusOptions,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    await serverTime(createPrometheusApi(options), signal);
    return undefined;
  } catch (thrown) {
    if (!(thrown instanceof DeployError)) throw thrown;
    if (isAboutTls(thrown.cause)) {
      throw new DeployError('unreachable', thrown.message, {
        remedy:
          'Give the certificate of the authority that signed it (PEM), or the name that it was made for.',
        details: thrown.details,
        cause: thrown.cause,
      });
    }
    if (['unreachable', 'timeout', 'metrics_unavailable'].includes(thrown.reasonCode)) return thrown.message;
    throw thrown;
  }
}

/** Node names the reasons of OpenSSL: DEPTH_ZERO_SELF_SIGNED_CERT, ERR_TLS_CERT_ALTNAME_INVALID, ERR_SSL_…, EPROTO. */
function isAboutTls(thrown: unknown): boolean {
  return (
    /CERT|SSL|TLS|EPROTO|UNABLE_TO_/.test(codeOf(thrown) ?? '') || /certificate/i.test(messageOf(thrown))
  );
}
