"""How the service is served: `gunicorn service` in this folder reads this file by itself."""

import os

bind = f"{os.environ.get('HOST') or '127.0.0.1'}:{os.environ.get('PORT') or '8001'}"
wsgi_app = "service"
worker_class = "gthread"
workers = 1
threads = 8
# At SIGTERM what is in flight is finished; a classification takes milliseconds.
graceful_timeout = 10
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None
control_socket_disable = True
