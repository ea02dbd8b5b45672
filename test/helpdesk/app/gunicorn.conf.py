"""How the application is served: `gunicorn config.wsgi` in the release's folder reads this file by itself."""

import os

from apps.core.logs import logging_config

bind = f"{os.environ.get('HOST') or '127.0.0.1'}:{os.environ.get('PORT') or '8000'}"

# One process with threads, so that counters in /metrics are those of the whole instance.
worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY") or 1)
threads = int(os.environ.get("WEB_THREADS") or 16)

# At SIGTERM gunicorn closes its listener and finishes what is in flight; kept-alive connections get a last
# answer with `Connection: close`. What has not ended after these seconds is cut off, so they have to be more
# than the slowest request takes.
graceful_timeout = int(os.environ.get("GRACEFUL_TIMEOUT") or 25)
timeout = 60
# Longer than a proxy in front keeps an idle connection: it is the proxy that closes, never under a request.
keepalive = 75

# Heartbeats go to a file: in memory where that exists, for a slow disk would look like a hung worker.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None
# Several instances run side by side on one host and would share the default socket.
control_socket_disable = True

# Requests are logged by the application, with what only it knows.
accesslog = None
logconfig_dict = logging_config(os.environ.get("LOG_LEVEL") or "INFO")


def on_starting(server):
    if server.cfg.workers > 1 and not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        raise RuntimeError(
            "WEB_CONCURRENCY is above 1: set PROMETHEUS_MULTIPROC_DIR to an empty folder, "
            "or each scrape would see the counters of one worker only"
        )


def child_exit(server, worker):
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(worker.pid)
